"""Samples cut from scenes: the same for the same number, image and target together."""

from __future__ import annotations

import pytest
import torch

from napari_sss.engine.inference.crops import CONTEXT
from napari_sss.engine.pretraining.clips import ClipConfig, ClipSampler, _Turn

SMALL = ClipConfig(scenes_in_pool=3, batches_per_scene=2)


@pytest.fixture
def sampler(simple_scenes):
    def make(**more) -> ClipSampler:
        return ClipSampler(simple_scenes(5), 5, SMALL, **more)

    return make


def same(one, other) -> bool:
    return torch.equal(one.grey, other.grey) and torch.equal(one.target, other.target)


@pytest.mark.parametrize("slices", [1, 4])
def test_shapes_and_ranges(sampler, slices):
    batch = sampler().batch(0, 6, slices, 64)
    assert batch.grey.shape == batch.target.shape == (6, slices, 64, 64)
    assert batch.grey.dtype == batch.target.dtype == torch.float32
    for values in (batch.grey, batch.target):
        assert values.min() >= 0
        assert values.max() <= 1
    # Where it is prompted, every object has some pixels of its own.
    assert ((batch.target[:, 0] > 0.5).flatten(1).sum(dim=1) >= 12).all()


def test_a_batch_depends_on_its_number_alone(sampler):
    straight = sampler()
    in_order = [straight.batch(k, 4, 1, 64) for k in range(6)]
    jumped = sampler()
    for number in (5, 0, 3):
        assert same(jumped.batch(number, 4, 1, 64), in_order[number])
    assert not same(in_order[0], in_order[1])


def test_another_seed_gives_other_batches(simple_scenes):
    one, other = (ClipSampler(simple_scenes(s), s, SMALL).batch(0, 4, 1, 64) for s in (1, 2))
    assert not same(one, other)


def test_workers_have_scenes_of_their_own(simple_scenes):
    used = []
    for worker in (0, 1):
        scenes = simple_scenes(5)
        sampler = ClipSampler(scenes, 5, SMALL, worker=worker, workers=2)
        for number in range(worker, 12, 2):
            sampler.batch(number, 2, 1, 64)
        used.append(set(scenes.made))
    assert not used[0] & used[1]
    # Batches 0, 2 .. 10 are the turns 0 to 5 of worker 0: scenes (turn // 2 + 0..2) * 2.
    assert used[0] == {0, 2, 4, 6, 8}


def test_a_scene_is_generated_once_while_it_is_in_use(simple_scenes):
    scenes = simple_scenes(5)
    sampler = ClipSampler(scenes, 5, SMALL)
    for number in range(6):
        sampler.batch(number, 2, 1, 64)
    # Batches 0 to 5 are served from scenes 0 to 4: 0-2, then 1-3, then 2-4.
    assert scenes.made == [0, 1, 2, 3, 4]


def test_image_and_target_lie_on_each_other(sampler):
    # The target is brighter or darker than its surroundings, never like them: where the two
    # are shifted by a few pixels, the contrast between inside and rim blurs.
    batch = sampler().batch(0, 24, 1, 64)

    def edge_contrast(shift: int) -> float:
        grey = torch.roll(batch.grey[:, 0], (shift, shift), dims=(1, 2))
        inside = batch.target[:, 0] > 0.5
        wide = torch.nn.functional.max_pool2d(inside.float()[:, None], 5, 1, 2)[:, 0] > 0
        narrow = -torch.nn.functional.max_pool2d(-inside.float()[:, None], 5, 1, 2)[:, 0] > 0
        differences = []
        for row in range(len(grey)):
            outer, inner = wide[row] & ~inside[row], inside[row] & ~narrow[row]
            if outer.any() and inner.any():
                differences.append(abs(grey[row][inner].mean() - grey[row][outer].mean()))
        return float(torch.stack(differences).mean())

    aligned = edge_contrast(0)
    assert aligned > 1.3 * edge_contrast(4)
    assert aligned > 1.3 * edge_contrast(-4)


def test_a_clip_follows_one_object(sampler):
    batch = sampler().batch(0, 16, 4, 64)
    here, there = batch.target[:, :-1] > 0.5, batch.target[:, 1:] > 0.5
    overlap = (here & there).flatten(2).any(dim=2)
    both = here.flatten(2).any(dim=2) & there.flatten(2).any(dim=2)
    # One or two slices apart, an ellipsoid overlaps with itself wherever it is on both.
    assert overlap[both].float().mean() > 0.95
    assert both.any()


def test_some_clips_end(sampler):
    maker = sampler()
    ended = [
        not bool((target > 0.5).any())
        for number in range(6)
        for target in maker.batch(number, 8, 4, 64).target[:, -1]
    ]
    assert any(ended)
    assert not all(ended)


def test_crops_are_zoomed_on_the_object(sampler):
    batch = sampler().batch(0, 32, 1, 64)
    inside = batch.target[:, 0] > 0.5
    height = inside.any(dim=2).sum(dim=1)
    width = inside.any(dim=1).sum(dim=1)
    longer = torch.maximum(height, width).float() / 64
    # Context 1.2 to 2.2, a fifth further out: the middle one is about 1 / 1.8.
    assert 0.35 < longer.median() < 0.8


def test_objects_are_framed_as_they_are_in_use(simple_scenes):
    config = ClipConfig(
        scenes_in_pool=3, framed_share=1.0, visible=0.0, framed=(CONTEXT, CONTEXT)
    )
    batch = ClipSampler(simple_scenes(5), 5, config).batch(0, 8, 1, 128)
    for target in batch.target[:, 0]:
        rows, columns = torch.nonzero(target > 0.5).T
        height = int(rows.max() - rows.min()) + 1
        width = int(columns.max() - columns.min()) + 1
        # 128 / 1.6 = 80 pixels, turned or not; small objects get the smallest crop, and a
        # voxel's corners stick out a little.
        assert max(height, width) <= 80 * 1.1
        middle = (rows.max() + rows.min()) / 2, (columns.max() + columns.min()) / 2
        for place in middle:
            assert abs(float(place) - 63.5) < 0.03 * 128 + 6


def test_turning_a_slice_and_back_gives_the_same_places():
    turn = _Turn(angle=0.6, stretch=1.1)
    voxels = torch.tensor([[3.0, 7.0], [0.0, 0.0], [-2.0, 5.0]])
    u, v = turn.seen(voxels)
    assert torch.allclose(turn.positions(u, v), voxels.flip(1), atol=1e-5)

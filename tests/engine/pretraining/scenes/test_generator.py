import time

import pytest
import torch
from pydantic import ValidationError

from napari_sss.engine.pretraining.scenes import (
    Scene,
    SceneConfig,
    SceneGenerator,
    SceneWeights,
)

SMALL = {"slices": 10, "size": 64, "min_voxels": 8}
KINDS = tuple(SceneWeights.model_fields)


def only(kind: str) -> SceneWeights:
    return SceneWeights(**{name: float(name == kind) for name in KINDS})


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    generator = SceneGenerator(3, SceneConfig(**SMALL))
    return [generator.scene(index) for index in range(24)]


def test_the_same_seed_and_index_give_the_same_scene_in_any_order() -> None:
    forwards = SceneGenerator(5, SceneConfig(**SMALL))
    backwards = SceneGenerator(5, SceneConfig(**SMALL))
    first = [forwards.scene(i) for i in (0, 1, 2)]
    second = [backwards.scene(i) for i in (2, 1, 0)][::-1]
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.labels, b.labels)
        assert (a.groups, a.spacing, a.modality) == (b.groups, b.spacing, b.modality)


def test_another_seed_or_index_gives_another_scene() -> None:
    scene = SceneGenerator(5, SceneConfig(**SMALL)).scene(0)
    for other in (
        SceneGenerator(5, SceneConfig(**SMALL)).scene(1),
        SceneGenerator(6, SceneConfig(**SMALL)).scene(0),
    ):
        assert not torch.equal(scene.image, other.image)
        assert not torch.equal(scene.labels, other.labels)


def test_types_and_ranges(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.image.shape == scene.labels.shape == (10, 64, 64)
        assert scene.image.dtype == torch.float32
        assert scene.labels.dtype == torch.int16
        assert torch.isfinite(scene.image).all()
        assert all(step > 0 for step in scene.spacing)
        low, high = float(scene.image.min()), float(scene.image.max())
        if scene.modality == "CT":
            assert low >= -1024
            assert high <= 3071
        else:
            assert scene.modality == "MR"
            assert low >= 0
        assert high > low


def test_labels_count_without_gaps_and_each_has_enough_voxels(scenes: list[Scene]) -> None:
    for scene in scenes:
        sizes = torch.bincount(scene.labels.flatten().int())
        assert int(scene.labels.min()) >= 0
        assert scene.count == len(sizes) - 1
        assert bool((sizes[1:] >= SMALL["min_voxels"]).all())


def test_groups_are_of_two_or_more_labels_that_exist(scenes: list[Scene]) -> None:
    assert any(scene.groups for scene in scenes)
    for scene in scenes:
        for group in scene.groups:
            assert len(set(group)) == len(group) >= 2
            assert all(1 <= label <= scene.count for label in group)


def test_both_modalities_are_drawn(scenes: list[Scene]) -> None:
    assert {scene.modality for scene in scenes} == {"CT", "MR"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_objects(kind: str) -> None:
    generator = SceneGenerator(1, SceneConfig(**SMALL, weights=only(kind)))
    counts = [generator.scene(index).count for index in range(6)]
    assert min(counts) >= 1
    assert sorted(counts)[3] >= 3


def test_objects_continue_from_slice_to_slice() -> None:
    """A slice inside an object's extent seldom lacks it, and neighbours overlap."""
    generator = SceneGenerator(2, SceneConfig(slices=16, size=64, weights=only("abdomen")))
    present = overlapping = 0
    for index in range(4):
        labels = generator.scene(index).labels
        for label in range(1, int(labels.max()) + 1):
            mask = (labels == label).flatten(1)
            slices = torch.nonzero(mask.any(1)).flatten()
            for k in range(int(slices[0]), int(slices[-1])):
                present += 1
                overlapping += int((mask[k] & mask[k + 1]).any())
    assert present > 100
    assert overlapping / present > 0.85


def test_edges_of_labels_are_edges_of_the_image() -> None:
    """Without camouflage the image changes more across label borders than inside."""
    config = SceneConfig(slices=8, size=96, camouflage=0.0, weights=only("abdomen"))
    across, inside = [], []
    for index in range(6):
        scene = SceneGenerator(4, config).scene(index)
        step = scene.image.diff(dim=2).abs()
        border = scene.labels.diff(dim=2) != 0
        body = (scene.labels[..., 1:] > 0) & (scene.labels[..., :-1] > 0)
        across.append(step[border].median())
        inside.append(step[body & ~border].median())
    ratio = torch.stack(across) / torch.stack(inside)
    assert float(ratio.median()) > 1.5


def test_unknown_settings_and_empty_mixtures_are_rejected() -> None:
    with pytest.raises(ValidationError):
        SceneConfig(slice=3)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        SceneWeights(**dict.fromkeys(KINDS, 0.0))


def test_a_small_scene_takes_well_under_a_second() -> None:
    """Twenty times the usual time, so that a busy machine does not fail it."""
    generator = SceneGenerator(0, SceneConfig(**SMALL))
    generator.scene(0)
    start = time.process_time()
    for index in range(4):
        generator.scene(index)
    assert (time.process_time() - start) / 4 < 2.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_scenes_agree_between_devices() -> None:
    config = SceneConfig(**SMALL)
    for index in range(6):
        here = SceneGenerator(9, config).scene(index)
        there = SceneGenerator(9, config, device="cuda").scene(index)
        assert there.image.device.type == there.labels.device.type == "cuda"
        assert float((here.labels == there.labels.cpu()).float().mean()) > 0.99

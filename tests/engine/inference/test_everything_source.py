"""The source as a whole, with a model whose answers are known."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.inference.auto import AutoOptions, auto_segment
from napari_sss.engine.inference.everything import EverythingConfig, EverythingSource
from napari_sss.engine.inference.segment import Stacks
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.models.sam2_model import Decoded, Features, Sam2Model
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume

SIDE = 64
SHAPE = (24, 64, 64)
# Head to foot, 128 mm by 128 mm by 96 mm.
GRID = Grid(SHAPE, (4.0, 2.0, 2.0), direction=(1, 0, 0, 0, 1, 0, 0, 0, -1))
CONFIG = EverythingConfig(slice_step_mm=8.0, tile_sides_mm=(64.0,), min_volume_ml=1.0)


class EvenGrey:
    """Takes for one object what is connected and of one grey, with what it encloses.

    With a click that is the grey under it, with a box the one inside its upper side.
    """

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, grey: torch.Tensor) -> Features:
        self.encoded += len(grey)
        empty = torch.zeros(len(grey), 1, 1, 1)
        return Features((grey[:, None].clone(), empty, empty))

    def decode(
        self, features, pixels, prompts, mask_logits=None, *, multimask=False
    ) -> Decoded:
        greys = features.levels[0][:, 0].numpy()
        places = prompts.coordinates.float().mean(dim=1)
        if prompts.coordinates.shape[1] == 2:
            places[:, 1] = prompts.coordinates[:, 0, 1] + 3
        places = places.round().long().clamp(0, SIDE - 1)
        masks = torch.stack([
            torch.from_numpy(_connected(grey, x, y))
            for grey, (x, y) in zip(greys, places.tolist(), strict=True)
        ])  # fmt: skip
        share = F.avg_pool2d(masks.float()[:, None], 4)
        logits = torch.where(share >= 0.5, 10.0, -10.0)
        if multimask:  # the object, nothing, and everything
            logits = torch.cat([logits, -10 + 0 * logits, 10 + 0 * logits], dim=1)
        count = len(greys)
        return Decoded(
            logits,
            torch.full(logits.shape[:2], 0.9),
            torch.full((count, 1), 5.0),
            torch.zeros(count, 1, 1),
        )


def _connected(grey: np.ndarray, x: int, y: int) -> np.ndarray:
    parts, _ = ndimage.label(np.abs(grey - grey[y, x]) < 0.08)
    return ndimage.binary_fill_holes(parts == parts[y, x])


@pytest.fixture
def seer() -> EvenGrey:
    return EvenGrey()


@pytest.fixture
def model(seer, tiny_architecture) -> Sam2Model:
    stub = create_autospec(Sam2Model, instance=True)
    stub.net = SimpleNamespace(
        image_encoder=SimpleNamespace(trunk=SimpleNamespace(blocks=[])),
        memory_attention=SimpleNamespace(layers=[]),
    )
    stub.architecture, stub.image_size, stub.name = tiny_architecture, SIDE, "stub"
    stub.device, stub.precision = torch.device("cpu"), torch.float32
    stub.inference.side_effect = nullcontext
    stub.without_memory.side_effect = lambda features: features.levels[2]
    stub.upsample.side_effect = lambda logits: F.interpolate(logits, size=(SIDE, SIDE))
    stub.encode.side_effect, stub.decode.side_effect = seer.encode, seer.decode
    return stub


@pytest.fixture
def scan() -> tuple[Volume, dict[str, np.ndarray]]:
    """A body with an object around a core, and a third one that touches it."""
    array = np.zeros(SHAPE, dtype=np.float32)
    array[:, 4:60, 4:60] = 0.3
    truth = {name: np.zeros(SHAPE, dtype=bool) for name in ("outer", "core", "beside")}
    truth["outer"][4:20, 16:40, 12:36] = True
    truth["core"][6:18, 22:34, 18:30] = True
    truth["beside"][4:20, 20:36, 36:52] = True
    array[truth["outer"]] = 0.5
    array[truth["core"]] = 0.8
    array[truth["beside"]] = 0.65
    return Volume(array, GRID, "MR"), truth


@pytest.fixture
def find(model):
    def find(volume: Volume, control: JobControl | None = None, config=CONFIG):
        stacks = Stacks(volume, IntensityWindow(0.0, 1.0), model)
        return EverythingSource(stacks, config).candidates(volume, control or JobControl())

    return find


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2.0 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_nested_and_touching_objects_are_candidates_of_their_own(scan, find):
    volume, truth = scan
    (found,) = find(volume).values()
    masks = [c.region.to_array(SHAPE) for c in found]
    for name in ("core", "outer", "beside"):
        assert max(dice(mask, truth[name]) for mask in masks) > 0.85, name
    assert all(0 < c.probability <= 1 for c in found)


def test_the_body_is_not_an_object(scan, find):
    volume, _ = scan
    body = volume.array > 0.2
    (found,) = find(volume).values()
    assert all(c.region.voxels < 0.6 * body.sum() for c in found)


def test_the_same_again_gives_the_same(scan, find):
    volume, _ = scan
    (first,), (second,) = find(volume).values(), find(volume).values()
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.probability == b.probability
        assert a.region.offset == b.region.offset
        np.testing.assert_array_equal(a.region.mask, b.region.mask)


def test_an_empty_volume_has_no_candidates(find, model):
    empty = Volume(np.zeros(SHAPE, dtype=np.float32), GRID)
    assert {name: list(found) for name, found in find(empty).items()} == {"object": []}
    model.encode.assert_not_called()


def test_limits_are_kept(scan, find):
    volume, _ = scan
    # The largest, both objects taken for one, has 16 * 24 * 40 voxels of 16 mm3: 246 ml.
    large = find(volume, config=CONFIG.model_copy(update={"min_volume_ml": 300.0}))
    assert list(large["object"]) == []
    one = find(volume, config=CONFIG.model_copy(update={"max_candidates": 1}))
    assert len(one["object"]) == 1


def test_slices_are_a_step_apart_and_reported(scan, find):
    volume, _ = scan
    heard: list[Progress] = []
    find(volume, JobControl(heard.append))
    # 24 slices of 4 mm, every other one.
    assert [(p.stage, p.done, p.total) for p in heard] == [
        ("candidates", k, 12) for k in range(13)
    ]


def test_cancelling_acts_within_a_slice(scan, find, seer, model):
    volume, _ = scan
    control = JobControl()

    def cancel_at_once(grey: torch.Tensor) -> Features:
        control.cancel()
        return seer.encode(grey)

    model.encode.side_effect = cancel_at_once
    with pytest.raises(Cancelled):
        find(volume, control)
    assert model.encode.call_count == 1


def test_pcsw_prompts_each_candidate(scan, model):
    volume, truth = scan
    found = auto_segment(
        volume,
        model,
        AutoOptions(source="everything", propagate=False, class_name="thing"),
        window=IntensityWindow(0.0, 1.0),
    )
    assert found.class_ids == {"thing": 1}
    matched = {
        name: max(found.objects, key=lambda o: dice(o.candidate.to_array(SHAPE), mask))
        for name, mask in truth.items()
    }
    assert len({o.prompts.id for o in matched.values()}) == 3
    for name, segmented in matched.items():
        (prompt,) = segmented.prompts.prompts
        rows, columns = np.nonzero(truth[name][prompt.index])
        box = prompt.box
        exact = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        np.testing.assert_allclose((box.x0, box.y0, box.x1, box.y1), exact, atol=1)
        (click,) = prompt.points
        assert truth[name][prompt.index, int(click.y), int(click.x)]


def test_candidates_are_kept_and_not_followed(scan, model):
    volume, _ = scan
    found = auto_segment(
        volume, model, AutoOptions(source="everything"), window=IntensityWindow(0.0, 1.0)
    )
    assert found.objects
    for segmented in found.objects:
        assert segmented.origin == "candidate"
        assert segmented.region is segmented.candidate
        assert segmented.sam2 is None
    model.with_memory.assert_not_called()


def test_clicks_alone_find_them_too(scan, find):
    volume, truth = scan
    config = CONFIG.model_copy(update={"max_patches": 0, "point_step_mm": 12.0})
    (found,) = find(volume, config=config).values()
    masks = [c.region.to_array(SHAPE) for c in found]
    for name in ("core", "outer", "beside"):
        assert max(dice(mask, truth[name]) for mask in masks) > 0.85, name


def test_a_larger_model_searches_small_and_is_left_as_it_was(model, scan, find):
    volume, _ = scan
    model.image_size = 192

    def resize(size: int) -> None:
        model.image_size = size

    model.set_image_size.side_effect = resize
    model.encode.side_effect = RuntimeError("no further")
    with pytest.raises(RuntimeError, match="no further"):
        find(volume)
    assert [c.args for c in model.set_image_size.call_args_list] == [(128,), (192,)]
    assert model.encode.call_args.args[0].shape[-1] == 128


def test_a_real_model_runs_through(tiny_model, scan):
    volume, _ = scan
    stacks = Stacks(volume, IntensityWindow(0.0, 1.0), tiny_model)
    config = EverythingConfig(slice_step_mm=32.0, least_iou=0, least_stability=0, least_score=0)
    found = EverythingSource(stacks, config).candidates(volume, JobControl())
    assert list(found) == ["object"]

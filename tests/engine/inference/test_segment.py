"""Prompts in, masks out: what the caller is told, and which voxels the masks hold."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.errors import Cancelled, GeometryError, PromptError
from napari_sss.engine.inference.result import ObjectDone, ObjectsFound, SliceMask
from napari_sss.engine.inference.segment import Stacks, segment_object, segment_prompts
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.types import (
    Box,
    ObjectPrompts,
    Plane,
    Point,
    PromptSet,
    SlicePrompt,
)
from napari_sss.engine.volumes import writing
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import write_labels

BLOCK = ObjectPrompts(1, "kidney", (SlicePrompt(5, box=Box(30, 20, 46, 34)),))


@pytest.fixture
def other() -> np.ndarray:
    """A second block, clear of the first one's crop: slices 1 to 4, rows 2 to 9."""
    mask = np.zeros((12, 48, 60), dtype=bool)
    mask[1:5, 2:10, 4:14] = True
    return mask


@pytest.fixture
def two(truth, other) -> Volume:
    """Both blocks as a scan."""
    return Volume((truth | other).astype(np.float32), Grid(truth.shape, (3.0, 1.0, 1.0)))


TWO = PromptSet((BLOCK, ObjectPrompts(5, "cyst", (SlicePrompt(2, box=Box(4, 2, 14, 10)),))))


def test_each_object_has_its_voxels(two, truth, other, model, window):
    found = segment_prompts(two, TWO, model, window=window)
    for segmented, mask in zip(found.objects, (truth, other), strict=True):
        np.testing.assert_array_equal(segmented.region.to_array(mask.shape), mask)
        assert segmented.confidence == pytest.approx(0.9)
        assert segmented.origin == "sam2"
    assert found.class_ids == {"kidney": 1, "cyst": 2}
    np.testing.assert_array_equal(found.class_mask(), 1 * truth + 2 * other)
    np.testing.assert_array_equal(found.instance_mask(), 1 * truth + 5 * other)
    assert found.grid == two.grid


def test_events_come_in_order_and_hold_the_masks(two, truth, other, model, window):
    events: list = []
    segment_prompts(two, TWO, model, window=window, on_event=events.append)
    assert events[0] == ObjectsFound(TWO.objects)
    kinds = [(type(e).__name__, e.object_id) for e in events[1:]]
    assert kinds == (
        [("SliceMask", 1)] * 6 + [("ObjectDone", 1)]
        + [("SliceMask", 5)] * 4 + [("ObjectDone", 5)]
    )  # fmt: skip
    assert [e.index for e in events if isinstance(e, SliceMask)] == [
        5, 6, 7, 8, 4, 3,  # from the prompt upwards, then downwards
        2, 3, 4, 1,
    ]  # fmt: skip
    painted = np.zeros(truth.shape, dtype=bool)
    for event in (e for e in events if isinstance(e, SliceMask) and e.object_id == 1):
        rows, columns = (
            slice(o, o + n) for o, n in zip(event.offset, event.mask.shape, strict=True)
        )
        painted[event.index, rows, columns] |= event.mask
    np.testing.assert_array_equal(painted, truth)
    done = [e for e in events if isinstance(e, ObjectDone)]
    np.testing.assert_array_equal(done[1].region.to_array(truth.shape), other)


def test_without_propagation_the_prompted_slices_alone(two, truth, model, window):
    found = segment_prompts(two, PromptSet((BLOCK,)), model, window=window, propagate=False)
    expected = np.zeros_like(truth)
    expected[5] = truth[5]
    np.testing.assert_array_equal(found.instance_mask() > 0, expected)


def test_a_negative_click_is_obeyed_without_propagation(volume, truth, model, window):
    hole = SlicePrompt(7, points=(Point(37, 27, positive=False),))
    prompts = PromptSet((ObjectPrompts(1, "kidney", (*BLOCK.prompts, hole)),))
    mask = segment_prompts(volume, prompts, model, window=window, propagate=False)
    assert sorted(set(np.nonzero(mask.instance_mask())[0])) == [5, 7]
    assert mask.instance_mask()[7, 27, 37] == 0


@pytest.mark.parametrize(
    ("plane", "prompt"),
    [
        # Columns 30 to 45, slices 3 to 8, seen at row 27; then at column 38.
        (Plane.CORONAL, SlicePrompt(27, box=Box(30, 3, 46, 9), plane=Plane.CORONAL)),
        (Plane.SAGITTAL, SlicePrompt(38, box=Box(20, 3, 34, 9), plane=Plane.SAGITTAL)),
    ],
)
def test_prompts_in_other_planes_end_in_the_same_voxels(
    volume, truth, model, window, plane, prompt
):
    events: list = []
    prompts = PromptSet((ObjectPrompts(1, "kidney", (prompt,)),))
    found = segment_prompts(volume, prompts, model, window=window, on_event=events.append)
    np.testing.assert_array_equal(found.instance_mask() > 0, truth)
    assert {e.plane for e in events if isinstance(e, SliceMask)} == {plane}


def test_nothing_found_is_an_empty_object(volume, model, window, seer):
    # A click on nothing, of which not even a disc remains.
    points = (Point(10, 10), Point(10, 10, positive=False))
    prompts = PromptSet((ObjectPrompts(1, "kidney", (SlicePrompt(0, points=points),)),))
    found = segment_prompts(volume, prompts, model, window=window)
    assert found.objects[0].region.voxels == 0
    assert found.instance_mask().max() == 0


def test_no_prompts_are_no_objects(volume, model, window):
    found = segment_prompts(volume, PromptSet(), model, window=window)
    assert found.objects == ()
    assert found.class_mask().max() == 0


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ((), "has no prompts"),
        (
            (
                SlicePrompt(5, box=Box(1, 1, 5, 5)),
                SlicePrompt(5, box=Box(1, 1, 5, 5), plane=Plane.CORONAL),
            ),
            "in 2 planes",
        ),
        ((SlicePrompt(12, box=Box(1, 1, 5, 5)),), "slices run from 0 to 11"),
        ((SlicePrompt(5, box=Box(1, 1, 5, 99)),), "reaches out of the slice"),
    ],
)
def test_faulty_prompts_are_refused_before_anything_is_done(
    volume, model, window, prompts, words
):
    events: list = []
    faulty = PromptSet((BLOCK, ObjectPrompts(2, "cyst", prompts)))
    with pytest.raises(PromptError, match=words):
        segment_prompts(volume, faulty, model, window=window, on_event=events.append)
    assert events == []
    model.encode.assert_not_called()


def test_cancelling_stops_within_one_slice(volume, model, window):
    control, seen = JobControl(), []

    def on_event(event) -> None:
        if isinstance(event, SliceMask):
            seen.append(event.index)
            if event.index == 6:
                control.cancel()

    with pytest.raises(Cancelled):
        segment_prompts(
            volume,
            PromptSet((BLOCK,)),
            model,
            window=window,
            on_event=on_event,
            control=control,
        )
    assert seen == [5, 6]


def test_progress_counts_objects(two, model, window):
    reports = []
    control = JobControl(lambda p: reports.append((p.stage, p.done, p.total)))
    segment_prompts(two, TWO, model, window=window, control=control)
    assert reports == [("masks", 0, 2), ("masks", 1, 2), ("masks", 2, 2)]


def test_objects_share_what_was_encoded(volume, model, window, seer):
    stacks = Stacks(volume, window, model)
    segment_object(stacks, BLOCK)
    before = sum(seer.encoded)
    segment_object(stacks, ObjectPrompts(2, "again", BLOCK.prompts))
    assert sum(seer.encoded) == before
    assert stacks.of(Plane.AXIAL) is stacks.of(Plane.AXIAL)


@pytest.fixture
def label_file(tmp_path, volume, truth):
    return write_labels(truth.astype(np.uint8) * 3, volume.grid, tmp_path / "labels.nii.gz")


def test_a_label_file_is_a_prompt_and_is_read_once(
    volume, truth, model, window, label_file, monkeypatch
):
    calls = []
    read = writing.read_labels
    monkeypatch.setattr(
        writing, "read_labels", lambda *args: calls.append(args[0]) or read(*args)
    )
    masks = tuple(SlicePrompt(k, mask=label_file) for k in (5, 6))
    prompts = PromptSet(
        (ObjectPrompts(1, "kidney", masks), ObjectPrompts(2, "again", masks[:1]))
    )
    found = segment_prompts(volume, prompts, model, window=window)
    assert calls == [label_file]
    for segmented in found.objects:
        mask = segmented.region.to_array(truth.shape)
        # Tracked slices are exact; a mask prompt has a quarter of the crop's resolution.
        np.testing.assert_array_equal(mask[[3, 4, 7, 8]], truth[[3, 4, 7, 8]])
        assert (mask & truth).sum() / (mask | truth).sum() > 0.9


def test_a_label_file_of_another_grid_is_refused(volume, model, window, tmp_path):
    path = write_labels(
        np.ones((12, 48, 60), np.uint8),
        Grid((12, 48, 60), (3.0, 1.0, 1.0), origin=(0, 0, 7.0)),
        tmp_path / "moved.nii.gz",
    )
    prompts = PromptSet((ObjectPrompts(1, "kidney", (SlicePrompt(5, mask=path),)),))
    with pytest.raises(GeometryError, match=r"moved\.nii\.gz"):
        segment_prompts(volume, prompts, model, window=window)
    model.encode.assert_not_called()


def test_the_volumes_own_window_is_used_where_none_is_given(volume, model):
    # Percentiles of what is not background: a block of ones becomes 0 to 1.
    found = segment_prompts(volume, PromptSet((BLOCK,)), model)
    assert found.objects[0].region.voxels > 0


@pytest.mark.parametrize("model_name", ["tiny_model", "tiny_official_model"])
def test_real_models_go_the_same_way(request, model_name, volume, window, label_file):
    model = request.getfixturevalue(model_name)
    prompts = PromptSet(
        (
            BLOCK,
            ObjectPrompts(2, "click", (SlicePrompt(5, points=(Point(35, 25),)),)),
            ObjectPrompts(3, "mask", (SlicePrompt(5, mask=label_file),)),
        )
    )
    found = segment_prompts(volume, prompts, model, window=window)
    assert [o.prompts.id for o in found.objects] == [1, 2, 3]
    assert all(0 <= o.confidence <= 1 for o in found.objects)

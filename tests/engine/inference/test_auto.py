"""Auto-prompt from candidates that are given, to masks in the scan's own axis order."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.errors import Cancelled, ConfigError, ModelError
from napari_sss.engine.inference.auto import AutoOptions, auto_segment
from napari_sss.engine.inference.result import ObjectDone, ObjectsFound, SliceMask
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.intensity_source import IntensitySource
from napari_sss.engine.prompts.pcsw import PcswConfig
from napari_sss.engine.volumes.grid import AxisView, Grid
from napari_sss.engine.volumes.volume import Volume

SHAPE = (14, 48, 60)
# Rows towards the back, columns to the left, slices to the feet: canonical already.
GRID = Grid(SHAPE, (3.0, 1.0, 1.0), (5.0, -7.0, 40.0), (1, 0, 0, 0, 1, 0, 0, 0, -1))


def two_blocks() -> tuple[np.ndarray, np.ndarray]:
    large, small = np.zeros((2, *SHAPE), dtype=bool)
    large[4:11, 20:34, 30:46] = True
    small[1:6, 4:14, 6:16] = True
    return large, small


@pytest.fixture
def volume() -> Volume:
    large, small = two_blocks()
    return Volume((large | small).astype(np.float32), GRID, "CT")


@pytest.fixture
def options() -> AutoOptions:
    return AutoOptions(preset="fluid", class_name="organ", pcsw=PcswConfig())


@pytest.fixture(autouse=True)
def candidates(monkeypatch):
    """The source finds what is bright, in the volume it is given."""

    def found(self, volume, control=None):
        return {self.preset.class_name: volume.array > 0.5}

    monkeypatch.setattr(IntensitySource, "candidates", found)


def test_two_objects_with_their_voxels(volume, options, model, window):
    found = auto_segment(volume, model, options, window=window)
    large, small = two_blocks()
    assert [o.prompts.id for o in found.objects] == [1, 2]
    masks = [o.region.to_array(SHAPE) for o in found.objects]
    np.testing.assert_array_equal(masks[0] | masks[1], large | small)
    assert masks[0].sum() == large.sum()  # the larger one comes first
    assert found.class_ids == {"organ": 1}
    np.testing.assert_array_equal(found.class_mask(), large | small)
    assert found.grid == volume.grid


def test_events_come_in_order(volume, options, model, window):
    events: list = []
    found = auto_segment(volume, model, options, window=window, on_event=events.append)
    assert isinstance(events[0], ObjectsFound)
    assert [o.id for o in events[0].objects] == [1, 2]
    done = [k for k, e in enumerate(events) if isinstance(e, ObjectDone)]
    assert len(done) == 2
    assert done[-1] == len(events) - 1
    for number, (first, last) in enumerate(((1, done[0]), (done[0] + 1, done[1]))):
        between = events[first:last]
        assert between
        assert all(isinstance(e, SliceMask) for e in between)
        assert {e.object_id for e in events[first : last + 1]} == {number + 1}
        assert events[last].region is found.objects[number].region


VIEWS = [
    AxisView((0, 1, 2), (True, False, False)),
    AxisView((0, 1, 2), (False, True, True)),
    AxisView((2, 1, 0), (False, False, False)),
    AxisView((1, 2, 0), (True, False, True)),
    AxisView((0, 2, 1), (False, True, False)),
]


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_axis_order_of_the_scan_does_not_matter(volume, options, model, window, view):
    expected = auto_segment(volume, model, options, window=window)
    turned, events = volume.viewed(view), []
    found = auto_segment(turned, model, options, window=window, on_event=events.append)
    assert found.grid == turned.grid
    for one, other in zip(found.objects, expected.objects, strict=True):
        for part in ("region", "sam2", "candidate"):
            np.testing.assert_array_equal(
                getattr(one, part).to_array(turned.grid.shape),
                view.apply(getattr(other, part).to_array(SHAPE)),
            )
        prompt, mask = one.prompts.prompts[0], one.candidate.to_array(turned.grid.shape)
        slice_ = np.take(mask, prompt.index, axis=prompt.plane.axis)
        rows, columns = np.nonzero(slice_)
        assert (prompt.box.y0, prompt.box.y1) == (rows.min(), rows.max() + 1)
        assert (prompt.box.x0, prompt.box.x1) == (columns.min(), columns.max() + 1)
    np.testing.assert_array_equal(
        _painted(events, turned.grid.shape), found.instance_mask() > 0
    )


def test_nothing_found_is_an_empty_segmentation(options, model, window):
    empty, events = Volume(np.zeros(SHAPE, np.float32), GRID, "CT"), []
    found = auto_segment(empty, model, options, window=window, on_event=events.append)
    assert found.objects == ()
    assert found.class_mask().max() == 0
    assert events == [ObjectsFound(())]
    model.encode.assert_not_called()


def test_the_slice_on_screen_comes_first(volume, options, model, window):
    chosen = options.model_copy(update={"first_index": 1})
    found = auto_segment(volume, model, chosen, window=window)
    # Slice 1 shows the small block alone; both know slice 5, where the larger leads.
    assert [o.region.offset[0] for o in found.objects] == [1, 4]
    chosen = options.model_copy(update={"first_index": 5})
    found = auto_segment(volume, model, chosen, window=window)
    assert [o.region.offset[0] for o in found.objects] == [4, 1]


def test_tracking_stays_near_the_candidate(options, model, window, monkeypatch):
    # Bright throughout, but the candidate has slices 12 to 15 alone: 12 mm are 4 slices.
    array = np.zeros((30, 48, 60), np.float32)
    array[:, 20:34, 30:46] = 1
    candidate = array > 0.5
    candidate[:12] = candidate[16:] = False
    monkeypatch.setattr(
        IntensitySource, "candidates", lambda self, volume, control=None: {"organ": candidate}
    )
    grid = Grid(array.shape, (3.0, 1.0, 1.0), direction=GRID.direction)
    found = auto_segment(Volume(array, grid, "CT"), model, options, window=window)
    slices = np.nonzero(found.instance_mask().any(axis=(1, 2)))[0]
    assert (slices.min(), slices.max()) == (8, 19)


@pytest.mark.parametrize(
    ("preset", "propagate", "origin"),
    [("bone", True, "candidate"), ("fluid", True, "sam2"), ("bone", False, "sam2")],
)
def test_the_preset_says_which_mask_is_kept(
    volume, options, model, window, preset, propagate, origin
):
    chosen = options.model_copy(update={"preset": preset, "propagate": propagate})
    found = auto_segment(volume, model, chosen, window=window)
    for segmented in found.objects:
        assert segmented.origin == origin
        assert segmented.region is (
            segmented.candidate if origin == "candidate" else segmented.sam2
        )
        assert 0 < segmented.confidence <= 1
        assert segmented.prompts.confidence == segmented.confidence


def test_several_tissues_are_looked_for_in_one_run(volume, model, window, monkeypatch):
    large, small = two_blocks()
    masks = {"bone": large, "fluid": small}
    monkeypatch.setattr(
        IntensitySource,
        "candidates",
        lambda self, volume, control=None: {
            self.preset.class_name: masks[self.preset.class_name]
        },
    )
    options = AutoOptions(preset="fluid, bone", pcsw=PcswConfig())
    found = auto_segment(volume, model, options, window=window)
    assert found.class_ids == {"bone": 1, "fluid": 2}
    assert sorted(o.prompts.id for o in found.objects) == [1, 2]
    kept = {o.prompts.class_name: o.origin for o in found.objects}
    assert kept == {"bone": "candidate", "fluid": "sam2"}
    np.testing.assert_array_equal(found.class_mask(), 1 * large + 2 * small)


def test_a_class_of_which_nothing_is_found_keeps_its_id(volume, options, model, window):
    empty = Volume(np.zeros(SHAPE, np.float32), GRID, "CT")
    assert auto_segment(empty, model, options, window=window).class_ids == {"organ": 1}


def test_without_propagation_one_slice_per_object(volume, options, model, window):
    chosen = options.model_copy(update={"propagate": False})
    found = auto_segment(volume, model, chosen, window=window)
    for segmented in found.objects:
        assert segmented.region.mask.shape[0] == 1
        assert segmented.region.offset[0] == segmented.prompts.prompts[0].index


def test_cancelling_raises(volume, options, model, window):
    control, seen = JobControl(), []

    def on_event(event) -> None:
        seen.append(event)
        if isinstance(event, SliceMask):
            control.cancel()

    with pytest.raises(Cancelled):
        auto_segment(volume, model, options, window=window, on_event=on_event, control=control)
    assert [type(e) for e in seen] == [ObjectsFound, SliceMask]


def test_a_job_cancelled_before_it_begins_does_nothing(volume, options, model, window):
    control = JobControl()
    control.cancel()
    with pytest.raises(Cancelled):
        auto_segment(volume, model, options, window=window, control=control)
    model.encode.assert_not_called()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"preset": "unobtainium"}, ConfigError, "unobtainium"),
        ({"preset": None}, ConfigError, "needs a tissue preset"),
        ({"window": "sunshine"}, ConfigError, "sunshine"),
        ({"source": "model"}, ModelError, "no semantic head"),
    ],
)
def test_options_that_cannot_be_met_are_refused(volume, options, model, changes, error, words):
    with pytest.raises(error, match=words):
        auto_segment(volume, model, options.model_copy(update=changes))


def test_stages_are_named(volume, options, model, window):
    stages: list[str] = []
    control = JobControl(lambda p: stages.append(p.stage))
    auto_segment(volume, model, options, window=window, control=control)
    assert stages[0] == "candidates"
    assert stages[-1] == "masks"


def _painted(events, shape) -> np.ndarray:
    painted = np.zeros(shape, dtype=bool)
    for event in (e for e in events if isinstance(e, SliceMask)):
        index: list = [0, 0, 0]
        index[event.plane.axis] = event.index
        for axis, start, count in zip(
            (event.plane.row_axis, event.plane.column_axis),
            event.offset,
            event.mask.shape,
            strict=True,
        ):
            index[axis] = slice(start, start + count)
        painted[tuple(index)] |= event.mask
    return painted

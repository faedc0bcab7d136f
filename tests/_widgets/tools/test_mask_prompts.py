"""Masks of other layers and of files as prompts."""

from __future__ import annotations

import time

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sss._layers.mask_outline import outline_of
from napari_sss._layers.workspace import Workspace
from napari_sss._widgets.tools.mask_prompts import MaskPrompts
from napari_sss._widgets.worker import Mailbox, Worker
from napari_sss.engine.prompts.types import Plane, SlicePrompt
from napari_sss.engine.volumes.writing import read_labels, write_labels

pytestmark = pytest.mark.gui  # napari's layers


class Bench:
    def __init__(self, viewer, folder):
        self.viewer = viewer
        self.workspace = Workspace(viewer)
        self.mailbox = Mailbox()
        self.worker = Worker(self.mailbox)
        self.masks = MaskPrompts(self.workspace, self.worker, folder=folder)
        self.edits, self.notices, self.errors = [], [], []
        self.workspace.prompted.connect(self.edits.extend)
        self.masks.noticed.connect(lambda notice: self.notices.append(notice.text))
        self.masks.failed.connect(self.errors.append)

    @property
    def grid(self):
        """As the scan is displayed, and so the layers of these tests."""
        return self.workspace.current.scan.volume.grid

    def go_to(self, plane, index):
        """Show a slice as the slider counts it."""
        self.workspace.view.go_to(self.workspace.image, plane, index)

    def settle(self):
        deadline = time.monotonic() + 10
        while self.worker.busy or not self.mailbox.empty:
            assert time.monotonic() < deadline
            while (letter := self.mailbox.take()) is not None:
                letter()
            time.sleep(0.002)


@pytest.fixture
def bench(ramp, add_scan, tmp_path):
    viewer = ViewerModel()
    add_scan(viewer, ramp())
    bench = Bench(viewer, tmp_path / "masks")
    yield bench
    bench.worker.close(10)


@pytest.fixture
def labels(bench):
    """Label 1 is a box of 4 x 6 on slices 3 to 5, label 7 one voxel on slice 4."""
    array = np.zeros(bench.grid.shape, np.uint8)
    array[3:6, 10:14, 20:26] = 1
    array[4, 40, 40] = 7
    return array


def test_the_chosen_label_of_a_layer_is_the_prompt(bench, labels):
    layer = bench.viewer.add_labels(labels, scale=bench.grid.spacing, units="mm")
    layer.selected_label = 7
    bench.go_to(Plane.AXIAL, 4)
    bench.masks.use_layer(layer)
    bench.settle()
    (prompt,) = bench.edits[0].slices
    written = read_labels(prompt.mask, bench.grid)
    assert np.argwhere(written).tolist() == [[4, 40, 40]]


@pytest.mark.parametrize(
    ("plane", "index", "voxels"),
    [(Plane.AXIAL, 3, 24), (Plane.CORONAL, 12, 18), (Plane.SAGITTAL, 22, 12)],
)
def test_a_mask_is_taken_in_the_plane_in_view(bench, labels, plane, index, voxels):
    # The box has 3 slices, 4 rows and 6 columns: 4 x 6, 3 x 6 and 3 x 4 voxels in a section.
    layer = bench.viewer.add_labels(labels, scale=bench.grid.spacing, units="mm")
    layer.selected_label = 99  # occurs nowhere: whatever is not 0 counts
    bench.go_to(plane, index)
    bench.masks.use_layer(layer)
    bench.settle()
    (prompt,) = bench.edits[0].slices
    shown = bench.workspace.current.slice_to_view(prompt.plane, prompt.index)
    assert shown == (plane, index)
    written = read_labels(prompt.mask, bench.grid)
    assert np.count_nonzero(written) == voxels
    assert np.unique(np.nonzero(written)[plane.axis]).tolist() == [index]


def test_the_mask_of_a_prompt_is_at_hand_and_else_read_from_its_file(bench, labels):
    layer = bench.viewer.add_labels(labels, scale=bench.grid.spacing, units="mm")
    bench.go_to(Plane.AXIAL, 3)
    bench.masks.use_layer(layer)
    bench.settle()
    (prompt,) = bench.edits[0].slices
    for masks in (bench.masks, MaskPrompts(bench.workspace, bench.worker)):
        given = []
        masks.read(prompt, given.append)
        bench.settle()
        whole = given[0][prompt.mask]
        # The scan is stored from foot to head: what is shown as slice 3 of 24 is slice 20.
        assert prompt.index == 20
        np.testing.assert_array_equal(whole[20], labels[3] != 0)
    given = []
    bench.masks.read(SlicePrompt(3), given.append)
    assert given == [{}]


def test_an_empty_slice_is_refused_with_the_remedy(bench, labels):
    layer = bench.viewer.add_labels(labels, name="old", scale=bench.grid.spacing, units="mm")
    bench.go_to(Plane.AXIAL, 9)
    bench.masks.use_layer(layer)
    bench.settle()
    assert bench.edits == []
    assert bench.notices == ["old has nothing on this slice: go to a slice on which it has."]


def test_layers_of_another_size_say_why_they_cannot_be_used(bench, labels):
    fits = bench.viewer.add_labels(labels)
    other = bench.viewer.add_labels(labels[:4])
    sources = bench.masks.sources()
    assert [source.layer for source in sources] == [fits, other]
    assert [bool(source.why_not) for source in sources] == [False, True]


def test_a_file_with_one_label_is_the_prompt_at_once(bench, labels, tmp_path):
    path = tmp_path / "given.nii.gz"
    write_labels(labels, bench.grid, path)
    bench.go_to(Plane.AXIAL, 3)
    bench.masks.use_file(path)
    bench.settle()
    assert len(bench.edits) == 1


def test_a_file_with_several_labels_is_opened_to_choose_one(bench, labels, tmp_path):
    path = tmp_path / "given.nii.gz"
    write_labels(labels, bench.grid, path)
    bench.go_to(Plane.AXIAL, 4)
    bench.masks.use_file(path)
    bench.settle()
    assert bench.edits == []
    assert bench.viewer.layers[-1].name == "given.nii.gz"
    assert "choose one" in bench.notices[0]


def test_a_file_that_cannot_be_read_is_an_error(bench, tmp_path):
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(b"nothing")
    bench.masks.use_file(path)
    bench.settle()
    assert str(path) in str(bench.errors[0])


def test_the_outline_runs_around_the_voxels():
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:7] = True
    x, y = np.array(outline_of(mask)).T
    # Half way between the last voxel inside and the first one outside.
    assert (x.min(), x.max(), y.min(), y.max()) == (2.5, 6.5, 1.5, 4.5)


def test_a_mask_at_the_edge_of_the_slice_has_an_outline():
    assert len(outline_of(np.ones((4, 4), bool))) >= 4

"""The panel on a viewer's model, without napari's window: quick."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_sss._layers.boxes_layer import BOXES
from napari_sss._layers.masks_layer import MASKS
from napari_sss._layers.plane_view import camera_of
from napari_sss._layers.points_layer import POINTS
from napari_sss._widgets.controller import NO_SCAN
from napari_sss._widgets.panel import SSSPanel
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.intensity import PRESETS
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.volume import Volume

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def panel(viewer, qtbot, engine, wait_until_done):
    panel = SSSPanel(viewer, engine=engine)
    qtbot.addWidget(panel)
    panel.show()
    wait_until_done(panel)
    yield panel
    engine.gate.set()
    panel.shut_down()


@pytest.fixture
def opened(viewer, panel, ramp, add_scan):
    """The panel with a scan in view."""
    add_scan(viewer, ramp())
    return panel


def click(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_the_empty_panel_says_what_to_do_first(panel):
    assert panel.run.hint.text() == NO_SCAN
    assert not panel.run.auto.isEnabled()
    assert panel.run.auto.toolTip() == NO_SCAN
    assert not panel.objects.export.isEnabled()
    assert panel.objects.export.toolTip() == NO_SCAN


def test_the_panel_fits_a_small_screen(opened):
    hint = opened.minimumSizeHint()
    assert hint.width() <= 360  # without a theme; in napari's it is 312
    assert hint.height() <= 650  # 768 less the menu, the title bars and the status bar


def test_one_click_gives_prompts_masks_and_a_table(viewer, opened, wait_until_done):
    click(opened.run.auto)
    wait_until_done(opened)
    labels = viewer.layers[MASKS].data
    assert np.count_nonzero(labels == 1) == np.count_nonzero(labels == 2) == 400
    assert len(viewer.layers[BOXES].data) == len(viewer.layers[POINTS].data) == 2
    model = opened.objects.table.model()
    cells = [model.index(0, column).data() for column in range(4)]
    # 400 voxels of 2 mm^3 are 0.8 ml; slices 4 to 7 of 24 are shown upside down.
    assert cells == ["thing 1", "16–19", "0.8", "0.80"]
    assert opened.objects.export.isEnabled()
    assert not opened.run.cancel.isEnabled()


def test_a_click_in_the_table_shows_the_object_and_selects_its_box(
    viewer, opened, wait_until_done
):
    click(opened.run.auto)
    wait_until_done(opened)
    table = opened.objects.table
    cell = table.visualRect(table.model().index(1, 0)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=cell)
    assert viewer.dims.current_step[0] == 23 - 9
    assert viewer.layers.selection.active is viewer.layers[BOXES]
    assert viewer.layers[BOXES].selected_data == {1}


def test_cancel_stops_and_keeps(viewer, opened, engine, qtbot, wait_until_done):
    engine.pause = 0.05
    click(opened.run.auto)
    qtbot.waitUntil(
        lambda: MASKS in viewer.layers and viewer.layers[MASKS].data.any(), timeout=30_000
    )
    assert opened.run.cancel.isEnabled()
    assert not opened.run.auto.isEnabled()
    assert not opened.scan.scans.isEnabled()
    click(opened.run.cancel)
    wait_until_done(opened)
    assert viewer.layers[MASKS].data.any()
    assert opened.run.auto.isEnabled()


def test_a_failure_is_a_notification_and_the_layers_stay(
    viewer, opened, engine, wait_until_done
):
    from napari.utils.notifications import notification_manager

    engine.fail_with, engine.fail_after_masks = RuntimeError("out of memory"), 3
    click(opened.run.auto)
    wait_until_done(opened)
    assert not viewer.layers[MASKS].data.any()
    assert opened.workspace.prompts() == ()
    assert BOXES not in viewer.layers or len(viewer.layers[BOXES].data) == 0
    assert any("out of memory" in str(n.message) for n in notification_manager.records)


def test_window_and_contrast_follow_each_other_while_linked(viewer, opened):
    image = viewer.layers["scan"]
    assert opened.scan.windows.key == "abdomen"
    opened.scan.windows.setCurrentIndex(opened.scan.windows.findData("lung"))
    opened.scan.windows.activated.emit(opened.scan.windows.currentIndex())
    lung = PRESETS["lung"].window
    assert tuple(image.contrast_limits) == (lung.low, lung.high)
    image.contrast_limits = (0, 100)
    assert opened.scan.windows.currentText() == "Custom 50 / 100"
    assert opened.controller.window.high == 100
    click(opened.scan.link)
    image.contrast_limits = (0, 50)
    assert opened.controller.window.high == 100


def test_a_tissue_brings_its_window_and_its_class(opened):
    sources = opened.run.sources
    sources.setCurrentIndex(sources.findData("intensity:bone"))
    sources.activated.emit(sources.currentIndex())
    assert opened.controller.window == PRESETS["bone"].window
    assert opened.run.class_given == "bone"


def test_what_cannot_be_chosen_says_why(opened):
    sources = opened.run.sources
    line = sources.findData("model")
    item = sources.model().item(line)
    assert not item.flags() & Qt.ItemFlag.ItemIsEnabled
    assert "not fine-tuned" in item.toolTip()


def test_an_mr_is_offered_what_suits_it(viewer, panel, ramp, add_scan):
    add_scan(viewer, ramp(modality="MR"))
    assert panel.run.sources.key == "intensity:mr-bright"
    assert panel.run.sources.findData("intensity:bone") < 0
    assert panel.scan.windows.count() <= 2


def test_a_scan_without_spacing_is_warned_of_and_can_be_given_one(viewer, panel):
    viewer.add_image(np.zeros((24, 64, 64), np.float32), name="plain")
    assert panel.scan.spacing.isVisible()
    for box, value in zip(panel.scan._mm, (3.0, 0.7, 0.8), strict=True):
        box.setValue(value)
    click(panel.scan.use_spacing)
    assert not panel.scan.spacing.isVisible()
    assert panel.workspace.volume.grid.spacing == (3.0, 0.7, 0.8)
    assert tuple(viewer.layers["plain"].scale) == (3.0, 0.7, 0.8)


def test_an_oblique_scan_has_a_note(viewer, panel, add_scan):
    tilted = Grid((24, 64, 64), direction=(1, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8))
    add_scan(viewer, Volume(np.zeros((24, 64, 64), np.int16), tilted, "CT"))
    assert "oblique" in panel.scan.notes.text()
    assert panel.scan.notes.isVisible()


def test_the_exported_mask_lies_on_the_scan(
    viewer, panel, engine, tmp_path, wait_until_done, ramp, add_scan
):
    volume = ramp(tmp_path / "scan.nii.gz")
    add_scan(viewer, volume)
    click(panel.run.auto)
    wait_until_done(panel)
    path = tmp_path / "mask.nii.gz"
    panel.export_to(path)
    wait_until_done(panel)
    written = read_volume(path)
    assert written.grid.spacing == volume.grid.spacing
    # It is made in the file's own order: slices 4 to 11, shown as 23 - 11 to 23 - 4.
    assert np.flatnonzero(written.array.any(axis=(1, 2))).tolist() == list(range(4, 12))
    np.testing.assert_array_equal(written.array[::-1] > 0, viewer.layers[MASKS].data > 0)


def test_delete_in_the_table_removes_the_object(viewer, opened, wait_until_done):
    click(opened.run.auto)
    wait_until_done(opened)
    opened.objects.table.selectRow(0)
    QTest.keyClick(opened.objects.table, Qt.Key.Key_Delete)
    wait_until_done(opened)
    assert np.unique(viewer.layers[MASKS].data).tolist() == [0, 2]
    assert opened.objects.table.model().rowCount() == 1


def test_closing_the_viewer_ends_the_thread(opened, engine, qtbot):
    engine.gate.clear()
    click(opened.run.auto)
    qtbot.waitUntil(lambda: bool(engine.requests))
    threading.Timer(0.2, engine.gate.set).start()
    opened.shut_down()
    assert "napari-sss" not in {t.name for t in threading.enumerate()}


def test_a_closed_panel_listens_no_more(viewer, opened, ramp, add_scan):
    opened.close()
    viewer.dims.order = (1, 0, 2)
    camera_of(viewer).orientation2d = ("up", "left")
    add_scan(viewer, ramp())
    assert opened.workspace.image is not viewer.layers[-1]


def test_another_frame_of_a_4d_file_is_opened_beside_it(
    viewer, panel, engine, wait_until_done, add_scan, tmp_path
):
    import SimpleITK as sitk  # noqa: N813

    from napari_sss._widgets.engine_access import TorchEngine

    engine.read_frame = TorchEngine().read_frame
    path = tmp_path / "cine.nii.gz"
    frames = np.arange(3, dtype=np.int16)[:, None, None, None] * np.ones((4, 5, 6), np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(frames, isVector=False), str(path))
    add_scan(viewer, read_volume(path))
    assert panel.scan.frames.isVisible()
    panel.scan.frame.setValue(2)
    click(panel.scan.open_frame)
    wait_until_done(panel)
    assert [layer.name for layer in viewer.layers] == ["cine", "cine frame 2"]
    assert panel.workspace.volume.array.max() == 2
    assert panel.workspace.image is viewer.layers[1]

"""The panel with the real engine and a tiny model of random weights."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_sss._layers.boxes_layer import BOXES
from napari_sss._layers.masks_layer import MASKS
from napari_sss._layers.points_layer import POINTS
from napari_sss._widgets.panel import SSSPanel
from napari_sss._widgets.status import ModelPhase, ObjectState
from napari_sss.engine.volumes.phantom import make_phantom
from napari_sss.engine.volumes.reading import read_volume

pytestmark = [pytest.mark.gui, pytest.mark.slow]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model of 64 pixels and 32 channels, as a file."""
    from napari_sss.engine.models.architecture import Architecture, build_sam2
    from napari_sss.engine.models.checkpoint import write_checkpoint

    architecture = Architecture(
        image_size=64,
        embed_dim=16,
        stages=(1, 1, 2, 1),
        global_att_blocks=(3,),
        window_spec=(8, 4, 4, 2),
        d_model=32,
        memory_dim=16,
        memory_layers=1,
        memory_feedforward=32,
        dropout=0.0,
        num_memories=3,
        drawn_prompts=True,
    )
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    write_checkpoint(path, build_sam2(architecture), {"architecture": architecture})
    return path


@pytest.fixture
def panel(qtbot, checkpoint):
    panel = SSSPanel(ViewerModel(), model=str(checkpoint))
    qtbot.addWidget(panel)
    panel.show()
    yield panel
    panel.shut_down()


@pytest.fixture
def opened(panel, add_scan):
    phantom = make_phantom((24, 96, 96))
    add_scan(panel.workspace.viewer, phantom.volume)
    panel.run.sources.show_key("intensity:kidney-contrast")
    return panel


def test_from_the_click_to_the_exported_mask(opened, qtbot, wait_until_done, tmp_path):
    viewer = opened.workspace.viewer
    wait_until_done(opened)
    assert opened.controller.model.status.phase is ModelPhase.LOADED
    assert "CPU" in opened.device.text()
    QTest.mouseClick(opened.run.auto, Qt.MouseButton.LeftButton)
    wait_until_done(opened)
    rows = opened.controller.objects.rows
    assert rows
    assert {row.state for row in rows} == {ObjectState.SUGGESTED}
    labels = viewer.layers[MASKS].data
    # The table tells what the layer holds: 1 ml are 1000 mm^3.
    ml = np.prod(opened.workspace.volume.grid.spacing) / 1000
    for row in rows:
        if row.first is not None:
            slices = np.flatnonzero((labels == row.id).any(axis=(1, 2)))
            assert set(slices) <= set(range(row.first, row.last + 1))
            assert np.count_nonzero(labels == row.id) * ml <= row.ml + 1e-6
    assert len(viewer.layers[BOXES].data) >= len(rows)
    assert len(viewer.layers[POINTS].data) >= 1

    path = tmp_path / "mask.nii.gz"
    opened.export_to(path)
    wait_until_done(opened)
    written = read_volume(path, modality="unknown")
    source = opened.workspace.current.scan.source
    assert written.grid.distance_to(source.grid) < 1e-4
    shown = opened.workspace.current.scan.view.apply(written.array)
    np.testing.assert_array_equal(shown > 0, labels > 0)


def test_an_edited_box_is_decoded_anew(opened, qtbot, wait_until_done):
    QTest.mouseClick(opened.run.auto, Qt.MouseButton.LeftButton)
    wait_until_done(opened)
    viewer = opened.workspace.viewer
    boxes = viewer.layers[BOXES]
    moved = list(boxes.data)
    moved[0] = moved[0] + [0, 2, 2]
    boxes.data = moved
    wait_until_done(opened)
    edited = int(boxes.features["object_id"][0])
    assert opened.controller.objects.get(edited).state is ObjectState.EDITED
    assert opened.controller.status.why_not == ""


def test_the_reader_the_manifest_and_the_panel_import_no_torch():
    import subprocess

    code = (
        "import sys; import napari_sss._widgets.panel, napari_sss._reader, "
        "napari_sss._writer, napari_sss._sample_data; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

"""Scans dropped on napari's window, with the events that a real drop sends."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMainWindow, QWidget

from napari_sss._layers.conversion import source_of
from napari_sss._layers.scan_opening import ScanOpening
from napari_sss._widgets.cases.drops import ScanDrops, one_per_scan

pytestmark = pytest.mark.gui


class PlainViewer:
    """As much of a viewer as opening needs: quicker to make than napari's."""

    def __init__(self, widget):
        self.layers = []
        self.status = ""
        self.widget = widget

    def add_layer(self, layer):
        self.layers.append(layer)


class DropPlace(QWidget):
    def dragEnterEvent(self, event):  # noqa: N802
        event.accept()


class PlainWindow(QMainWindow):
    """A main window with a place to drop things on, as napari's has it."""

    def __init__(self):
        super().__init__()
        self._qt_viewer = DropPlace()
        self._qt_viewer.setAcceptDrops(True)
        self.setCentralWidget(self._qt_viewer)


class Window:
    """A window with our ear on it."""

    def __init__(self, viewer, widget, qtbot):
        self.viewer, self.widget, self.qtbot = viewer, widget, qtbot
        self.drops = ScanDrops(viewer, self.widget)
        self.drops.reach(self.widget)

    @property
    def opening(self):
        return self.widget.findChild(ScanOpening)

    def drop(self, *paths):
        """Drag over the canvas and let go, as a window system tells it."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        place, action = QPoint(200, 200), Qt.DropAction.CopyAction
        held = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        target = self.widget._qt_viewer
        QApplication.sendEvent(target, QDragEnterEvent(place, action, data, *held))
        QApplication.sendEvent(target, QDragMoveEvent(place, action, data, *held))
        QApplication.sendEvent(target, QDropEvent(QPointF(place), action, data, *held))
        assert QApplication.activeModalWidget() is None
        self.qtbot.waitUntil(lambda: not self.opening.busy, timeout=30_000)

    @property
    def layers(self):
        return {layer.name: layer.data.shape for layer in self.viewer.layers}


@pytest.fixture
def window(qtbot):
    widget = PlainWindow()
    qtbot.addWidget(widget)
    widget.show()
    made = Window(PlainViewer(widget), widget, qtbot)
    yield made
    made.drops.release()


@pytest.fixture
def enhanced(tmp_path):
    """One multi-frame file of three frames of 4 x 5 pixels, 5 mm apart, frame k all k."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.sequence import Sequence

    def item(**values):
        made = Dataset()
        for name, value in values.items():
            setattr(made, name, value)
        return made

    image = Dataset()
    image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"  # Enhanced CT Image Storage
    image.SOPInstanceUID = "1.2.3.4"
    image.SeriesInstanceUID, image.Modality = "1.2.3", "CT"
    image.NumberOfFrames, image.Rows, image.Columns = 3, 4, 5
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    shared = item(
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
        PixelMeasuresSequence=Sequence([item(PixelSpacing=[2, 2], SliceThickness=5)]),
        PixelValueTransformationSequence=Sequence(
            [item(RescaleIntercept=-1000, RescaleSlope=1, RescaleType="HU")]
        ),
    )
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    image.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(PlanePositionSequence=Sequence([item(ImagePositionPatient=[0, 0, 5 * k])]))
            for k in range(3)
        ]
    )
    image.PixelData = np.repeat(np.arange(3, dtype="<u2"), 20).tobytes()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    path = tmp_path / "enhanced"
    image.save_as(path, enforce_file_format=True)
    return path


def test_a_nifti(window, make_scan):
    window.drop(make_scan("a.nii.gz"))
    assert window.layers == {"a": (4, 12, 14)}
    volume, _ = source_of(window.viewer.layers[0].metadata)
    assert volume.grid.spacing == (3, 0.5, 1)


def test_several_files_at_once(window, make_scan):
    window.drop(make_scan("a.nii.gz"), make_scan("b.nrrd", 1))
    assert set(window.layers) == {"a", "b"}


def test_a_dicom_folder_and_its_slices(window, make_series):
    series = make_series()
    window.drop(series)
    assert window.layers == {"series": (4, 6, 5)}
    window.viewer.layers.clear()
    window.drop(*sorted(series.iterdir()))
    assert list(window.layers.values()) == [(4, 6, 5)]


def test_an_enhanced_multi_frame_file(window, enhanced):
    window.drop(enhanced)
    assert window.layers == {"enhanced": (3, 4, 5)}
    # Head first: the last frame, whose pixels are 2 - 1000, is shown first.
    assert window.viewer.layers[0].data[:, 0, 0].tolist() == [-998, -999, -1000]


def test_of_several_series_the_person_chooses(window, make_series, qtbot):
    make_series("1.2.5", slices=3, description="portal")
    folder = make_series("1.2.6", slices=4, description="late")
    window.drop(folder)
    assert window.layers == {}
    chooser = window.opening.chooser
    assert not chooser.isModal()
    titles = [chooser.list.item(k).text() for k in range(chooser.list.count())]
    assert titles == ["CT · portal · 3 slices", "CT · late · 4 slices"]
    assert chooser.list.currentRow() == 1, "the larger one is proposed"
    place = chooser.list.visualItemRect(chooser.list.item(0)).center()
    QTest.mouseClick(chooser.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseClick(chooser.open_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(window.layers), timeout=30_000)
    assert window.layers == {"series": (3, 6, 5)}
    assert window.opening.chooser is None


def test_the_choice_can_be_left_open(window, make_series, make_scan):
    make_series("1.2.5")
    window.drop(make_series("1.2.6"))
    window.drop(make_scan("a.nii.gz"))  # the window waits for nobody
    assert set(window.layers) == {"a"}
    window.opening.chooser.reject()
    assert window.opening.chooser is None
    assert set(window.layers) == {"a"}


def test_of_several_frames_the_person_chooses(window, tmp_path, qtbot):
    frames = np.arange(3 * 2 * 4 * 5, dtype=np.int16).reshape(3, 2, 4, 5)
    path = tmp_path / "moving.nii.gz"
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(f) for f in frames]), str(path))
    window.drop(path)
    chooser = window.opening.chooser
    assert chooser.list.count() == 3
    chooser.list.setCurrentRow(2)
    chooser.accept()
    qtbot.waitUntil(lambda: bool(window.layers), timeout=30_000)
    volume, _ = source_of(window.viewer.layers[0].metadata)
    assert np.array_equal(volume.array, frames[2])
    assert volume.source.frame == 2


def test_what_cannot_be_read_is_told(window, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("napari.utils.notifications.show_error", said.append)
    (tmp_path / "broken.nii.gz").write_bytes(b"\x1f\x8bnothing")
    window.drop(tmp_path / "broken.nii.gz")
    assert window.layers == {}
    assert "broken.nii.gz" in said[0]


def test_other_files_are_left_to_napari(window, tmp_path):
    picture = tmp_path / "photo.png"
    picture.write_bytes(b"")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(picture))])
    event = QDropEvent(
        QPointF(9, 9),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    assert not window.drops.eventFilter(window.widget, event)


def test_in_naparis_own_window(make_napari_viewer, make_scan, make_series, enhanced, qtbot):
    """Without us napari would ask which plugin is to read each of these."""
    viewer = make_napari_viewer(show=True)
    window = Window(viewer, viewer.window._qt_window, qtbot)
    window.drop(make_scan("a.nii.gz"))
    window.drop(make_series("1.2.5", folder="one"))
    window.drop(enhanced)
    assert window.layers == {"a": (4, 12, 14), "one": (4, 6, 5), "enhanced": (3, 4, 5)}
    make_series("1.2.6", slices=3, folder="two")
    window.drop(make_series("1.2.7", slices=4, folder="two"))
    window.opening.chooser.accept()
    qtbot.waitUntil(lambda: "two" in window.layers, timeout=30_000)
    assert window.layers["two"] == (4, 6, 5)
    window.drops.release()
    window.viewer = window.widget = None


def test_the_reader_asks_in_the_window_which_series(make_napari_viewer, make_series, qtbot):
    """As File > Open Folder comes to it, with napari's own drop or without the panel."""
    viewer = make_napari_viewer(show=True)
    make_series("1.2.5", slices=3)
    folder = make_series("1.2.6", slices=4)
    assert viewer.open(str(folder), plugin="napari-sss") == []
    opening = viewer.window._qt_window.findChild(ScanOpening)
    opening.chooser.accept()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=30_000)
    assert viewer.layers[0].data.shape == (4, 6, 5)


def test_slices_dropped_together_stand_for_their_folder(make_series, make_scan, tmp_path):
    slices = sorted(make_series().iterdir())
    scan = make_scan()
    assert one_per_scan([slices[0], scan, slices[1]]) == [slices[0].parent, scan]
    assert one_per_scan([slices[0], scan]) == [slices[0], scan]

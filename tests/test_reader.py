"""The reader that napari calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_sss._layers.conversion import source_of
from napari_sss._reader import get_reader, read_layers
from napari_sss.engine.errors import VolumeError
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import write_volume


@pytest.fixture
def scan(tmp_path):
    array = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    return str(write_volume(Volume(array, Grid((4, 5, 6), (3, 1, 0.5))), tmp_path / "a.nii.gz"))


@pytest.mark.parametrize(
    "name", ["a.nii", "a.nii.gz", "A.NII.GZ", "a.nrrd", "a.nhdr", "a.mha", "a.mhd", "a.dcm"]
)
def test_known_extensions(name):
    assert get_reader(name) is not None


@pytest.mark.parametrize("name", ["a.png", "a.gz", "nii", "a.tif", "no/such/folder"])
def test_unknown_extensions(name):
    assert get_reader(name) is None


def test_dicom_is_known_by_its_content(tmp_path):
    image = tmp_path / "CT.1.2.840"
    image.write_bytes(bytes(128) + b"DICM" + bytes(50))
    assert get_reader(str(image)) is not None
    assert get_reader(str(tmp_path)) is not None
    assert get_reader([str(image), "a.png"]) is None
    image.write_bytes(bytes(300))
    assert get_reader(str(image)) is None
    assert get_reader(str(tmp_path)) is None


def test_layer(scan):
    ((data, keywords, kind),) = get_reader(scan)(scan)
    assert kind == "image"
    assert keywords["name"] == "a"
    assert keywords["scale"] == (3, 1, 0.5)
    volume, view = source_of(keywords["metadata"])
    np.testing.assert_array_equal(data, view.apply(volume.array))
    assert data[0, 0, 0] == 3 * 30  # head first: the last slice of the file


def test_several_files_are_several_layers(scan, tmp_path):
    second = tmp_path / "b.nii.gz"
    second.write_bytes(Path(scan).read_bytes())
    layers = get_reader([scan, str(second)])([scan, str(second)])
    assert [keywords["name"] for _, keywords, _ in layers] == ["a", "b"]


def test_notes_become_warnings(tmp_path):
    path = str(write_volume(Volume(np.zeros((2, 3, 4)), Grid((2, 3, 4))), tmp_path / "a.nrrd"))
    with pytest.warns(UserWarning, match=r"a: a\.nrrd gives no spacing"):
        get_reader(path)(path)


def test_errors_reach_napari_with_their_remedy(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"")
    with pytest.raises(VolumeError, match="is empty"):
        get_reader(str(path))(str(path))


@pytest.mark.data
def test_dicom_files_opened_together_are_one_series(test_data):
    files = sorted(str(f) for f in (test_data / "ct" / "example_ct_dicom").iterdir())
    layers = get_reader(files)(files)
    assert [data.shape for data, _, _ in layers] == [(20, 512, 512)]


@pytest.fixture
def two_series(tmp_path, monkeypatch):
    """A folder of two series, as the engine would tell of it."""
    from napari_sss.engine.errors import SeriesChoiceError
    from napari_sss.engine.volumes import reading

    infos = tuple(reading.SeriesInfo(uid, "", "CT", n) for uid, n in (("1.1", 3), ("1.2", 90)))
    asked = []

    def read_volume(path, series_uid=None):
        asked.append(series_uid)
        if series_uid is None:
            raise SeriesChoiceError("2 series", series=("1.1", "1.2"))
        return Volume(np.zeros((2, 3, 4)), Grid((2, 3, 4)))

    monkeypatch.setattr(reading, "read_volume", read_volume)
    monkeypatch.setattr(reading, "list_series", lambda folder: infos)
    monkeypatch.setattr(reading, "series_uid_of", lambda path: "1.1")
    return tmp_path, asked


def test_the_largest_of_several_series_is_opened(two_series):
    folder, asked = two_series
    with pytest.warns(UserWarning, match=r"2 series.*open them together.*1\.2.*3 slices: 1\.1"):
        read_layers(str(folder))
    assert asked == [None, "1.2"]


def test_files_opened_together_choose_their_series(two_series):
    folder, asked = two_series
    files = [folder / "a", folder / "b"]
    for file in files:
        file.write_bytes(bytes(128) + b"DICM")
    assert len(read_layers([str(file) for file in files])) == 1
    assert asked == ["1.1"]


def test_nothing_heavy_is_imported_to_decide():
    heavy = "torch", "SimpleITK", "scipy", "skimage", "matplotlib", "napari"
    program = (
        "import sys, napari_sss._reader, napari_sss._writer, napari_sss._sample_data\n"
        "napari_sss._reader.get_reader('scan.nii.gz')\n"
        f"sys.exit(', '.join(m for m in {heavy} if m in sys.modules) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")

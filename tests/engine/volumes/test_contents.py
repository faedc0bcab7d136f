"""Which scans lie at a path, told by headers."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.errors import VolumeError
from napari_sss.engine.volumes.contents import contents_of
from napari_sss.engine.volumes.reading import read_volume

SLICE = np.zeros((3, 4), "<u2")


def test_a_file_is_one_scan(make_nifti, make_dicom):
    nifti = make_nifti(np.zeros((2, 3, 4), "i2"))
    (content,) = contents_of(nifti)
    assert (content.path, content.series_uid, content.frame) == (nifti, None, None)
    (content,) = contents_of(make_dicom(SLICE))
    assert content.title == "CT · abdomen · 1 slices"


def test_each_series_of_a_folder_is_a_scan(make_dicom):
    for uid, name, heights in (("1.1", "thin", (0, 1, 2)), ("1.2", "", (0, 5))):
        for z in heights:
            path = make_dicom(SLICE, position=(0, 0, z), series=uid, description=name)
    contents = contents_of(path.parent)
    assert [(c.series_uid, c.frame, c.slices) for c in contents] == [
        ("1.1", None, 3),
        ("1.2", None, 2),
    ]
    assert [c.title for c in contents] == [
        "CT · thin · 3 slices",
        "CT · without a description · 2 slices",
    ]
    for content in contents:
        volume = read_volume(content.path, series_uid=content.series_uid, frame=content.frame)
        assert volume.array.shape[0] == content.slices


def test_a_series_whose_identifier_was_removed_can_be_chosen(make_dicom):
    for uid, heights in (("", (0, 1, 2)), ("1.2", (0, 5))):
        for z in heights:
            path = make_dicom(SLICE, position=(0, 0, z), series=uid)
    contents = contents_of(path.parent)
    assert [c.series_uid for c in contents] == ["", "1.2"]
    for content, slices in zip(contents, (3, 2), strict=True):
        volume = read_volume(content.path, series_uid=content.series_uid)
        assert volume.array.shape[0] == slices


def test_points_in_time_are_scans_of_their_own(make_dicom):
    """Two slices, each three times at the same place: three volumes of two slices."""
    for instance, z in enumerate((0, 2, 0, 2, 0, 2)):
        path = make_dicom(SLICE, position=(0, 0, z), instance=instance + 1)
    contents = contents_of(path.parent)
    assert [(c.frame, c.slices) for c in contents] == [(0, 2), (1, 2), (2, 2)]
    assert contents[1].title.endswith("frame 1 (of 0 to 2)")


@pytest.mark.parametrize("name", ["moving.nii.gz", "moving.nii", "moving.nrrd", "moving.mha"])
def test_frames_of_a_file(make_nifti, tmp_path, name):
    frames = np.arange(5 * 2 * 3 * 4, dtype="i2").reshape(5, 2, 3, 4)
    path = tmp_path / name
    if ".nii" in name:
        make_nifti(frames, name=name)
    else:
        sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(f) for f in frames]), str(path))
    contents = contents_of(path)
    assert [c.frame for c in contents] == [0, 1, 2, 3, 4]
    for content, expected in zip(contents, frames, strict=True):
        assert np.array_equal(read_volume(path, frame=content.frame).array, expected)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(VolumeError, match="does not exist"):
        contents_of(tmp_path / "gone.nii")
    with pytest.raises(VolumeError, match="holds no DICOM images"):
        contents_of(tmp_path)

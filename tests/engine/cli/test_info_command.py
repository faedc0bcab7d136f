from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.cli.exit_codes import ExitCode


def write(path, array):
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(path))
    return path


def test_json_says_what_the_header_says(napari_sss, scan):
    told = napari_sss("info", scan, "--json").json
    assert told["shape_zyx"] == [6, 40, 48]
    assert told["spacing_zyx_mm"] == pytest.approx([5.0, 2.0, 2.0])
    assert told["extent_zyx_mm"] == pytest.approx([30.0, 80.0, 96.0])
    assert told["origin_xyz_lps_mm"] == pytest.approx([10.0, -20.0, 30.0])
    assert told["modality"] == "CT"
    assert told["oblique"] is True
    # ITK's x, y, z run to the left, the back and the head; read back to front: Z, Y, X.
    assert told["axes_zyx"] == "SPL"
    assert told["dtype"] == "int16"


def test_json_has_the_intensities(napari_sss, tmp_path):
    # 0 to 99: mean 49.5; percentiles lie at p / 100 * 99.
    path = write(tmp_path / "ramp.nrrd", np.arange(100, dtype=np.int16).reshape(4, 5, 5))
    figures = napari_sss("info", path, "--json").json["intensity"]
    assert (figures["min"], figures["max"], figures["mean"]) == (0.0, 99.0, 49.5)
    assert figures["p50"] == pytest.approx(49.5)
    assert figures["p99"] == pytest.approx(98.01)


def test_text_names_size_spacing_and_direction(napari_sss, scan):
    ran = napari_sss("info", scan)
    assert "6 x 40 x 48 voxels" in ran.out
    assert "5 x 2 x 2 mm" in ran.out
    assert "S, P, L, oblique" in ran.out
    assert "-1000 to 300 HU" in ran.out


def test_a_spacing_can_be_given(napari_sss, scan):
    told = napari_sss("info", scan, "--spacing", 10, 1, 0.5, "--json").json
    assert told["spacing_zyx_mm"] == [10.0, 1.0, 0.5]
    assert told["spacing_known"] is True


def test_notes_go_to_stderr_and_into_the_description(napari_sss, tmp_path):
    path = write(tmp_path / "four.nii.gz", np.zeros((2, 3, 4, 5), dtype=np.int16))
    ran = napari_sss("info", path, "--json")
    assert ran.json["notes"]
    assert "note:" in ran.err


@pytest.mark.parametrize(
    "content",
    [b"", b"not a scan at all", gzip.compress(b"\0" * 400)[:50]],
    ids=["empty", "wrong magic", "truncated gzip"],
)
def test_what_is_no_scan_is_bad_input(napari_sss, tmp_path, content):
    path = tmp_path / "bad.nii.gz"
    path.write_bytes(content)
    ran = napari_sss("info", path, "--json")
    assert ran.code == ExitCode.BAD_INPUT
    assert ran.out == ""
    assert "bad.nii.gz" in ran.err


def test_nan_is_refused_with_the_option_that_helps(napari_sss, tmp_path):
    array = np.zeros((3, 4, 5), dtype=np.float32)
    array[1, 1, 1] = np.nan
    path = write(tmp_path / "holes.nii.gz", array)
    refused = napari_sss("info", path)
    assert refused.code == ExitCode.BAD_INPUT
    assert napari_sss("info", path, "--nan", "fill").code == ExitCode.OK


@pytest.mark.data
def test_a_dicom_folder(napari_sss, test_data):
    told = napari_sss("info", test_data / "ct" / "example_ct_dicom", "--json").json
    assert told["shape_zyx"] == [20, 512, 512]
    assert told["spacing_zyx_mm"] == pytest.approx([2.0, 0.9766, 0.9766], abs=1e-3)


def write_dicom_series(folder, uid, slices):
    """A CT of 8 x 9 pixels, 2 mm between slices."""
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z in range(slices):
        image = sitk.GetImageFromArray(np.full((1, 8, 9), z, dtype=np.int16))
        image.SetOrigin((0.0, 0.0, 2.0 * z))
        tags = {
            "0008|0060": "CT",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"{uid}.{z + 1}",
            "0020|000e": uid,
            "0020|0013": str(z + 1),
            "0020|0032": f"0\\0\\{2 * z}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{uid}-{z}.dcm"))
        writer.Execute(image)


def test_several_series_are_listed_for_the_choice(napari_sss, tmp_path):
    write_dicom_series(tmp_path, "1.2.3.4", 3)
    write_dicom_series(tmp_path, "1.2.3.5", 5)

    listed = napari_sss("info", tmp_path, "--json")
    assert listed.code == ExitCode.OK
    assert {s["uid"]: s["slices"] for s in listed.json["series"]} == {
        "1.2.3.4": 3,
        "1.2.3.5": 5,
    }
    assert "1.2.3.5" in napari_sss("info", tmp_path).out

    chosen = napari_sss("info", tmp_path, "--series", "1.2.3.5", "--json").json
    assert chosen["shape_zyx"] == [5, 8, 9]
    assert chosen["series_uid"] == "1.2.3.5"

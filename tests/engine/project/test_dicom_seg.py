"""DICOM Segmentations of DICOM scans, read back with another library's eyes."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.errors import InputError
from napari_sss.engine.project.dicom_seg import export_dicom_seg, why_no_dicom_seg
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.mask_actions import Making
from napari_sss.engine.project.records import Maker, Review, RunRecord
from napari_sss.engine.volumes.region import Region

RUN = RunRecord("embedded", "ab" * 32, 256, {})


@pytest.fixture
def series(tmp_path):
    """Four slices of 6 x 5, stored against the order of their positions."""
    folder = tmp_path / "series"
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z in range(4):
        image = sitk.GetImageFromArray(np.full((1, 6, 5), z, np.int16))
        image.SetSpacing((2.0, 2.0, 5.0))
        tags = {
            "0008|0060": "CT",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"1.2.5.{z + 1}",
            "0010|0020": "P7",
            "0020|000e": "1.2.5",
            "0020|000d": "1.2",
            "0020|0052": "1.2.9",
            "0020|0032": f"10\\20\\{-5 * z}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(z + 1),
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{z}.dcm"))
        writer.Execute(image)
    return folder


@pytest.fixture
def annotated(project, series):
    (case,) = project.cases.add([series]).cases
    session = project.open_case(case.id)
    for offset, maker in (((0, 1, 1), Maker.PROMPTED), ((2, 3, 2), Maker.AUTO)):
        object_id = session.add_object(1)
        region = Region(offset, np.ones((2, 2, 3), dtype=bool))
        session.set_region(object_id, region, Making(maker, RUN))
    return session


def test_segments_lie_where_the_objects_are(project, annotated, tmp_path):
    pytest.importorskip("highdicom")
    from pydicom import dcmread

    path = export_dicom_seg(project, annotated.case_id, tmp_path / "seg.dcm")
    seg = dcmread(path)
    grid = project.cases.get(annotated.case_id).grid
    assert seg.Modality == "SEG"
    assert seg.PatientID == "P7"
    assert [s.SegmentLabel for s in seg.SegmentSequence] == ["organ 1", "organ 2"]
    kinds = [s.SegmentAlgorithmType for s in seg.SegmentSequence]
    assert kinds == ["SEMIAUTOMATIC", "AUTOMATIC"]
    found = np.zeros(grid.shape, np.uint16)
    frames = seg.pixel_array.reshape(-1, 6, 5)
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        z = round(float(grid.world_to_index([float(v) for v in position])[0]))
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[z][frame != 0] = number
    assert np.array_equal(found, annotated.labels)


def test_only_accepted_objects(project, annotated, tmp_path):
    pytest.importorskip("highdicom")
    from pydicom import dcmread

    with pytest.raises(ProjectError, match="no object"):
        export_dicom_seg(project, annotated.case_id, tmp_path / "s.dcm", accepted_only=True)
    annotated.review_objects([2], Review.ACCEPTED)
    path = export_dicom_seg(project, annotated.case_id, tmp_path / "s.dcm", accepted_only=True)
    assert [s.SegmentLabel for s in dcmread(path).SegmentSequence] == ["organ 2"]


def test_a_scan_that_is_no_dicom_is_refused(project, session, tmp_path):
    pytest.importorskip("highdicom")
    object_id = session.add_object(1)
    session.set_region(object_id, Region((0, 0, 0), np.ones((1, 2, 2), dtype=bool)))
    with pytest.raises(InputError, match="no DICOM series"):
        export_dicom_seg(project, 1, tmp_path / "s.dcm")
    with pytest.raises(InputError, match=r"end in \.dcm"):
        export_dicom_seg(project, 1, tmp_path / "s.nii.gz")


def test_without_the_extra_it_says_how_to_get_it(project, annotated, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(InputError, match=r'pip install "napari-sss\[dicom\]"'):
        export_dicom_seg(project, annotated.case_id, tmp_path / "s.dcm")


def test_the_sidecar_says_how_it_was_made_but_not_of_whom(project, annotated, tmp_path):
    path = export_dicom_seg(project, 2, tmp_path / "seg.dcm")
    text = path.with_suffix(".json").read_text()
    content = json.loads(text)
    assert (content["values"], content["exported"]) == ("segments", [1, 2])
    assert "P7" not in text
    assert str(tmp_path) not in text


def test_the_reason_why_not_is_known_without_trying(project, annotated, monkeypatch):
    scan, series = (project.cases.get(case_id) for case_id in (1, 2))
    assert "no DICOM series" in why_no_dicom_seg(scan)
    assert why_no_dicom_seg(series) == ""
    monkeypatch.setattr("napari_sss.engine.project.dicom_seg.find_spec", lambda name: None)
    assert 'pip install "napari-sss[dicom]"' in why_no_dicom_seg(series)

"""``napari-sss project`` from making a project to exporting it."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.cli.exit_codes import ExitCode


@pytest.fixture
def folder(napari_sss, tmp_path, scan):
    """A project with the scan and two classes."""
    folder = tmp_path / "project"
    made = napari_sss("project", "create", folder, "--class", "liver:#ff8800", "--class", "x")
    assert made.code == ExitCode.OK
    assert napari_sss("project", "add", folder, scan).code == ExitCode.OK
    return folder


@pytest.fixture
def annotated(folder):
    """The same with an accepted object in its accepted case."""
    from napari_sss.engine.project.project import Project
    from napari_sss.engine.project.records import Review
    from napari_sss.engine.volumes.region import Region

    with Project.open(folder) as project:
        session = project.open_case(1)
        object_id = session.add_object(1)
        session.set_region(object_id, Region((1, 2, 3), np.ones((2, 4, 5), dtype=bool)))
        session.review_case(Review.ACCEPTED)
    return folder


def test_list_tells_cases_and_classes(napari_sss, folder):
    shown = napari_sss("project", "list", folder, "--json")
    assert shown.code == ExitCode.OK
    assert [(c["name"], c["status"], c["modality"]) for c in shown.json["cases"]] == [
        ("scan", "new", "CT")
    ]
    assert [(c["id"], c["name"]) for c in shown.json["classes"]] == [(1, "liver"), (2, "x")]
    assert (
        napari_sss("project", "list", folder, "--status", "accepted", "--json").json["cases"]
        == []
    )
    assert "scan" in napari_sss("project", "list", folder).out


def test_what_cannot_be_added_is_told(napari_sss, folder, scan, tmp_path):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"x")
    again = napari_sss("project", "add", folder, scan, broken, "--json")
    assert again.code == ExitCode.BAD_INPUT
    assert again.json["added"] == []
    assert len(again.json["skipped"]) == 2
    assert "already, as scan" in again.err


@pytest.mark.parametrize(
    ("form", "file"),
    [
        ("mask", "case_0001.nii.gz"),
        ("objects", "case_0001/001_liver.nii.gz"),
        ("nnunet", "labelsTr/case_0001.nii.gz"),
    ],
)
def test_exports(napari_sss, annotated, tmp_path, form, file):
    out = tmp_path / "out"
    ran = napari_sss("project", "export", annotated, "-o", out, "--as", form, "--json")
    assert ran.code == ExitCode.OK
    assert list(ran.json["files"]) == ["scan"]
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(out / file))).sum() == 40


def test_faults_have_their_exit_codes(napari_sss, folder, tmp_path):
    assert napari_sss("project", "list", tmp_path / "none").code == ExitCode.BAD_INPUT
    assert napari_sss("project", "create", folder).code == ExitCode.BAD_INPUT
    nothing = napari_sss("project", "export", folder, "-o", tmp_path / "out")
    assert nothing.code == ExitCode.BAD_INPUT
    assert "annotated" in nothing.err
    (tmp_path / "file").write_text("")
    blocked = napari_sss("project", "create", tmp_path / "file" / "project")
    assert blocked.code == ExitCode.WRITE


def test_listing_needs_no_lock(napari_sss, folder):
    from napari_sss.engine.project.project import Project

    with Project.open(folder):
        assert napari_sss("project", "list", folder).code == ExitCode.OK
        blocked = napari_sss("project", "add", folder, folder.parent / "scan.nii.gz")
        assert blocked.code == ExitCode.BAD_INPUT
        assert "reading only" in blocked.err

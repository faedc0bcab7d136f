"""``napari-sss project rank`` and ``prelabel`` on a small project."""

from __future__ import annotations

import pytest

from napari_sss.engine.cli.exit_codes import ExitCode


@pytest.fixture
def folder(napari_sss, tmp_path, scan, tiny_checkpoint):
    """A project with one scan: a bright block in soft tissue."""
    folder = tmp_path / "project"
    assert napari_sss("project", "create", folder, "--class", "bone").code == ExitCode.OK
    assert napari_sss("project", "add", folder, scan).code == ExitCode.OK
    return folder


def test_rank_names_case_reason_and_slices(napari_sss, folder, tiny_checkpoint):
    told = napari_sss("project", "rank", folder, "--model", tiny_checkpoint)
    assert told.code == ExitCode.OK
    assert "scan  slices" in told.out
    found = napari_sss("project", "rank", folder, "--model", tiny_checkpoint, "--json").json
    (case,) = found["cases"]
    assert case["name"] == "scan"
    assert case["reasons"]
    assert all(hint["plane"] == "axial" and 0 <= hint["index"] < 6 for hint in case["slices"])


def test_prelabel_needs_classes_or_a_preset(napari_sss, folder, tiny_checkpoint):
    refused = napari_sss("project", "prelabel", folder, "--model", tiny_checkpoint)
    assert refused.code == ExitCode.BAD_INPUT
    assert "--preset" in refused.err


def test_prelabel_enters_suggestions_and_does_nothing_twice(
    napari_sss, folder, tiny_checkpoint
):
    command = ("project", "prelabel", folder, "--model", tiny_checkpoint, "--preset", "bone")
    first = napari_sss(*command, "--json")
    assert first.code == ExitCode.OK
    assert first.json["cases"] == ["scan"]
    assert first.json["objects"] >= 1
    listed = napari_sss("project", "list", folder, "--json").json["cases"]
    assert [case["status"] for case in listed] == ["suggested"]
    assert napari_sss(*command, "--json").json["cases"] == []


def test_a_project_that_another_viewer_writes_is_not_prelabelled(
    napari_sss, folder, tiny_checkpoint
):
    from napari_sss.engine.project.project import Project

    with Project.open(folder):
        refused = napari_sss(
            "project", "prelabel", folder, "--model", tiny_checkpoint, "--preset", "bone"
        )
    assert refused.code == ExitCode.BAD_INPUT
    assert "cannot be written" in refused.err


def test_an_unknown_model_is_told(napari_sss, folder):
    refused = napari_sss("project", "rank", folder, "--model", "nothing")
    assert refused.code == ExitCode.MODEL
    assert "has no model 'nothing'" in refused.err

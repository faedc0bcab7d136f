"""A mask exported from a project is made again from its sidecar."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.cli.exit_codes import ExitCode


@pytest.fixture
def exported(tmp_path, scan, prompts, tiny_checkpoint):
    """A project where the tiny model answered and a person painted; its mask and sidecar."""
    from napari_sss.engine.inference.segment import segment_prompts
    from napari_sss.engine.models.loading import load_model
    from napari_sss.engine.project.diff import LabelDiff
    from napari_sss.engine.project.exporting import export_mask
    from napari_sss.engine.project.mask_actions import Making
    from napari_sss.engine.project.project import Project
    from napari_sss.engine.project.records import RunRecord
    from napari_sss.engine.prompts.promptfile import read_prompts
    from napari_sss.engine.volumes.intensity import window_for

    tiny_model = load_model(str(tiny_checkpoint), device="cpu")
    with Project.create(tmp_path / "project") as project:
        project.cases.add([scan])
        volume = project.cases.read(1)
        window = window_for(volume)
        run = RunRecord("tiny", tiny_model.sha256, 64, window.to_dict(), {"propagate": True})
        found = segment_prompts(volume, read_prompts(prompts), tiny_model, window=window)
        session = project.open_case(1)
        for answer in found.objects:
            class_id = project.add_class(answer.prompts.class_name)
            session.add_object(class_id, answer.prompts.prompts, answer.prompts.id)
            session.set_region(answer.prompts.id, answer.region, Making(run=run))
        where = np.ravel_multi_index(
            np.mgrid[3:4, 12:30, 14:30].reshape(3, -1), volume.grid.shape
        )
        before = session.labels.reshape(-1)[where]
        session.paint(LabelDiff.of_voxels(where, before, 4))
        painted = session.paint(
            LabelDiff.of_voxels([0, 1, 2], session.labels[0, 0, :3], 7), class_id=1
        )
        assert not painted.is_empty
        return export_mask(project, 1, tmp_path / "annotated.nii.gz")


def test_the_same_mask_comes_out(napari_sss, scan, exported, tiny_checkpoint, tmp_path):
    ran = napari_sss(
        *("segment", scan, "--replay", exported.with_name("annotated.json")),
        *("--model", tiny_checkpoint, "--device", "cpu", "-o", tmp_path / "again.nii.gz"),
    )
    assert ran.code == ExitCode.OK, ran.err
    assert "The masks are the same." in ran.err
    again, before = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(p)))
        for p in (tmp_path / "again.nii.gz", exported)
    )
    assert np.array_equal(again, before)
    assert len(np.unique(again)) == 3


def test_another_scan_is_refused(napari_sss, scan, exported, tiny_checkpoint, tmp_path):
    array = sitk.ReadImage(str(scan))
    other = tmp_path / "other.nii.gz"
    sitk.WriteImage(array + 1, str(other))
    ran = napari_sss(
        *("segment", other, "--replay", exported.with_name("annotated.json")),
        *("--model", tiny_checkpoint, "-o", tmp_path / "again.nii.gz"),
    )
    assert ran.code == ExitCode.BAD_INPUT
    assert "not the scan" in ran.err


@pytest.mark.parametrize("content", ["[]", "{", json.dumps({"format": "other"})])
def test_what_is_no_sidecar_is_refused(napari_sss, scan, tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    ran = napari_sss("segment", scan, "--replay", tmp_path / "x.json", "-o", tmp_path / "m.nii")
    assert ran.code == ExitCode.BAD_INPUT

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.cli import demo
from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.volumes.phantom import make_phantom


@pytest.fixture
def small_phantom(monkeypatch):
    """The demo's phantom in a few voxels, for what does not need more."""
    phantom = make_phantom((24, 64, 64))
    monkeypatch.setattr("napari_sss.engine.volumes.phantom.make_phantom", lambda: phantom)
    return phantom


def test_it_leaves_scan_truth_mask_picture_and_table(
    napari_sss, small_phantom, tiny_checkpoint, tmp_path
):
    folder = tmp_path / "deep" / "demo"
    ran = napari_sss(
        "demo", "-o", folder, "--model", tiny_checkpoint, "--device", "cpu", "--preset", "bone"
    )
    assert ran.code == ExitCode.OK, ran.err
    assert {path.name for path in folder.iterdir()} == {
        "ct.nii.gz",
        "truth.nii.gz",
        "truth.json",
        "mask.nii.gz",
        "mask.json",
        "instances.nii.gz",
        "report.json",
        "picture.png",
        "prompts.json",
    }
    headings = ran.out.splitlines()[0].split()
    for heading in ("class", "ml", "HU", "confidence", "Dice"):
        assert heading in headings
    report = json.loads((folder / "report.json").read_text())
    assert any(row["dice"] is not None for row in report["table"])
    images = [sitk.ReadImage(str(folder / f"{n}.nii.gz")) for n in ("ct", "mask", "truth")]
    assert len({image.GetSize() for image in images}) == 1
    for image in images[1:]:
        assert image.GetDirection() == pytest.approx(images[0].GetDirection(), abs=1e-5)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(images[2]), small_phantom.labels)


def test_a_folder_that_cannot_be_made_is_a_write_error(napari_sss, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = napari_sss("demo", "-o", tmp_path / "file" / "demo")
    assert ran.code == ExitCode.WRITE


@pytest.mark.slow
def test_the_embedded_model_gives_masks_of_the_phantom(napari_sss, tmp_path):
    """A floor, far below what is measured: the demo's objects are real ones."""
    ran = napari_sss("demo", "-o", tmp_path / "demo", "--device", "cpu", "--json")
    assert ran.code == ExitCode.OK, ran.err
    assert ran.json["settings"]["preset"] == demo._PRESET
    best: dict[str, float] = {}
    for row in ran.json["table"]:
        if row["truth"] is not None:
            best[row["truth"]] = max(best.get(row["truth"], 0.0), row["dice"])
    assert sum(dice > 0.7 for dice in best.values()) >= 2, best

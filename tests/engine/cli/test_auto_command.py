from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.prompts.promptfile import read_prompts


@pytest.fixture
def auto(napari_sss, scan, tiny_checkpoint):
    """Run ``auto`` on the scan with the tiny model; further arguments are appended."""

    def run(*arguments):
        model = ("--model", tiny_checkpoint, "--device", "cpu")
        return napari_sss("auto", scan, *model, *arguments)

    return run


def test_the_block_is_found_prompted_and_written(auto, scan, tmp_path):
    ran = auto(
        "-o",
        tmp_path / "bones.nii.gz",
        "--preset",
        "bone",
        "--prompts-out",
        tmp_path / "prompts.json",
        "--picture",
        tmp_path / "bones.png",
        "--json",
    )
    assert ran.code == ExitCode.OK, ran.err
    (row,) = ran.json["table"]
    assert (row["class_name"], row["origin"]) == ("bone", "candidate")
    # 3 x 12 x 16 voxels of 0.02 ml; smoothing may shave or add a rim.
    assert row["volume_ml"] == pytest.approx(11.52, rel=0.3)
    assert row["mean_intensity"] == pytest.approx(300, abs=60)

    mask, source = sitk.ReadImage(str(tmp_path / "bones.nii.gz")), sitk.ReadImage(str(scan))
    assert mask.GetDirection() == pytest.approx(source.GetDirection(), abs=1e-5)
    block = np.zeros((6, 40, 48), dtype=bool)
    block[2:5, 10:22, 12:28] = True
    found = sitk.GetArrayFromImage(mask) == ran.json["classes"]["bone"]
    assert 2 * np.sum(found & block) / (found.sum() + block.sum()) > 0.85

    (found_object,) = read_prompts(tmp_path / "prompts.json").objects
    box = found_object.prompts[0].box
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((12, 10, 28, 22), abs=1)


def test_prompts_that_were_written_can_be_segmented_again(
    auto, napari_sss, scan, tiny_checkpoint, tmp_path
):
    prompts, masks = tmp_path / "prompts.json", (tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    auto("-o", masks[0], "--preset", "soft-tissue", "--prompts-out", prompts)
    model = ("--model", tiny_checkpoint, "--device", "cpu")
    again = napari_sss("segment", scan, "--prompts", prompts, "-o", masks[1], *model)
    assert again.code == ExitCode.OK, again.err
    assert len(again.out.splitlines()) == 2 + len(read_prompts(prompts).objects)


def test_the_window_is_the_preset_s_unless_another_is_asked_for(auto, tmp_path):
    names = [
        auto("-o", tmp_path / "m.nii.gz", "--preset", "bone", "--json", *extra).json["window"]
        for extra in ((), ("--window", "lung"))
    ]
    assert [window["name"] for window in names] == ["bone", "lung"]


def test_nothing_found_is_an_empty_mask_and_no_error(auto, tmp_path):
    ran = auto("-o", tmp_path / "m.nii.gz", "--preset", "lung")
    assert ran.code == ExitCode.OK, ran.err
    assert "No objects" in ran.out
    assert not sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "m.nii.gz"))).any()
    assert json.loads((tmp_path / "m.json").read_text())["objects"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("--preset", "nonsense"), ExitCode.BAD_INPUT, "soft-tissue"),
        (("--source", "model"), ExitCode.MODEL, "holds no trained model"),
        (("--window", "nonsense"), ExitCode.BAD_INPUT, "abdomen"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_choice(auto, tmp_path, arguments, code, named):
    ran = auto("-o", tmp_path / "m.nii.gz", *arguments)
    assert ran.code == code
    assert named in ran.err
    assert not (tmp_path / "m.nii.gz").exists()


def test_cancelling_leaves_nothing_behind(auto, tmp_path, monkeypatch):
    """As by Ctrl+C while masks are made."""
    import signal

    from napari_sss.engine.inference import auto as inference

    original = inference.segment_object

    def interrupted(*args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        return original(*args, **kwargs)

    monkeypatch.setattr(inference, "segment_object", interrupted)
    ran = auto("-o", tmp_path / "m.nii.gz", "--preset", "bone")
    assert ran.code == ExitCode.CANCELLED
    assert not (tmp_path / "m.nii.gz").exists()

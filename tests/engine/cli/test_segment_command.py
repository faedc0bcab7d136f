from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.cli.exit_codes import ExitCode


@pytest.fixture
def segment(napari_sss, scan, prompts, tiny_checkpoint):
    """Run ``segment`` on the scan with the tiny model; further arguments are appended."""

    def run(*arguments):
        return napari_sss(
            "segment",
            scan,
            "--prompts",
            prompts,
            "--model",
            tiny_checkpoint,
            "--device",
            "cpu",
            *arguments,
        )

    return run


def test_every_file_that_is_asked_for(segment, scan, tmp_path):
    names = {
        "-o": "mask.nii.gz",
        "--instances": "instances.nrrd",
        "--report": "report.json",
        "--picture": "picture.png",
    }
    ran = segment(*(part for flag, name in names.items() for part in (flag, tmp_path / name)))
    assert ran.code == ExitCode.OK, ran.err
    assert {*names.values(), "mask.json"} <= {p.name for p in tmp_path.iterdir()}
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")

    source, mask = (sitk.ReadImage(str(p)) for p in (scan, tmp_path / "mask.nii.gz"))
    instances = sitk.ReadImage(str(tmp_path / "instances.nrrd"))
    for image in (mask, instances):
        assert image.GetSize() == source.GetSize()
        assert image.GetSpacing() == pytest.approx(source.GetSpacing())
        assert image.GetOrigin() == pytest.approx(source.GetOrigin(), abs=1e-4)
        assert image.GetDirection() == pytest.approx(source.GetDirection(), abs=1e-5)
    classes = json.loads((tmp_path / "mask.json").read_text())["classes"]
    assert set(classes) == {"block", "body"}
    class_values = sitk.GetArrayFromImage(mask)
    instance_values = sitk.GetArrayFromImage(instances)
    assert set(np.unique(instance_values)) <= {0, 4, 9}
    # A voxel of object 4 is of the class block, and so on, everywhere.
    ids = {0: 0, 4: classes["block"], 9: classes["body"]}
    np.testing.assert_array_equal(class_values, np.vectorize(ids.get)(instance_values))


def test_the_table_goes_to_stdout_and_all_else_to_stderr(segment, tmp_path):
    ran = segment("-o", tmp_path / "mask.nii.gz")
    lines = ran.out.splitlines()
    assert lines[0].split()[:2] == ["id", "class"]
    assert [line.split()[:2] for line in lines[2:]] == [["4", "block"], ["9", "body"]]
    assert "masks: 100%" in ran.err
    assert "mask.nii.gz" in ran.err


def test_json_is_the_report_and_nothing_else(segment, tmp_path):
    told = segment("-o", tmp_path / "mask.nii.gz", "--json").json
    assert [row["class_name"] for row in told["table"]] == ["block", "body"]
    assert set(told["seconds"]) == {"read", "model", "segment"}
    assert told["settings"] == {"command": "segment", "propagate": True}


def test_the_report_may_take_the_sidecar_s_name(segment, tmp_path):
    segment("-o", tmp_path / "mask.nii.gz", "--report", tmp_path / "mask.json")
    content = json.loads((tmp_path / "mask.json").read_text())
    assert content["classes"]
    assert content["table"]


def test_without_propagation_only_prompted_slices_have_masks(segment, tmp_path):
    ran = segment("-o", tmp_path / "mask.nii.gz", "--no-propagate")
    assert ran.code == ExitCode.OK
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "mask.nii.gz")))
    assert not np.delete(mask, 3, axis=0).any()


def test_a_spacing_that_is_given_counts_in_the_table(segment, tmp_path):
    volumes = [
        segment("-o", tmp_path / "m.nii.gz", "--no-propagate", "--json", *spacing).json["table"]
        for spacing in ((), ("--spacing", 10, 2, 2))
    ]
    for own, given in zip(*volumes, strict=True):
        assert given["volume_ml"] == pytest.approx(2 * own["volume_ml"])


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("-o", "mask.txt"), ExitCode.BAD_INPUT, "mask.txt"),
        (("-o", "m.nii.gz", "--instances", "m.nii.gz"), ExitCode.BAD_INPUT, "m.nii.gz"),
        (("-o", "scan.nii.gz"), ExitCode.BAD_INPUT, "scan.nii.gz"),
        (("-o", "m.nii.gz", "--picture", "p.jpg"), ExitCode.BAD_INPUT, "p.jpg"),
        (("-o", "absent/m.nii.gz"), ExitCode.WRITE, "absent"),
        (("-o", "m.nii.gz", "--window", "nonsense"), ExitCode.BAD_INPUT, "nonsense"),
        (("-o", "m.nii.gz", "--device", "abacus"), ExitCode.BAD_INPUT, "abacus"),
        (("-o", "m.nii.gz", "--model", "absent.pt"), ExitCode.MODEL, "absent.pt"),
        (("-o", "m.nii.gz", "--image-size", "100"), ExitCode.MODEL, "100"),
    ],
)
def test_what_cannot_be_done_is_refused(
    segment, scan, tmp_path, monkeypatch, arguments, code, named
):
    monkeypatch.chdir(tmp_path)
    before = scan.read_bytes()
    ran = segment(*arguments)
    assert ran.code == code
    assert named in ran.err
    assert ran.out == ""
    assert scan.read_bytes() == before
    assert not (tmp_path / "m.nii.gz").exists()


def test_prompts_outside_the_volume_are_refused(segment, prompts, tmp_path):
    prompts.write_text(prompts.read_text().replace('"z": 3', '"z": 6'))
    ran = segment("-o", tmp_path / "mask.nii.gz")
    assert ran.code == ExitCode.BAD_INPUT
    assert "object" in ran.err.lower()


def test_prompts_of_another_frame_are_refused(segment, prompts, tmp_path):
    content = json.loads(prompts.read_text())
    prompts.write_text(json.dumps({**content, "frame": 1}))
    ran = segment("-o", tmp_path / "mask.nii.gz", "--frame", 0)
    assert ran.code == ExitCode.BAD_INPUT
    assert "frame 1" in ran.err


def test_a_folder_without_permission_is_refused_before_the_work(segment, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    ran = segment("-o", tmp_path / "mask.nii.gz")
    assert ran.code == ExitCode.WRITE
    assert "may not write" in ran.err
    assert "masks" not in ran.err


def test_a_failed_write_keeps_the_old_file_and_has_its_own_code(segment, tmp_path, monkeypatch):
    old = tmp_path / "mask.nii.gz"
    old.write_bytes(b"the old mask")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    ran = segment("-o", old)
    assert ran.code == ExitCode.WRITE
    assert "No space left" in ran.err
    assert old.read_bytes() == b"the old mask"
    assert [p.name for p in tmp_path.glob(".mask*")] == []

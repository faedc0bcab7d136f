from __future__ import annotations

import shutil

import pytest

from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.models.registry import MODELS_FOLDER_VARIABLE


@pytest.fixture(autouse=True)
def empty_models_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(MODELS_FOLDER_VARIABLE, str(tmp_path / "models"))


def test_list_tells_what_is_here_and_what_is_not(napari_sss):
    listed = {m["name"]: m for m in napari_sss("models", "list", "--json").json}
    assert listed["sam2.1-tiny"]["here"] is False
    assert listed["sam2.1-tiny"]["licence"] == "Apache-2.0"
    assert listed["sam2.1-tiny"]["size"] == 156008466
    lines = napari_sss("models", "list").out.splitlines()
    assert len(lines) == len(listed)
    assert any("sam2.1-tiny" in line and "156 MB" in line for line in lines)


def test_an_unknown_name_is_a_missing_model(napari_sss):
    ran = napari_sss("models", "download", "sam9")
    assert ran.code == ExitCode.MODEL
    assert "sam2.1-tiny" in ran.err


def test_verify_reports_a_model_that_is_not_here(napari_sss):
    ran = napari_sss("models", "verify", "sam2.1-tiny", "--json")
    assert ran.code == ExitCode.MODEL
    assert ran.json[0]["ok"] is False
    assert "models download sam2.1-tiny" in ran.json[0]["detail"]


def test_verify_finds_a_changed_file(napari_sss, tiny_checkpoint, tmp_path):
    assert napari_sss("models", "verify", tiny_checkpoint).code == ExitCode.OK

    changed = tmp_path / tiny_checkpoint.name
    content = bytearray(tiny_checkpoint.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    shutil.copy(tiny_checkpoint.with_suffix(".json"), changed.with_suffix(".json"))
    ran = napari_sss("models", "verify", changed)
    assert ran.code == ExitCode.MODEL
    assert "FAULTY" in ran.out

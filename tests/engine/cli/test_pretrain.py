"""``napari-sss pretrain``: what the command asks of the training."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import create_autospec

import pytest

from napari_sss.engine.cli import main
from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.errors import Cancelled, SSSError
from napari_sss.engine.models.loading import verify_model
from napari_sss.engine.pretraining import trainer, validation


@pytest.fixture
def pretrain(monkeypatch):
    stub = create_autospec(trainer.pretrain, return_value=Path("somewhere"))
    monkeypatch.setattr(trainer, "pretrain", stub)
    return stub


def test_the_arguments_become_settings(pretrain, tmp_path, capsys):
    arguments = ["--steps", "7", "--seed", "3", "--batch", "2", "--device", "cpu"]
    assert main(["pretrain", *arguments, "--out", str(tmp_path / "run")]) == ExitCode.OK
    (config, out), more = pretrain.call_args
    assert (config.steps, config.minutes, config.seed, config.batch) == (7, None, 3, 2)
    assert config.device == "cpu"
    assert out == tmp_path / "run"
    assert more["resume"] is False
    assert capsys.readouterr().out.strip() == "somewhere"


def test_minutes_and_resume(pretrain, tmp_path):
    arguments = ["--minutes", "1.5", "--device", "cpu", "--resume", "--out", str(tmp_path)]
    assert main(["pretrain", *arguments]) == ExitCode.OK
    assert pretrain.call_args.args[0].minutes == 1.5
    assert pretrain.call_args.kwargs["resume"] is True


@pytest.mark.parametrize(
    "arguments", [["--steps", "-1"], ["--minutes", "0"], ["--steps", "5", "--batch", "0"]]
)
def test_impossible_settings_are_bad_input(pretrain, tmp_path, capsys, arguments):
    command = ["pretrain", *arguments, "--device", "cpu", "--out", str(tmp_path)]
    assert main(command) == ExitCode.BAD_INPUT
    assert "cannot be set up like this" in capsys.readouterr().err
    pretrain.assert_not_called()


@pytest.mark.parametrize("arguments", [[], ["--steps", "5", "--minutes", "5"]])
def test_just_one_budget_is_given(pretrain, tmp_path, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["pretrain", *arguments, "--out", str(tmp_path)])
    assert stopped.value.code == 2
    pretrain.assert_not_called()


@pytest.mark.parametrize("error", [Cancelled(), SSSError("It broke.")])
def test_what_goes_wrong_is_not_success(pretrain, tmp_path, error):
    pretrain.side_effect = error
    arguments = ["--steps", "5", "--device", "cpu", "--out", str(tmp_path)]
    assert main(["pretrain", *arguments]) != ExitCode.OK


@pytest.mark.slow
def test_a_training_of_two_steps(tmp_path, capsys, monkeypatch):
    """The real thing, child process and generated scenes included."""
    monkeypatch.setattr(validation, "SCENES", 1)
    out = tmp_path / "run"
    arguments = ["--steps", "2", "--batch", "2", "--device", "cpu", "--out", str(out)]
    assert main(["pretrain", *arguments]) == ExitCode.OK
    assert capsys.readouterr().out.strip() == str(out)
    names = {p.name for p in out.iterdir()}
    assert names == {
        "checkpoint.safetensors", "model.safetensors", "model.json", "log.jsonl", "curves.png"
    }  # fmt: skip
    assert verify_model(out).ok

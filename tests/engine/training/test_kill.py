"""A training that is really killed, at whatever step it is, and resumed from the shell."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from napari_sss.engine.training.checkpoint import CHECKPOINT_NAME, read_snapshot
from napari_sss.engine.training.events import read_events

STEPS = 40


def command(data: Path, model: Path, out: Path) -> list[str]:
    settings = {
        "batch": 2, "unlabelled_batch": 2, "mode": "full", "precision": "32-true",
        "tensorboard": "false", "checkpoint_every": 3, "validate_every": 20, "log_every": 1,
        "prompt_start": 0.1, "prompt_age": 5, "threshold": 0.3, "memory_size": 3,
    }  # fmt: skip
    arguments: list[object] = [
        sys.executable, "-m", "napari_sss.engine", "train", "--images", data / "images",
        "--labels", data / "labels", "--model", model, "--device", "cpu", "--strategy", "sss",
        "--steps", STEPS, "--out", out,
    ]  # fmt: skip
    for key, value in settings.items():
        arguments += ["--set", f"{key}={value}"]
    return [str(a) for a in arguments]


@pytest.mark.slow
def test_killed_anywhere_it_ends_with_the_same_numbers(data_folder, tiny_folder, tmp_path):
    # One thread: sums in another order would differ in their last bits.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(command(data_folder, tiny_folder, whole), env=environment, check=True)
    kills = 0
    for wanted in (5, 17):
        call = command(data_folder, tiny_folder, cut)
        if kills:
            call = [sys.executable, "-m", "napari_sss.engine", "train", "--out", str(cut)]
            call.append("--resume")
        running = subprocess.Popen(call, env=environment)
        deadline = time.monotonic() + 200
        while running.poll() is None and time.monotonic() < deadline:
            if max((e["step"] for e in read_events(cut)), default=0) >= wanted:
                running.kill()
                kills += 1
                break
            time.sleep(0.02)
        running.wait()
    assert kills == 2
    resume = [sys.executable, "-m", "napari_sss.engine", "train", "--out", str(cut), "--resume"]
    subprocess.run(resume, env=environment, check=True)
    one, two = (read_snapshot(folder / CHECKPOINT_NAME) for folder in (whole, cut))
    assert one.facts["step"] == two.facts["step"] == STEPS
    assert one.tensors.keys() == two.tensors.keys()
    assert [k for k in one.tensors if not torch.equal(one.tensors[k], two.tensors[k])] == []
    steps = [[e["loss"] for e in read_events(f) if e["event"] == "step"] for f in (whole, cut)]
    assert len(steps[0]) == STEPS
    assert steps[0] == steps[1]

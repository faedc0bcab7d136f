"""Killed at any moment, a project reopens complete up to what the saved mark covered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_sss.engine.project.project import Project

KILLS = 24

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="the annotators are forked, which this system cannot do"
)


@pytest.fixture
def server():
    """A process that forks annotators."""
    script = Path(__file__).with_name("annotator_child.py")
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    yield process
    process.stdin.close()
    process.wait(timeout=10)


def annotate_and_kill(server, folder: Path, seed: int, lines: int, pause: float) -> list[str]:
    """Kill an annotator a moment after it has told so many lines; all that it told."""
    server.stdin.write(f"{folder}\t{seed}\n".encode())
    server.stdin.flush()
    child = int(server.stderr.readline())
    told = [server.stdout.readline().decode().strip() for _ in range(lines)]
    time.sleep(pause)
    os.kill(child, signal.SIGKILL)
    while not told or told[-1] != "dead":
        told.append(server.stdout.readline().decode().strip())
    return told[:-1]


def last(told: list[str], word: str, otherwise: int) -> int:
    """The highest number told after a word; a line that the kill cut off does not count."""
    numbers = [int(line.split()[1]) for line in told if line.startswith(word + " ")]
    return max(numbers, default=otherwise)


def test_what_the_mark_covered_survives_every_kill(naive, project, server):
    """Many kills of one project, each taking up where the one before was cut off.

    The naive model follows from the seeds alone, up to the number of acts that the database
    says it holds; that number must be at least what the mark said. Acts that are refused, or
    change nothing, are not counted by either side.
    """
    folder = project.folder
    project.close()
    model, performed = naive.NaiveCase(), 0
    rng = np.random.default_rng(7)
    for seed in range(KILLS):
        lines, pause = int(rng.integers(1, 120)), float(rng.exponential(0.003))
        told = annotate_and_kill(server, folder, seed, lines, pause)
        covered = last(told, "saved", performed)
        done = last(told, "act", performed)
        with Project.open(folder) as reopened:
            session = reopened.open_case(1)
            assert not session.read_only
            saved = session.performed
            assert covered <= saved <= done + 1
            follow(naive, model, seed, performed, saved)
            assert naive.same(naive.seen(session), model.now)
            assert session.history.undoable == len(model.past)
            performed = saved
    assert performed > 2 * KILLS, "the children were killed before they had done anything"


def follow(naive, model, seed: int, start: int, stop: int) -> None:
    """Let the model do what the child did from one number of acts to another."""
    rng = np.random.default_rng(seed)
    performed = start
    while performed < stop:
        before = len(model.past), len(model.future), model.now
        model.do(naive.random_spec(rng))
        performed += (len(model.past), len(model.future), model.now) != before

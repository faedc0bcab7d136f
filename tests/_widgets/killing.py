"""Annotate in a viewer of its own process, kill it, reopen, compare; again and again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).with_name("viewer_process.py")


@dataclass(frozen=True)
class Death:
    """What one killed viewer has left.

    Parameters
    ----------
    told : int
        Acts that it told of.
    saved : int
        The last act that its saved mark covered.
    found : int
        The last act that the reopened project has.
    same : bool or None
        Whether the annotation is what it was after that act; None where it was not told.
    """

    told: int
    saved: int
    found: int
    same: bool | None


def write_scan(path: Path) -> None:
    """Write a small CT of nested blocks, 24 x 64 x 64 voxels."""
    from napari_sss.engine.volumes.grid import Grid
    from napari_sss.engine.volumes.volume import Volume
    from napari_sss.engine.volumes.writing import write_volume

    array = np.full((24, 64, 64), -1000, np.int16)
    array[2:22, 6:58, 6:58] = 20
    array[6:18, 16:48, 16:48] = 120
    write_volume(Volume(array, Grid(array.shape, (2.0, 1.0, 1.0)), "CT"), path)


def kill_one(home: Path, scan: Path, seed: int, longest: float) -> Death:
    """Let a viewer annotate for up to ``longest`` seconds, kill it, and look what is left."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(home), str(scan), str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    digests: dict[int, str] = {}
    first = process.stdout.readline()
    while first and "ready" not in first:
        first = process.stdout.readline()
    assert first, f"the viewer did not start:\n{process.communicate()[1][-3000:]}"
    ready = json.loads(first)
    digests[ready["op"]] = ready["digest"]
    time.sleep(random.Random(seed).uniform(0.3, longest))
    process.kill()  # SIGKILL: nothing in it can react
    rest = process.communicate()[0]
    saved = ready["op"]
    for line in rest.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue  # cut off by the kill
        if "op" in told:
            digests[told["op"]] = told["digest"]
        saved = told.get("saved", saved)
    return _looked_at(home, digests, saved)


def _looked_at(home: Path, digests: dict[int, str], saved: int) -> Death:
    from viewer_process import digest_of

    from napari_sss.engine.project.project import Project

    folder = home / "default"
    with Project.open(folder) as project:
        assert not project.read_only, project.why_read_only
        (case,) = project.cases.select()
        session = project.open_case(case.id)
        found = session.performed
        known = digests.get(found)
        same = None if known is None else known == digest_of(session.state, folder)
    return Death(len(digests), saved, found, same)

"""How far a run is: what its process writes again and again for whoever watches."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

from napari_sss.engine.errors import WriteError
from napari_sss.engine.runs.files import STATE_NAME, read_json
from napari_sss.engine.volumes.atomic import write_json


class RunPhase(StrEnum):
    """Where a run is; the package's text draws the ways between them."""

    QUEUED = "queued"
    PREPARING = "preparing"
    TRAINING = "training"
    JUDGING = "judging"
    DONE = "done"
    PAUSED = "paused"
    FAILED = "failed"
    DIED = "died"
    DISCARDED = "discarded"

    @property
    def is_active(self) -> bool:
        """Whether a process should be at work on it."""
        return self in (
            RunPhase.QUEUED,
            RunPhase.PREPARING,
            RunPhase.TRAINING,
            RunPhase.JUDGING,
        )

    @property
    def can_resume(self) -> bool:
        """Whether it stopped on the way and can go on."""
        return self in (RunPhase.PAUSED, RunPhase.FAILED, RunPhase.DIED)


@dataclass(frozen=True)
class MachineLoad:
    """What a run costs its machine now.

    Parameters
    ----------
    cores : float
        Cores that its process keeps busy.
    memory_mb : float
        Main memory it holds; 0 where the system does not tell.
    gpu_mb : float
        GPU memory it holds.
    system : float, optional
        Processes that want a core, as a share of the cores; None where not known.
    """

    cores: float = 0.0
    memory_mb: float = 0.0
    gpu_mb: float = 0.0
    system: float | None = None


@dataclass(frozen=True)
class RunState:
    """A line of a run's story.

    Parameters
    ----------
    phase : RunPhase
        Where it is.
    beat : int
        Counts up while the process lives; no clock is compared with another.
    pid, host : int, str
        Its process.
    stage : str
        What is being done, in the user's words.
    done, total : int
        Steps of the stage; ``total`` 0 where not known.
    seconds_left : float, optional
        To the end of the training.
    trained : bool
        The training is over, whatever became of the rest.
    problem, remedy : str
        What went wrong and what to do about it.
    gives_way : bool
        It waits because the viewer needs the device.
    load : MachineLoad
        What it costs.
    """

    phase: RunPhase = RunPhase.QUEUED
    beat: int = 0
    pid: int = 0
    host: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    trained: bool = False
    problem: str = ""
    remedy: str = ""
    gives_way: bool = False
    load: MachineLoad = MachineLoad()

    @property
    def fraction(self) -> float:
        """Share of the stage that is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


def read_state(folder: Path) -> RunState | None:
    """A run's state; None where it cannot be read just now."""
    content = read_json(folder / STATE_NAME)
    if content is None:
        return None
    known = {field.name for field in fields(RunState)}
    try:
        load = MachineLoad(**content.get("load", {}))
        given = {k: v for k, v in content.items() if k in known}
        return RunState(**given | {"phase": RunPhase(content["phase"]), "load": load})
    except (KeyError, TypeError, ValueError):
        return None


def write_state(folder: Path, state: RunState) -> bool:
    """Write a state; where the disk is full, over the old one.

    Blocks that a file has already can be written to on a full disk, while a new file cannot
    be made: so even a run that ends for want of room can say so.

    Returns
    -------
    bool
        Whether it was written.
    """
    path = folder / STATE_NAME
    try:
        write_json(asdict(state), path)
    except WriteError:
        return _overwrite(path, json.dumps(asdict(state)))
    return True


def _overwrite(path: Path, text: str) -> bool:
    content = text.encode()
    try:
        with path.open("r+b") as stream:
            size = path.stat().st_size
            if len(content) > size:
                shorter = json.loads(text) | {"remedy": "", "load": {}, "stage": ""}
                content = json.dumps(shorter).encode()[:size]
            stream.write(content.ljust(size))
    except (OSError, ValueError):
        return False
    return True

"""What is to be done in the background, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_sss.engine.errors import ConfigError, RunError
from napari_sss.engine.runs.files import read_json
from napari_sss.engine.runs.launch import spawn
from napari_sss.engine.runs.lock import RunIsActiveError, is_locked
from napari_sss.engine.runs.state import RunPhase, RunState, read_state, write_state
from napari_sss.engine.runs.wishes import Wish, wish_for
from napari_sss.engine.volumes.atomic import write_json

BACKGROUND = "background"
"""Folder of a project in which the work lies."""

MODULE = "napari_sss.engine.background"
WHAT = "The work in the background"

JOB_NAME, FAILURES_NAME = "job.json", "failures.json"


class PoolJob(BaseModel):
    """Work on the whole pool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field("embedded", description="A registry's name, or a model's folder.")
    model_name: str = Field("", description="What people call it.")
    trained: bool = Field(False, description="The folder is a model that knows classes.")
    run: str | None = Field(None, description="The folder of the training that made it.")
    rank: bool = Field(True, description="Rank the cases by what helps most.")
    prelabel: bool = Field(True, description="Suggest objects in cases nobody touched.")
    preset: str | None = Field(
        None, description="Tissue preset; needed where the model knows no classes."
    )
    window: str | None = Field(
        None, description="Intensity window for a preset; by default its own."
    )
    device: str | None = Field(None, description="Where it computes; by default the fastest.")


@dataclass(frozen=True)
class PoolStatus:
    """How far the work in the background is.

    Parameters
    ----------
    job : PoolJob, optional
        What was asked for last; None where nothing was.
    state : RunState, optional
        What its process wrote last.
    running : bool
        A process works on it now.
    failures : tuple of (str, str)
        Cases that could not be done, by name, and why.
    """

    job: PoolJob | None = None
    state: RunState | None = None
    running: bool = False
    failures: tuple[tuple[str, str], ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether everything that was asked for was done."""
        return not self.running and self.state is not None and self.state.phase is RunPhase.DONE

    @property
    def can_go_on(self) -> bool:
        """Whether it was paused, was killed or has failed on the way."""
        if self.job is None or self.state is None or self.running:
            return False
        return self.state.phase not in (RunPhase.DONE, RunPhase.DISCARDED)


def background_folder(project: Path) -> Path:
    """Where a project's background work lies."""
    return project / BACKGROUND


def start(project: Path, job: PoolJob | None = None) -> None:
    """Begin, or go on with, the work in the background; cases that are done stay done.

    Parameters
    ----------
    project : Path
        The project's folder.
    job : PoolJob, optional
        What to do; by default what was asked for last.

    Raises
    ------
    RunIsActiveError
        It is under way.
    ConfigError
        Nothing was asked for yet.
    RunError, WriteError
        The process cannot be started, or the folder not written.
    """
    folder = background_folder(project)
    if is_locked(folder):
        raise RunIsActiveError(
            f"{WHAT} is under way.", "Pause it first, to do something else.", folder
        )
    if job is None:
        job = read_job(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder} cannot be made: {error.strerror or error}.",
            "Check that the project's folder can be written.",
            folder,
        ) from error
    write_json(job.model_dump(mode="json"), folder / JOB_NAME)
    spawn(folder, module=MODULE, what=WHAT)


def pause(project: Path) -> None:
    """Ask the process to end after the slice it is at; what is done stays.

    Raises
    ------
    WriteError
        The folder cannot be written.
    """
    folder = background_folder(project)
    if folder.is_dir():
        wish_for(folder, Wish.PAUSE)


def cancel(project: Path) -> None:
    """End the work for good: it is not offered to go on with; what is done stays.

    Raises
    ------
    WriteError
        The folder cannot be written.
    """
    folder = background_folder(project)
    if not folder.is_dir():
        return
    wish_for(folder, Wish.DISCARD)
    state = read_state(folder)
    if state is not None and not is_locked(folder):
        write_state(folder, replace(state, phase=RunPhase.DISCARDED))


def status(project: Path) -> PoolStatus:
    """How far the work is; never raises."""
    folder = background_folder(project)
    if not folder.is_dir():
        return PoolStatus()
    content = read_json(folder / JOB_NAME)
    job = None if content is None else _parsed(content)
    return PoolStatus(job, read_state(folder), is_locked(folder), read_failures(folder))


def read_job(folder: Path) -> PoolJob:
    """What was asked for last.

    Raises
    ------
    ConfigError
        Nothing was, or it cannot be read.
    """
    content = read_json(folder / JOB_NAME)
    job = None if content is None else _parsed(content)
    if job is None:
        raise ConfigError(
            f"{folder} holds no work to go on with.", "Start it anew.", folder / JOB_NAME
        )
    return job


def read_failures(folder: Path) -> tuple[tuple[str, str], ...]:
    """Cases that could not be done, by name, and why."""
    content = read_json(folder / FAILURES_NAME) or {}
    found: dict[str, Any] = content.get("cases", {})
    return tuple((str(name), str(reason)) for name, reason in found.items())


def write_failures(folder: Path, failures: dict[str, str]) -> None:
    """Say which cases could not be done.

    Raises
    ------
    WriteError
        It cannot be written.
    """
    write_json({"cases": failures}, folder / FAILURES_NAME)


def _parsed(content: dict[str, Any]) -> PoolJob | None:
    try:
        return PoolJob.model_validate(content)
    except ValidationError:
        return None

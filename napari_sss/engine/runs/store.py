"""The runs of a project: making one, finding them again, and letting them go."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import WriteError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.runs.files import REQUEST_NAME, RUNS
from napari_sss.engine.runs.launch import spawn
from napari_sss.engine.runs.lock import RunIsActiveError, is_locked
from napari_sss.engine.runs.request import RunRequest, read_request, write_request
from napari_sss.engine.runs.state import RunPhase, RunState, read_state, write_state
from napari_sss.engine.runs.wishes import Wish, wish_for

PROBE = ".probe"
"""Where estimates are made; no run."""


@dataclass(frozen=True)
class RunSummary:
    """A run in the list."""

    folder: Path
    request: RunRequest
    state: RunState


class RunStore:
    """The runs below a project's folder.

    Parameters
    ----------
    project : Path
        The project's folder.
    """

    def __init__(self, project: Path) -> None:
        self.project = Path(project)
        self.folder = self.project / RUNS

    def prepare(
        self,
        settings: Mapping[str, Any],
        *,
        current: str = "",
        shares_device: bool = True,
        for_probe: bool = False,
        control: JobControl | None = None,
    ) -> Path:
        """Make a run's folder with the request and a snapshot of what it learns from.

        Parameters
        ----------
        settings : mapping
            The training's, as :func:`~napari_sss.engine.training.config.configured` takes
            them; the classes are those of the snapshot.
        current : str
            The model that it will be compared with.
        shares_device : bool
            A viewer may use the same GPU.
        for_probe : bool
            Only to be measured, by :meth:`measure`; such a folder is no run.
        control : JobControl, optional
            Told each case.

        Returns
        -------
        Path
            The run's folder.

        Raises
        ------
        ConfigError
            A setting cannot be used.
        DataError
            There is nothing to learn from.
        WriteError
            The folder cannot be written.
        """
        from napari_sss.engine.runs.snapshot import take_snapshot
        from napari_sss.engine.training.config import configured

        configured(settings)  # nothing is written for settings that cannot be used
        folder = self._probe_folder() if for_probe else self._fresh_folder()
        try:
            data, _ = take_snapshot(self.project, folder, control, keep_sides=not for_probe)
            config = configured(settings, {"classes": data.classes})
            request = RunRequest(
                id=folder.name,
                created=data.created,
                settings=config.model_dump(mode="json"),
                current=current,
                shares_device=shares_device,
            )
            write_state(folder, RunState())
            write_request(request, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def start(self, folder: Path, *, judge_only: bool = False) -> subprocess.Popen[bytes]:
        """Start a run's process, or start it again where it stopped.

        Raises
        ------
        RunIsActiveError
            A process works on it already.
        RunError
            It cannot be started.
        """
        if is_locked(folder):
            raise RunIsActiveError(
                f"The fine-tuning {folder.name} is running already.", "Watch it.", folder
            )
        before = read_state(folder) or RunState()
        # The old end must not be taken for the new one before the process has begun.
        fresh = replace(before, phase=RunPhase.QUEUED, problem="", remedy="", stage="")
        write_state(folder, fresh)
        return spawn(folder, *(["--judge-only"] if judge_only else []))

    def measure(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start the probe of a folder that was prepared for it.

        Its state is told as a run's is; what was measured is then read by
        :func:`~napari_sss.engine.runs.estimate.read_probe`.

        Raises
        ------
        RunIsActiveError, RunError
            See :meth:`start`.
        """
        return spawn(folder, "--probe")

    def list(self) -> tuple[RunSummary, ...]:
        """The runs, oldest first; what was discarded is cleared away."""
        if not self.folder.is_dir():
            return ()
        found = []
        for folder in sorted(self.folder.iterdir()):
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            summary = self._summary(folder)
            if summary is not None:
                found.append(summary)
        return tuple(found)

    def discard(self, folder: Path) -> None:
        """Remove a run that no process works on.

        Raises
        ------
        RunIsActiveError
            A process works on it; wish it discarded instead.
        WriteError
            It cannot be removed.
        """
        if is_locked(folder):
            raise RunIsActiveError(
                f"The fine-tuning {folder.name} is still running.", "Stop it first.", folder
            )
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise WriteError(
                f"{folder} cannot be removed: {error.strerror or error}.",
                "Close what uses it, or remove it by hand.",
                folder,
            ) from error

    def _summary(self, folder: Path) -> RunSummary | None:
        if not (folder / REQUEST_NAME).is_file():
            return None
        state = read_state(folder) or RunState(RunPhase.DIED)
        locked = is_locked(folder)
        if state.phase is RunPhase.DISCARDED and not locked:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        if state.phase.is_active and not locked:
            state = replace(state, phase=RunPhase.DIED)
        return RunSummary(folder, read_request(folder), state)

    def _probe_folder(self) -> Path:
        """The folder of probes, emptied."""
        folder = self.folder / PROBE
        if is_locked(folder):
            raise RunIsActiveError(
                "Another probe is still running.", "Wait until it has ended.", folder
            )
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_writable(error) from error
        return folder

    def _not_writable(self, error: OSError) -> WriteError:
        return WriteError(
            f"{self.folder} cannot be written: {error.strerror or error}.",
            "Check that you may write in the project's folder and that the disk is not full.",
            self.folder,
        )

    def _fresh_folder(self) -> Path:
        """A new folder, named by the time and numbered where two fall together."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for number in range(1, 1000):
                folder = self.folder / (stamp if number == 1 else f"{stamp}-{number}")
                with contextlib.suppress(FileExistsError):
                    folder.mkdir()
                    return folder
        except OSError as error:
            raise self._not_writable(error) from error
        raise WriteError(f"{self.folder} is full of runs.", "Discard some.", self.folder)


def pause(folder: Path) -> None:
    """Have a run save its work and end its process; :meth:`RunStore.start` resumes it."""
    wish_for(folder, Wish.PAUSE)


def stop_and_keep(folder: Path) -> None:
    """Have a run end its training now, keep the model and judge it."""
    wish_for(folder, Wish.FINISH)


def stop_and_discard(folder: Path) -> None:
    """Have a run end, and remove everything of it."""
    wish_for(folder, Wish.DISCARD)


def end_process(state: RunState) -> None:
    """End a process of this machine that does not answer any more; its checkpoint stays."""
    import platform
    import signal

    if state.pid and state.host == platform.node():
        kill = getattr(signal, "SIGKILL", signal.SIGTERM)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(state.pid, kill)

"""Watching a run from another process: its state, whether it lives, and its events.

No clock of the run is compared with one of the watcher: that the run lives is seen by its
beat, which must change within seconds of the watcher's own monotonic clock, and by its lock.
So neither a clock that jumps nor a machine that slept makes a run look dead.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_sss.engine.runs.files import LOG_NAME
from napari_sss.engine.runs.lock import is_locked
from napari_sss.engine.runs.state import RunPhase, RunState, read_state
from napari_sss.engine.training.events import EVENTS_NAME

QUIET_SECONDS = 4.0
"""Without a beat for so long, the lock is looked at."""

STUCK_SECONDS = 120.0
"""A process that is there, without a beat for so long, does not answer."""

STARTING_SECONDS = 30.0
"""A process that was just started may take so long to its first beat."""


@dataclass(frozen=True)
class RunView:
    """What a watcher sees.

    Parameters
    ----------
    state : RunState
        With the phase ``DIED`` where an unfinished run has no process.
    stuck : bool
        The process is there and does not answer.
    events : tuple of dict
        Those that are new since the last look.
    events_begin_anew : bool
        Earlier events are void: a resumed training takes some of them back.
    """

    state: RunState
    stuck: bool = False
    events: tuple[dict[str, Any], ...] = ()
    events_begin_anew: bool = False


class RunWatcher:
    """Looks at a run again and again; cheap enough for twice a second.

    Parameters
    ----------
    folder : Path
        The run's.
    process : Popen, optional
        Its process where this program has started it.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        process: subprocess.Popen[bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._process = process
        self._clock = clock
        self._beat: int | None = None
        self._began = self._changed = clock()
        self._last = RunState()
        self._tail = EventTail(folder / EVENTS_NAME)

    def look(self) -> RunView:
        """Look once."""
        code = None if self._process is None else self._process.poll()
        state = read_state(self.folder) or self._last
        now = self._clock()
        if state.beat != self._beat:
            if self._beat is not None:
                self._changed = now
            self._beat = state.beat
        quiet = now - self._changed
        stuck = False
        if state.phase.is_active and (quiet > QUIET_SECONDS or code is not None or self._new):
            locked = is_locked(self.folder)
            stuck = locked and quiet > STUCK_SECONDS
            if not locked and not self._is_starting(code, now):
                # It may have written its end between the two looks.
                state = read_state(self.folder) or state
                if state.phase.is_active:
                    state = died(state, self.folder, code)
        self._last = state
        events, anew = self._tail.read()
        return RunView(state, stuck, events, anew)

    @property
    def _new(self) -> bool:
        """Whether no beat has been seen yet: a run that was found, not started."""
        return self._changed == self._began

    def _is_starting(self, code: int | None, now: float) -> bool:
        """Whether our own process is there and has not taken the lock yet."""
        ours = self._process is not None and code is None
        return ours and self._new and now - self._began < STARTING_SECONDS


def died(state: RunState, folder: Path, code: int | None) -> RunState:
    """The state of a run whose process ended without a word, with what is known of why."""
    killed = getattr(signal, "SIGKILL", None)
    if code is not None and killed is not None and code == -killed:
        problem = "The system ended the fine-tuning, most often because memory ran out."
        remedy = (
            "Close other programs, or lower 'Features kept', and resume: it goes on from its "
            "last checkpoint."
        )
    else:
        problem = (
            "The fine-tuning ended without a word: it was killed, or the computer went off."
        )
        remedy = "Resume it: it goes on from its last checkpoint."
    said = _last_line(folder / LOG_NAME)
    if said and code not in (None, 0) and code != -(killed or 0):
        problem += f" Its last words: {said}"
    return replace(state, phase=RunPhase.DIED, problem=problem, remedy=remedy, stage="")


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 2000))
            lines = stream.read().decode("utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""


class EventTail:
    """Reads what was appended to a file of JSON lines since the last time.

    Parameters
    ----------
    path : Path
        The file; a resumed training replaces it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._file: tuple[int, int] | None = None

    def read(self) -> tuple[tuple[dict[str, Any], ...], bool]:
        """The new events, and whether the ones before are void."""
        try:
            with self._path.open("rb") as stream:
                facts = os.fstat(stream.fileno())
                file = (facts.st_dev, facts.st_ino)
                anew = self._file is not None and (
                    file != self._file or facts.st_size < self._offset
                )
                if anew:
                    self._offset = 0
                self._file = file
                stream.seek(self._offset)
                content = stream.read()
        except OSError:
            return (), False
        whole = content.rfind(b"\n") + 1  # the last line may be half written
        self._offset += whole
        return tuple(_events(content[:whole])), anew


def _events(content: bytes) -> list[dict[str, Any]]:
    events = []
    for line in content.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events

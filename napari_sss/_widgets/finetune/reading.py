"""Reading a run's folder into what the tab shows; used by one worker's thread alone."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from napari_sss._widgets.finetune.curves import Chart, History
from napari_sss._widgets.finetune.plan import duration
from napari_sss._widgets.finetune.shown import GateCase, GateShown, RunShown
from napari_sss.engine.errors import SSSError
from napari_sss.engine.runs.decision import decision_of
from napari_sss.engine.runs.files import GATE_NAME, PICTURES, read_json
from napari_sss.engine.runs.request import read_request
from napari_sss.engine.runs.state import RunPhase
from napari_sss.engine.runs.verdict import Judgement
from napari_sss.engine.runs.watching import RunWatcher

PICTURE_INDEX = "index.json"


class RunReading:
    """A run that is watched.

    Parameters
    ----------
    folder : Path
        The run's.
    process : Popen, optional
        Its process, where this program has started it.
    """

    def __init__(self, folder: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        self.folder = folder
        self._watcher = RunWatcher(folder, process)
        self._history = History()
        self._charts: tuple[Chart, ...] = self._history.charts()
        self._pictures: tuple[dict[str, Any], ...] = ()
        self._pictures_stamp = 0
        self._gate: GateShown | None = None
        self._title = ""

    def attach(self, process: subprocess.Popen[bytes]) -> None:
        """Watch a new process of the same run, which goes on."""
        self._watcher = RunWatcher(self.folder, process)
        self._history.clear()
        self._gate = None

    def read(self) -> RunShown:
        """The run as it is now."""
        seen = self._watcher.look()
        if seen.events_begin_anew:
            self._history.clear()
        if seen.events or seen.events_begin_anew:
            self._history.add(seen.events)
            self._charts = self._history.charts()
        if seen.state.phase is RunPhase.DONE and self._gate is None:
            self._gate = read_gate(self.folder)
        return RunShown(
            self.folder,
            self._named(),
            seen.state,
            seen.stuck,
            charts=self._charts,
            step=self._history.step,
            warnings=tuple(self._history.warnings[-3:]),
            pictures=self._drawn(),
            gate=self._gate,
            has_model=(self.folder / "model.json").is_file(),
        )

    def _named(self) -> str:
        """Method and budget, for instance ``SSS, 15 min``."""
        if not self._title:
            try:
                settings = read_request(self.folder).settings
            except SSSError:
                return self.folder.name
            minutes, steps = settings.get("minutes"), settings.get("steps")
            budget = f"{steps} steps" if minutes is None else duration(60 * float(minutes))
            name = str(settings.get("strategy", ""))
            self._title = f"{name.upper() if len(name) <= 3 else name}, {budget}"
        return self._title

    def _drawn(self) -> tuple[dict[str, Any], ...]:
        path = self.folder / PICTURES / PICTURE_INDEX
        try:
            stamp = path.stat().st_mtime_ns
        except OSError:
            return self._pictures
        if stamp != self._pictures_stamp:
            content = read_json(path)
            if content is not None:
                self._pictures_stamp = stamp
                self._pictures = tuple(content.get("times", ()))
        return self._pictures


def read_gate(folder: Path) -> GateShown | None:
    """What the gate found; None where it cannot be read."""
    content = read_json(folder / GATE_NAME)
    if content is None:
        return None
    try:
        judgement = Judgement.from_json(content["judgement"])
        cases = tuple(
            GateCase(
                one["case_id"],
                one["name"],
                one["kind"],
                one["agreement"],
                one["gain"],
                folder / one["new_file"],
                folder / one["old_file"] if one["old_file"] else None,
            )
            for one in content["looked"]
        )
        notes = [content.get("why_not_compared", "")]
        notes += [f"{name} is left out: {why}" for name, why in content["left_out"].items()]
    except (KeyError, TypeError, ValueError):
        return None
    return GateShown(judgement, cases, " ".join(filter(None, notes)), decision_of(folder))

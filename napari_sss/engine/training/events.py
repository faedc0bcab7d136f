"""What a training tells as it goes: JSON lines in its folder, and TensorBoard's events.

Each line is an object with ``event`` (``step``, ``validation``, ``checkpoint``, ``warning``
or ``finished``), ``step``, ``seconds`` since the start and the event's own figures.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from napari_sss.engine.volumes.writing import replacing

log = logging.getLogger(__name__)

EVENTS_NAME = "events.jsonl"
TENSORBOARD_NAME = "tensorboard"

EventKind = Literal["step", "validation", "checkpoint", "warning", "finished"]


class EventLog:
    """Writes events.

    Parameters
    ----------
    folder : Path
        The run's folder.
    tensorboard : bool
        Write its events too, where tensorboardX is installed.
    on_event : callable, optional
        Hears every event as a dictionary.
    from_step : int
        Later events of an interrupted training are forgotten: they will come again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tensorboard: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        from_step: int = 0,
    ) -> None:
        self.path = folder / EVENTS_NAME
        self._on_event = on_event
        _rewind(self.path, from_step)
        self._board = _board(folder / TENSORBOARD_NAME, from_step) if tensorboard else None

    def __call__(self, event: EventKind, step: int, seconds: float, **figures: Any) -> None:
        """Write one event."""
        content = {"event": event, "step": step, "seconds": round(seconds, 2), **figures}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(_plain(content), ensure_ascii=False) + "\n")
        if self._on_event is not None:
            self._on_event(content)
        if self._board is not None:
            for name, value in _flat(figures, event):
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush everything."""
        if self._board is not None:
            self._board.close()


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All events of a run; a last line that was cut off by a kill is left out."""
    path = folder / EVENTS_NAME
    events: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                events.append(json.loads(line))
            except json.JSONDecodeError:
                log.info("A line of %s is cut off and was left out.", path)
    return events


def _rewind(path: Path, step: int) -> None:
    if not path.is_file():
        return
    kept = [event for event in read_events(path.parent) if event["step"] <= step and step]
    with replacing(path, ".jsonl") as beside:
        text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in kept)
        beside.write_text(text, encoding="utf-8")


def _board(folder: Path, step: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        log.warning("TensorBoard's events need tensorboardX: pip install tensorboardX.")
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)


def _flat(figures: dict[str, Any], prefix: str) -> list[tuple[str, float]]:
    """Every number with its path, as TensorBoard's tags."""
    found: list[tuple[str, float]] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}/{name}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((f"{prefix}/{name}", float(value)))
    return found


def _plain(content: Any) -> Any:
    """Content in which NaN and infinities, which JSON does not have, are None."""
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content

"""What can be undone and redone in one case, in memory.

Entries that join the one before them form a *step* with it: what a streamed propagation left
slice by slice goes with one undo. The newest actions are kept as they are, older ones
packed: a few hundred large propagations would otherwise fill the memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from napari_sss.engine.project.action_codec import ActionCodec, PackedAction
from napari_sss.engine.project.state import Action

UNDO_DEPTH = 200
"""At least so many steps can be undone; the journal is cut only beyond twice as many."""

_UNPACKED = 8


@dataclass(frozen=True)
class HistoryStep:
    """A line of the history, for a list of it."""

    seq: int
    title: str
    in_force: bool


class History:
    """The line of entries with its cursor; see :mod:`~napari_sss.engine.project.journal`.

    Parameters
    ----------
    codec : ActionCodec
        Unpacks.
    floor, cursor : int
        As stored.
    entries : iterable of PackedAction
        Those after ``floor``, in order.
    """

    def __init__(
        self,
        codec: ActionCodec,
        floor: int = 0,
        cursor: int = 0,
        entries: Iterable[PackedAction] = (),
    ) -> None:
        self._codec = codec
        self._entries = list(entries)
        self._recent: dict[int, Action] = {}
        self.floor = floor
        self.cursor = cursor

    @property
    def undoable(self) -> int:
        """How many steps can be undone."""
        return sum(not entry.joins for entry in self._entries[: self.cursor - self.floor])

    @property
    def redoable(self) -> int:
        """How many steps can be redone."""
        return sum(not entry.joins for entry in self._entries[self.cursor - self.floor :])

    @property
    def undo_title(self) -> str | None:
        """What would be undone next."""
        return self._packed(self.step_start() + 1).title if self.cursor > self.floor else None

    @property
    def redo_title(self) -> str | None:
        """What would be redone next."""
        return self._packed(self.cursor + 1).title if self.step_stop() > self.cursor else None

    def steps(self) -> tuple[HistoryStep, ...]:
        """All steps, the oldest first."""
        return tuple(
            HistoryStep(seq, entry.title, seq <= self.cursor)
            for seq, entry in enumerate(self._entries, start=self.floor + 1)
            if not entry.joins
        )

    def append(self, action: Action, packed: PackedAction) -> int:
        """Add an action at the cursor; what could be redone is gone. Returns its number."""
        del self._entries[self.cursor - self.floor :]
        self._entries.append(packed)
        self.cursor += 1
        self._recent = {s: a for s, a in self._recent.items() if s < self.cursor}
        self._recent[self.cursor] = action
        self._recent.pop(self.cursor - _UNPACKED, None)
        return self.cursor

    def step_start(self) -> int:
        """Where the cursor stands once the step at it is undone."""
        seq = self.cursor
        while seq > self.floor and self._packed(seq).joins:
            seq -= 1
        return max(seq - 1, self.floor)

    def step_stop(self) -> int:
        """Where the cursor stands once the next step is redone."""
        last = self.floor + len(self._entries)
        seq = min(self.cursor + 1, last)
        while seq < last and self._packed(seq + 1).joins:
            seq += 1
        return seq

    def between(self, start: int, stop: int) -> tuple[Action, ...]:
        """The actions that lead from one place of the cursor to another, in order."""
        if start <= stop:
            return tuple(self._action(seq) for seq in range(start + 1, stop + 1))
        return tuple(self._action(seq).inverse() for seq in range(start, stop, -1))

    def excess(self) -> int | None:
        """Where the floor should now be, or None while the history is short enough."""
        if self.cursor - self.floor <= 2 * UNDO_DEPTH:
            return None
        heads = [
            self.floor + 1 + k
            for k, entry in enumerate(self._entries[: self.cursor - self.floor])
            if not entry.joins
        ]
        return heads[-UNDO_DEPTH] - 1 if len(heads) > 2 * UNDO_DEPTH else None

    def raise_floor(self, floor: int) -> None:
        """Forget the entries up to ``floor``."""
        del self._entries[: floor - self.floor]
        self.floor = floor

    def _action(self, seq: int) -> Action:
        return self._recent.get(seq) or self._codec.unpack(self._packed(seq))

    def _packed(self, seq: int) -> PackedAction:
        return self._entries[seq - self.floor - 1]

"""One case open for work: what is done to it, undone, redone, and saved as it happens.

::

    OPEN --act, undo, redo--> OPEN      (each is in the journal within moments)
    OPEN --close()--> CLOSED            (everything is on the disk)

Each act changes the state in memory at once and is handed to the writer. ``performed``
counts the acts, ``saved_through`` says up to which of them everything is on the disk: what
that mark covers survives the death of the process and of the machine.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import EmitLoopError, Signal

from napari_sss.engine.project.action_codec import ActionCodec
from napari_sss.engine.project.applied import Applied, Direction, Surroundings, around
from napari_sss.engine.project.classes import applicable
from napari_sss.engine.project.errors import ProjectError, ReadOnlyError
from napari_sss.engine.project.history import History
from napari_sss.engine.project.journal import Journal, Move
from napari_sss.engine.project.loading import LoadedCase
from napari_sss.engine.project.record_codec import encode_key
from napari_sss.engine.project.records import CaseStatus, SectionKey, Table
from napari_sss.engine.project.snapshot import store_whole
from napari_sss.engine.project.state import Action, AnnotationState, RecordChange

if TYPE_CHECKING:
    from napari_sss.engine.project.writer import Writer

log = logging.getLogger(__name__)

_IDLE_SECONDS = 60.0  # longer pauses count as no work
_SNAPSHOT_ENTRIES = 64
_SNAPSHOT_BYTES = 4 << 20


class Session:
    """A case's annotation with its history; every method may be called from any thread.

    Parameters
    ----------
    case_id : int
        The case.
    loaded : LoadedCase
        What is stored of it.
    codec : ActionCodec
        For the journal.
    writer : Writer, optional
        None: the project is open for reading only.
    surroundings : Surroundings
        What the case needs of its project.
    """

    changed = Signal(Applied)
    """Emitted after each act, in the thread that acted."""
    saved = Signal(int)
    """Emitted with ``saved_through`` when it has moved, in the writer's thread."""

    def __init__(
        self,
        case_id: int,
        loaded: LoadedCase,
        codec: ActionCodec,
        writer: Writer | None,
        surroundings: Surroundings,
    ) -> None:
        self.case_id = case_id
        self.state: AnnotationState = loaded.state
        self.history: History = loaded.history
        self._codec = codec
        self._journal = Journal(loaded.state.shape, codec.records)
        self._writer = writer
        self._surroundings = surroundings
        self._lock = threading.RLock()
        self._performed = self._saved_through = loaded.op
        self._unsnapped = loaded.pending
        self._unsnapped_bytes = 0
        self._acted = time.monotonic()
        self._open = True
        self._highest_id = max(self.state.objects, default=0)

    # -- what views show ----------------------------------------------------------------

    @property
    def labels(self) -> NDArray[np.uint16]:
        """Object ids (Z, Y, X), the live array: look at it, but change it by acts only."""
        return self.state.labels

    @property
    def performed(self) -> int:
        """Number of the last act."""
        return self._performed

    @property
    def saved_through(self) -> int:
        """Number of the last act that is on the disk, with all before it."""
        return self._saved_through

    @property
    def is_saved(self) -> bool:
        """Whether everything is on the disk."""
        return self._saved_through >= self._performed

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return self._open

    @property
    def read_only(self) -> bool:
        """Whether acts are refused."""
        return self._writer is None or not self._open

    @property
    def status(self) -> CaseStatus:
        """What the case list shows while the case is open."""
        return self.state.case.status(parked=False)

    def free_id(self) -> int:
        """An id that no object of this case has, or had since it was opened."""
        self._highest_id = max(self._highest_id, max(self.state.objects, default=0))
        return self._highest_id + 1

    # -- acting -------------------------------------------------------------------------

    def act(
        self,
        build: Callable[[AnnotationState], Action],
        *,
        joins: int | None = None,
        also: tuple[slice, slice, slice] | None = None,
    ) -> Applied:
        """Do something.

        Parameters
        ----------
        build : callable
            Makes the action from the state; it may raise, and nothing has happened then.
        joins : int, optional
            ``seq`` of an earlier act: undone and redone together with it, if nothing else
            was done since. For what arrives in pieces, such as a propagation.
        also : tuple of 3 slices, optional
            A box that views should redraw besides the one that changed.

        Raises
        ------
        ReadOnlyError
            If the project is open for reading only, or the case was closed.
        ProjectError
            Whatever ``build`` raises.
        """
        with self._lock:
            writer = self._require_writer()
            action = build(self.state)
            if action.is_empty:
                return replace(self._nothing("do"), box=also, refused=action.refused)
            follows = joins is not None and joins == self.history.cursor
            packed = self._codec.pack(action, joins=follows and joins != self.history.floor)
            self.state.apply(action)
            self.history.append(action, packed)
            self._unsnapped_bytes += packed.size
            self._submit(writer, action.changes, action.touched, packed)
            applied = self._applied("do", action.title, [action], also=also)
        self.changed.emit(applied)
        return applied

    def hold(self, seconds: float) -> bool:
        """Let no other thread act until :meth:`release`, as while a viewer's brush is down.

        Parameters
        ----------
        seconds : float
            How long to wait for an act that is going on.

        Returns
        -------
        bool
            Whether it is held.
        """
        return self._lock.acquire(timeout=seconds)

    def release(self) -> None:
        """Let others act again; in the thread that holds."""
        self._lock.release()

    def take_back(self, seq: int) -> None:
        """Change everything back to how it was at a place of the history, by an act.

        What is taken back and the taking back are one step with what was done at ``seq``.
        """
        with self._lock:
            for action in self.history.between(self.history.cursor, seq):
                self.act(partial(_as_it_is, action=action), joins=self.history.cursor)

    def undo(self) -> Applied:
        """Take the last step back; nothing happens where there is none."""
        return self._travel("undo", self.history.step_start)

    def redo(self) -> Applied:
        """Do the next step again; nothing happens where there is none."""
        return self._travel("redo", self.history.step_stop)

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything is on the disk.

        Raises
        ------
        SaveError
            If that fails; everything is kept in memory and tried again.
        """
        if self._writer is not None:
            self._writer.flush(timeout)

    def close(self) -> None:
        """Save everything, and leave the case such that it opens quickly.

        Not to be called from a listener to :attr:`saved`.

        Raises
        ------
        SaveError
            If something cannot be saved; the case stays open.
        """
        with self._lock:
            if self._writer is not None and self._open:
                self._writer.flush()
                if self._unsnapped and self._writer.is_open:
                    self._fold(self._writer)
            self._open = False

    # -- inside -------------------------------------------------------------------------

    def _fold(self, writer: Writer) -> None:
        """Bring the stored label array to the cursor."""
        try:
            writer.call(partial(self._journal.take_snapshot, case_id=self.case_id))
        except ProjectError as error:
            # The journal was damaged behind our back; what is in memory is whole.
            log.warning("The label array is stored anew: %s", error)
            writer.call(
                partial(
                    store_whole,
                    case_id=self.case_id,
                    cursor=self.history.cursor,
                    labels=self.labels,
                )
            )

    def _travel(self, direction: Direction, target: Callable[[], int]) -> Applied:
        with self._lock:
            writer = self._require_writer()
            cursor = target()
            actions = self.history.between(self.history.cursor, cursor)
            if not actions:
                return self._nothing(direction)
            title = self.history.undo_title if direction == "undo" else self.history.redo_title
            fitted: list[Action] = []
            notes: tuple[str, ...] = ()
            for action in actions:
                changes, more = applicable(
                    action.changes, self.state.classes, self._surroundings.class_users
                )
                action = replace(action, changes=changes)
                self.state.apply(action)
                fitted.append(action)
                notes = (*notes, *more)
            self.history.cursor = cursor
            changes = tuple(change for action in fitted for change in action.changes)
            self._submit(writer, changes, frozenset())
            applied = self._applied(direction, title or "", fitted, notes=notes)
        self.changed.emit(applied)
        return applied

    def _submit(
        self,
        writer: Writer,
        changes: tuple[RecordChange, ...],
        touched: Collection[SectionKey],
        entry: Any = None,
    ) -> None:
        self._performed += 1
        self._highest_id = max(self._highest_id, max(self.state.objects, default=0))
        move = Move(
            self.case_id,
            self._performed,
            self.history.cursor,
            changes,
            self.status,
            entry,
            self._spent(touched),
        )
        save = partial(self._journal.save, move=move)
        writer.submit(save, partial(self._mark_saved, move.op))
        self._tidy(writer)

    def _tidy(self, writer: Writer) -> None:
        """Have the journal folded now and then, when the writer has nothing better to do."""
        self._unsnapped += 1
        due = self._unsnapped >= _SNAPSHOT_ENTRIES or self._unsnapped_bytes >= _SNAPSHOT_BYTES
        if due:
            self._unsnapped = self._unsnapped_bytes = 0
            fold = partial(self._journal.take_snapshot, case_id=self.case_id)
            writer.when_idle((self.case_id, "snapshot"), fold)
        floor = self.history.excess()
        if floor is not None:
            self.history.raise_floor(floor)
            cut = partial(self._journal.raise_floor, case_id=self.case_id, floor=floor)
            writer.when_idle((self.case_id, "floor"), cut)

    def _spent(self, touched: Collection[SectionKey]) -> Mapping[str, float]:
        """Seconds since the last act, shared among what was touched."""
        now = time.monotonic()
        seconds = min(now - self._acted, _IDLE_SECONDS)
        self._acted = now
        keys = [encode_key(Table.SECTION, key) for key in touched] or [""]
        return dict.fromkeys(keys, seconds / len(keys))

    def _mark_saved(self, op: int) -> None:
        self._saved_through = op
        try:
            self.saved.emit(op)
        except EmitLoopError:  # a listener's fault must not stop the saving
            log.exception("A listener to the saved mark failed")

    def _require_writer(self) -> Writer:
        if self._writer is None:
            raise ReadOnlyError(
                "The project is open for reading only.",
                "Close it in the other viewer, then open it again.",
            )
        if not self._open:
            raise ReadOnlyError("The case was closed.", "Open it again.")
        return self._writer

    def _nothing(self, direction: Direction) -> Applied:
        return Applied(direction, "", self._performed, self.history.cursor)

    def _applied(
        self,
        direction: Direction,
        title: str,
        actions: list[Action],
        *,
        notes: tuple[str, ...] = (),
        also: tuple[slice, slice, slice] | None = None,
    ) -> Applied:
        boxes = [action.diff.box(self.state.shape) for action in actions]
        keys = frozenset((c.table, c.key) for action in actions for c in action.changes)
        return Applied(
            direction,
            title,
            self._performed,
            self.history.cursor,
            around([*boxes, also]),
            keys,
            notes,
            actions[0].refused,
        )


def _as_it_is(_: AnnotationState, action: Action) -> Action:
    return action

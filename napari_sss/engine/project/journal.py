"""A case's journal in the database: each act is one transaction.

A case has a line of entries, numbered from 1, each an action with both its directions (one
that *joins* is undone and redone together with the entry before it); a cursor, the last entry
in force; and a floor, below which nothing can be undone any more::

    1 ... floor | floor+1 ... cursor | cursor+1 ... last
      (gone)         can be undone        can be redone

The table ``record`` always stands at the cursor. The table ``chunk`` holds the label array,
slice by slice, as it was after entry ``snapshot``; from there the entries lead to the cursor,
forwards or backwards. ``op`` counts everything that was saved, undo and redo included: it is
what the viewer's "saved" mark speaks of.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from napari_sss.engine.project.action_codec import PackedAction
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.record_codec import RecordCodec, encode_key
from napari_sss.engine.project.records import CaseStatus, Table
from napari_sss.engine.project.snapshot import move_snapshot
from napari_sss.engine.project.state import RecordChange
from napari_sss.engine.volumes.grid import Shape3


@dataclass(frozen=True)
class Move:
    """What an act leaves in the database.

    Parameters
    ----------
    case_id : int
        The case.
    op : int
        Number of the act, one more than of the act before.
    cursor : int
        The last entry in force after it.
    changes : tuple of RecordChange
        The records as they become.
    status : CaseStatus
        What the case list shows then.
    entry : PackedAction, optional
        The new entry at the cursor; None for undo and redo.
    seconds : mapping
        Time spent, by section key as text, ``""`` for the case.
    """

    case_id: int
    op: int
    cursor: int
    changes: tuple[RecordChange, ...]
    status: CaseStatus
    entry: PackedAction | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


class Journal:
    """Writes one case's journal; its methods run in the writer's thread.

    Parameters
    ----------
    shape : (int, int, int)
        Of the label array.
    codec : RecordCodec
        For records.
    """

    def __init__(self, shape: Shape3, codec: RecordCodec) -> None:
        self._shape = shape
        self._codec = codec

    def save(self, connection: sqlite3.Connection, move: Move) -> None:
        """Enter an act; one that is there already is left alone."""
        row = case_row(connection, move.case_id)
        if row["op"] >= move.op:
            return
        if move.entry is not None:
            self._append(connection, move, move.entry, row)
        save_changes(connection, move.case_id, move.changes, self._codec)
        connection.executemany(
            "INSERT INTO effort VALUES (?, ?, ?) ON CONFLICT (scan, key) "
            "DO UPDATE SET seconds = seconds + excluded.seconds",
            [(move.case_id, key, seconds) for key, seconds in move.seconds.items()],
        )
        connection.execute(
            "UPDATE scan SET op = ?, cursor = ?, status = ? WHERE id = ?",
            (move.op, move.cursor, move.status.value, move.case_id),
        )

    def take_snapshot(self, connection: sqlite3.Connection, case_id: int) -> None:
        """Bring the stored label array to the cursor, so that reopening is quick."""
        move_snapshot(connection, case_id, case_row(connection, case_id)["cursor"], self._shape)

    def raise_floor(self, connection: sqlite3.Connection, case_id: int, floor: int) -> None:
        """Forget the entries up to ``floor``, which can then no longer be undone."""
        row = case_row(connection, case_id)
        if not row["floor"] < floor <= row["cursor"]:
            return
        if row["snapshot"] < floor:
            move_snapshot(connection, case_id, row["cursor"], self._shape)
        connection.execute("DELETE FROM entry WHERE scan = ? AND seq <= ?", (case_id, floor))
        connection.execute("UPDATE scan SET floor = ? WHERE id = ?", (floor, case_id))

    def _append(
        self, connection: sqlite3.Connection, move: Move, entry: PackedAction, row: sqlite3.Row
    ) -> None:
        """Add an entry; what could be redone before is gone then."""
        if row["snapshot"] >= move.cursor:
            move_snapshot(connection, move.case_id, move.cursor - 1, self._shape)
        connection.execute(
            "DELETE FROM entry WHERE scan = ? AND seq >= ?", (move.case_id, move.cursor)
        )
        connection.execute(
            "INSERT INTO entry (scan, seq, kind, title, joins, voxels, records, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                move.case_id,
                move.cursor,
                entry.kind,
                entry.title,
                int(entry.joins),
                entry.voxels,
                entry.records,
                datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        )


def case_row(connection: sqlite3.Connection, case_id: int) -> sqlite3.Row:
    """The database's row of a case.

    Raises
    ------
    ProjectError
        If it was removed.
    """
    row = connection.execute("SELECT * FROM scan WHERE id = ?", (case_id,)).fetchone()
    if row is None:
        raise ProjectError(f"There is no case {case_id} in the project.", "Choose another one.")
    return row


def save_changes(
    connection: sqlite3.Connection,
    case_id: int,
    changes: Iterable[RecordChange],
    codec: RecordCodec,
) -> None:
    """Bring the stored records to where the changes lead."""
    for change in changes:
        if change.table is Table.CLASS:
            _save_class(connection, change, codec)
            continue
        key = (case_id, change.table.value, encode_key(change.table, change.key))
        if change.after is None:
            connection.execute(
                "DELETE FROM record WHERE scan = ? AND kind = ? AND key = ?", key
            )
            continue
        connection.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT (scan, kind, key) "
            "DO UPDATE SET content = excluded.content",
            (*key, codec.encode(change.table, change.after)),
        )


def _save_class(
    connection: sqlite3.Connection, change: RecordChange, codec: RecordCodec
) -> None:
    if change.after is None:
        connection.execute("DELETE FROM class WHERE id = ?", (change.key,))
        return
    connection.execute(
        "INSERT INTO class VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET "
        "content = excluded.content",
        (change.key, codec.encode(Table.CLASS, change.after)),
    )

"""A case's annotation out of the database."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from napari_sss.engine.project.action_codec import ActionCodec, PackedAction
from napari_sss.engine.project.history import History
from napari_sss.engine.project.journal import case_row
from napari_sss.engine.project.record_codec import decode_key
from napari_sss.engine.project.records import ClassRecord, Table
from napari_sss.engine.project.snapshot import read_labels_at_cursor
from napari_sss.engine.project.state import AnnotationState, RecordChange
from napari_sss.engine.volumes.grid import Shape3


@dataclass(frozen=True)
class LoadedCase:
    """What is stored of a case's annotation.

    Parameters
    ----------
    state : AnnotationState
        Voxels and records at the cursor.
    history : History
        What can be undone and redone.
    op : int
        Number of the last act that was saved.
    pending : int
        Entries since the stored label array.
    """

    state: AnnotationState
    history: History
    op: int
    pending: int


def load_case(
    connection: sqlite3.Connection,
    case_id: int,
    shape: Shape3,
    codec: ActionCodec,
    classes: dict[int, ClassRecord],
    *,
    with_labels: bool = True,
) -> LoadedCase:
    """Read a case's annotation; all reads belong to one transaction.

    Parameters
    ----------
    connection : sqlite3.Connection
        In a transaction.
    case_id : int
        The case.
    shape : (int, int, int)
        Of the scan.
    codec : ActionCodec
        For records and entries.
    classes : dict
        The project's, shared.
    with_labels : bool
        Read the voxels too; without, the label array is empty in every sense.

    Raises
    ------
    ProjectError
        If there is no such case, or what is stored is damaged.
    """
    row = case_row(connection, case_id)
    state = AnnotationState(shape if with_labels else (0, 0, 0), classes)
    if with_labels:
        read_labels_at_cursor(connection, row, state.labels)
    state.apply_changes(_records(connection, case_id, codec))
    entries = connection.execute(
        "SELECT kind, title, voxels, records, joins FROM entry "
        "WHERE scan = ? AND seq > ? ORDER BY seq",
        (case_id, row["floor"]),
    )
    packed = [PackedAction(e[0], e[1], e[2], e[3], bool(e[4])) for e in entries]
    history = History(codec, row["floor"], row["cursor"], packed)
    return LoadedCase(state, history, row["op"], abs(row["cursor"] - row["snapshot"]))


def load_classes(connection: sqlite3.Connection, codec: ActionCodec) -> dict[int, ClassRecord]:
    """The project's classes by id."""
    rows = connection.execute("SELECT id, content FROM class ORDER BY id")
    return {row["id"]: codec.records.decode(Table.CLASS, row["content"]) for row in rows}


def stored_class_ids(
    connection: sqlite3.Connection, codec: ActionCodec
) -> dict[int, list[int]]:
    """The class ids of all stored objects, by case."""
    found: dict[int, list[int]] = {}
    for row in connection.execute("SELECT scan, content FROM record WHERE kind = 'object'"):
        record = codec.records.decode(Table.OBJECT, row["content"])
        found.setdefault(row["scan"], []).append(record.class_id)
    return found


def _records(
    connection: sqlite3.Connection, case_id: int, codec: ActionCodec
) -> list[RecordChange]:
    rows = connection.execute(
        "SELECT kind, key, content FROM record WHERE scan = ? ORDER BY rowid", (case_id,)
    )
    found = []
    for row in rows:
        table = Table(row["kind"])
        record = codec.records.decode(table, row["content"])
        found.append(RecordChange(table, decode_key(table, row["key"]), None, record))
    return found

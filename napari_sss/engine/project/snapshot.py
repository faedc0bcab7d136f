"""The stored label array, slice by slice, and how entries carry it forwards and backwards.

It is changed by the writer alone, from what the journal holds: the array on the screen is
never read for it, so that nobody has to hold still.
"""

from __future__ import annotations

import itertools
import sqlite3
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.project.diff import LABEL_DTYPE, LabelDiff
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.volumes.grid import Shape3


def diffs_between(
    connection: sqlite3.Connection, case_id: int, start: int, stop: int
) -> list[LabelDiff]:
    """The voxel changes that lead from entry ``start`` to entry ``stop``, in order."""
    low, high = sorted((start, stop))
    rows = connection.execute(
        "SELECT seq, voxels FROM entry WHERE scan = ? AND seq > ? AND seq <= ? ORDER BY seq",
        (case_id, low, high),
    ).fetchall()
    if len(rows) != high - low:
        raise ProjectError(
            f"The journal of case {case_id} lacks entries between {low} and {high}.",
            "The database is damaged: put back a backup of the project folder.",
        )
    diffs = [LabelDiff.from_bytes(row["voxels"]) for row in rows if row["voxels"] is not None]
    return diffs if start <= stop else [diff.inverse() for diff in reversed(diffs)]


def move_snapshot(connection: sqlite3.Connection, case_id: int, to: int, shape: Shape3) -> None:
    """Bring the stored label array to where it stood after entry ``to``."""
    start = connection.execute("SELECT snapshot FROM scan WHERE id = ?", (case_id,)).fetchone()
    slices: dict[int, NDArray[np.uint16]] = {}
    size = shape[1] * shape[2]
    for diff in diffs_between(connection, case_id, start["snapshot"], to):
        indices, values = diff.indices(), np.repeat(diff.after, diff.lengths)
        first, last = int(indices[0]) // size, int(indices[-1]) // size
        bounds = np.searchsorted(indices, np.arange(first, last + 2) * size)
        for z, (a, b) in enumerate(itertools.pairwise(bounds), start=first):
            if a < b:
                if z not in slices:
                    slices[z] = _read_slice(connection, case_id, z, size)
                slices[z][indices[a:b] - z * size] = values[a:b]
    for z, flat in slices.items():
        _write_slice(connection, case_id, z, flat)
    connection.execute("UPDATE scan SET snapshot = ? WHERE id = ?", (to, case_id))


def store_whole(
    connection: sqlite3.Connection, case_id: int, cursor: int, labels: NDArray[np.uint16]
) -> None:
    """Store a whole label array (Z, Y, X) as it stands after entry ``cursor``."""
    connection.execute("DELETE FROM chunk WHERE scan = ?", (case_id,))
    for z, plane in enumerate(labels):
        _write_slice(connection, case_id, z, plane.reshape(-1))
    connection.execute("UPDATE scan SET snapshot = ? WHERE id = ?", (cursor, case_id))


def read_labels_at_cursor(
    connection: sqlite3.Connection, row: sqlite3.Row, labels: NDArray[np.uint16]
) -> None:
    """Fill an empty label array with a case's state.

    Parameters
    ----------
    connection : sqlite3.Connection
        In one transaction with the reading of ``row``.
    row : sqlite3.Row
        Of the case.
    labels : (Z, Y, X) array of uint16
        All 0.

    Raises
    ------
    ProjectError
        If the journal does not fit the stored array.
    """
    chunks = connection.execute("SELECT z, content FROM chunk WHERE scan = ?", (row["id"],))
    for chunk in chunks:
        LabelDiff.from_bytes(chunk["content"]).apply(labels[chunk["z"]])
    for diff in diffs_between(connection, row["id"], row["snapshot"], row["cursor"]):
        diff.apply(labels, verify=True)


def _read_slice(
    connection: sqlite3.Connection, case_id: int, z: int, size: int
) -> NDArray[np.uint16]:
    flat = np.zeros(size, dtype=LABEL_DTYPE)
    row = connection.execute(
        "SELECT content FROM chunk WHERE scan = ? AND z = ?", (case_id, z)
    ).fetchone()
    if row is not None:
        LabelDiff.from_bytes(row["content"]).apply(flat)
    return flat


def _write_slice(
    connection: sqlite3.Connection, case_id: int, z: int, flat: NDArray[Any]
) -> None:
    """Store a slice as what makes it out of an empty one."""
    filled = np.flatnonzero(flat)
    if not filled.size:
        connection.execute("DELETE FROM chunk WHERE scan = ? AND z = ?", (case_id, z))
        return
    content = LabelDiff.of_voxels(filled, 0, flat[filled]).to_bytes()
    connection.execute(
        "INSERT INTO chunk VALUES (?, ?, ?) ON CONFLICT (scan, z) DO UPDATE SET "
        "content = excluded.content",
        (case_id, z, content),
    )

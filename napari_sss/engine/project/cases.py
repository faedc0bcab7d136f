"""The cases of a project: which scans there are, and how far the work on each is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_sss.engine.project.records import CaseStatus
from napari_sss.engine.volumes.grid import Grid, Vector3
from napari_sss.engine.volumes.volume import Modality


@dataclass(frozen=True)
class Reading:
    """How a scan is read; the fields are those of ``read_volume``."""

    series_uid: str | None = None
    frame: int | None = None
    spacing: Vector3 | None = None
    modality: Modality | None = None
    nan: str = "refuse"
    shear: str = "refuse"

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for ``read_volume``."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Case:
    """One scan of the project, as stored.

    Parameters
    ----------
    id : int
        Its number; never given again.
    name : str
        Unique in the project.
    relative_path : str, optional
        The scan's file or DICOM folder, from the project's folder.
    absolute_path : Path
        Where it was last seen.
    reading : Reading
        How it is read.
    grid : Grid
        Its voxels, and those of the masks.
    modality : {"CT", "MR", "unknown"}
        As read.
    fingerprint : str
        SHA-256 of its content.
    stamp : str
        Sizes and times of its files, to notice a change quickly.
    status : CaseStatus
        How far the work is.
    patient : str, optional
        Only where known; stays in the project.
    added : str
        When, ISO 8601 in UTC.
    view : mapping
        What the viewer wants to find again, plain JSON content.
    """

    id: int
    name: str
    relative_path: str | None
    absolute_path: Path
    reading: Reading
    grid: Grid
    modality: Modality
    fingerprint: str
    stamp: str
    status: CaseStatus
    patient: str | None = None
    added: str = ""
    view: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseFilter:
    """Which cases a list shows.

    Parameters
    ----------
    statuses : collection of CaseStatus, optional
        Only these.
    text : str
        Part of the name, in any case of letters.
    flagged : bool
        Only those with a flag on anything.
    """

    statuses: Collection[CaseStatus] | None = None
    text: str = ""
    flagged: bool = False


def select_cases(connection: sqlite3.Connection, chosen: CaseFilter) -> list[Case]:
    """The cases that a filter lets through, in the order they were added."""
    conditions, values = ["1"], []
    if chosen.statuses is not None:
        marks = ", ".join("?" * len(chosen.statuses))
        conditions.append(f"status IN ({marks})")
        values += [status.value for status in chosen.statuses]
    if chosen.flagged:
        conditions.append(
            "EXISTS (SELECT 1 FROM record WHERE scan = scan.id AND content LIKE ?)"
        )
        values.append('%"flags":["%')
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM scan WHERE {' AND '.join(conditions)} ORDER BY id", values
    )
    cases = [_case(row) for row in rows]
    return [case for case in cases if chosen.text.lower() in case.name.lower()]


def find_case(connection: sqlite3.Connection, case_id: int) -> Case | None:
    """One case, or None."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM scan WHERE id = ?", (case_id,)).fetchone()
    return None if row is None else _case(row)


def case_names(connection: sqlite3.Connection) -> set[str]:
    """The names that are taken."""
    return {row["name"] for row in connection.execute("SELECT name FROM scan")}


def known_by_content(
    connection: sqlite3.Connection, fingerprint: str, reading: Reading
) -> str | None:
    """The name of the case that is this scan read in this way, or None."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM scan WHERE fingerprint = ?", (fingerprint,)
    )
    return next((case.name for case in map(_case, rows) if case.reading == reading), None)


def known_by_place(connection: sqlite3.Connection, path: Path, reading: Reading) -> Case | None:
    """The case whose scan was last seen at this place and is read in this way, or None.

    What ``reading`` leaves open was decided by the file when the case was added: its only
    series, its first frame.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM scan WHERE absolute_path = ?", (str(path),)
    )
    for case in map(_case, rows):
        known = case.reading
        first = reading.frame is None and known.frame in (None, 0)
        same = replace(
            known,
            series_uid=known.series_uid if reading.series_uid is not None else None,
            frame=None if first else known.frame,
        )
        if same == reading:
            return case
    return None


def insert_case(connection: sqlite3.Connection, case: Case, thumbnail: bytes) -> int:
    """Store a new case and return its id; its own is not looked at."""
    cursor = connection.execute(
        "INSERT INTO scan (name, relative_path, absolute_path, reading, grid, modality, "
        "fingerprint, stamp, patient, added, thumbnail, status) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            case.name,
            case.relative_path,
            str(case.absolute_path),
            json.dumps(asdict(case.reading)),
            json.dumps(asdict(case.grid)),
            case.modality,
            case.fingerprint,
            case.stamp,
            case.patient,
            case.added,
            thumbnail,
            case.status.value,
        ),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def place_case(
    connection: sqlite3.Connection,
    case_id: int,
    *,
    relative_path: str | None,
    absolute_path: Path,
    stamp: str,
    fingerprint: str,
    thumbnail: bytes | None = None,
) -> None:
    """Note where a case's scan is now, and what it is; a new picture where one is given."""
    connection.execute(
        "UPDATE scan SET relative_path = ?, absolute_path = ?, stamp = ?, fingerprint = ?, "
        "thumbnail = COALESCE(?, thumbnail) WHERE id = ?",
        (relative_path, str(absolute_path), stamp, fingerprint, thumbnail, case_id),
    )


_COLUMNS = (
    "id, name, relative_path, absolute_path, reading, grid, modality, fingerprint, stamp, "
    "patient, added, status, view"
)


def _case(row: sqlite3.Row) -> Case:
    reading = json.loads(row["reading"])
    if reading["spacing"] is not None:
        reading["spacing"] = tuple(reading["spacing"])
    grid = {key: tuple(value) for key, value in json.loads(row["grid"]).items()}
    return Case(
        id=row["id"],
        name=row["name"],
        relative_path=row["relative_path"],
        absolute_path=Path(row["absolute_path"]),
        reading=Reading(**reading),
        grid=Grid(**grid),
        modality=row["modality"],
        fingerprint=row["fingerprint"],
        stamp=row["stamp"],
        status=CaseStatus(row["status"]),
        patient=row["patient"],
        added=row["added"],
        view=json.loads(row["view"]),
    )

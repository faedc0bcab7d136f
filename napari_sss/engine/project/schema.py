"""The database's tables, and the steps from each version to the next.

A new database runs all steps; an older one those it lacks, in one transaction, after a copy
of it was laid beside it. Steps that were published are never edited: a change is a new step.
"""

from __future__ import annotations

import sqlite3

from napari_sss.engine.project.errors import ProjectError, ProjectVersionError

APPLICATION_ID = 0x53535350  # "SSSP" in the header of the database file

_VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE class (id INTEGER PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE scan (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    relative_path TEXT,            -- from the project's folder, with / and perhaps ..
    absolute_path TEXT NOT NULL,   -- where it was when it was last seen
    reading TEXT NOT NULL,         -- JSON: how it is read (series, frame, ...)
    grid TEXT NOT NULL,            -- JSON
    modality TEXT NOT NULL,
    fingerprint TEXT NOT NULL,     -- SHA-256 of its content
    stamp TEXT NOT NULL,           -- sizes and times of its files, to compare quickly
    patient TEXT,                  -- only where known; never exported
    added TEXT NOT NULL,
    thumbnail BLOB,                -- PNG
    status TEXT NOT NULL,          -- derived from the record and 'parked', for filters
    parked INTEGER NOT NULL DEFAULT 0,
    view TEXT NOT NULL DEFAULT '{}',
    op INTEGER NOT NULL DEFAULT 0,       -- actions, undos and redos that were saved
    cursor INTEGER NOT NULL DEFAULT 0,   -- the last action that is in force
    snapshot INTEGER NOT NULL DEFAULT 0, -- the action after which the table 'chunk' stands
    floor INTEGER NOT NULL DEFAULT 0     -- actions up to this one can no longer be undone
);
CREATE TABLE record (
    scan INTEGER NOT NULL REFERENCES scan(id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    content TEXT NOT NULL,
    UNIQUE (scan, kind, key)
);
CREATE TABLE entry (
    scan INTEGER NOT NULL REFERENCES scan(id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    joins INTEGER NOT NULL,        -- 1: undone and redone together with the entry before
    voxels BLOB,
    records BLOB NOT NULL,
    created TEXT NOT NULL,
    UNIQUE (scan, seq)
);
CREATE TABLE chunk (
    scan INTEGER NOT NULL REFERENCES scan(id) ON DELETE CASCADE,
    z INTEGER NOT NULL,
    content BLOB NOT NULL,
    UNIQUE (scan, z)
);
"""

_VERSION_2 = """
CREATE TABLE effort (
    scan INTEGER NOT NULL REFERENCES scan(id) ON DELETE CASCADE,
    key TEXT NOT NULL,             -- of a section, or '' for the case as a whole
    seconds REAL NOT NULL,
    UNIQUE (scan, key)
);
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1, _VERSION_2)
"""Step ``k`` leads from version ``k`` to version ``k + 1``."""

SCHEMA_VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection, path: object) -> int:
    """The schema version of an open database; 0 where it has no tables yet.

    Raises
    ------
    ProjectVersionError
        If a newer program wrote it.
    ProjectError
        If it is no project's database.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if application == APPLICATION_ID and version > SCHEMA_VERSION:
        raise ProjectVersionError(
            f"{path} was written by a newer napari-sss (its version is {version}, this program "
            f"knows up to {SCHEMA_VERSION}).",
            "Update napari-sss. The project was not touched.",
        )
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (tables or version):
        raise ProjectError(
            f"{path} is not the database of a napari-sss project.",
            "Choose the folder of a project, or an empty one for a new project.",
        )
    return version


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a database from ``version`` to the newest one, as a whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[version:]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """The statements of a script one by one: ``executescript`` would commit before them."""
    statements, statement = [], ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements

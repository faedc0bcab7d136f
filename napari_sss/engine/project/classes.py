"""The classes of a project, shared by all its cases.

A class's id is its value in exported masks, so ids are never given twice: a class that is
removed leaves its record behind, out of sight. Objects that come back by undo still know it.
A class that has objects can be removed only *into* another one, as which they then count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from napari_sss.engine.project.errors import ClassInUseError, ProjectError
from napari_sss.engine.project.records import ClassRecord, ObjectRecord, Table
from napari_sss.engine.project.state import RecordChange

MAX_CLASS = 254
"""The highest id; 255 marks voxels to be ignored in files for training."""

PALETTE = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#999999",
)
"""Colours that colour-blind people can tell apart (Okabe and Ito, 2008)."""

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_NEW_KEYS = "1234567890"


def visible(classes: Mapping[int, ClassRecord]) -> tuple[ClassRecord, ...]:
    """The classes that are offered, by id."""
    return tuple(record for _, record in sorted(classes.items()) if not record.removed)


def resolved(classes: Mapping[int, ClassRecord], class_id: int) -> ClassRecord:
    """The class that objects of ``class_id`` count as."""
    record = classes[class_id]
    while record.removed and record.merged_into is not None:
        record = classes[record.merged_into]
    return record


def named(classes: Mapping[int, ClassRecord], name: str) -> ClassRecord:
    """The class of this name.

    Raises
    ------
    ProjectError
        If there is none.
    """
    for record in visible(classes):
        if record.name == name:
            return record
    known = ", ".join(record.name for record in visible(classes)) or "none yet"
    raise ProjectError(f"There is no class {name!r}.", f"There are: {known}.")


def adding(
    classes: Mapping[int, ClassRecord], name: str, colour: str | None, key: str | None
) -> RecordChange:
    """The change that adds a class; colour and key are chosen where they are not given."""
    new_id = max(classes, default=0) + 1
    if new_id > MAX_CLASS:
        raise ProjectError(f"A project has at most {MAX_CLASS} classes.", "Use existing ones.")
    taken = {record.key for record in visible(classes)}
    if key is None:
        key = next((k for k in _NEW_KEYS if k not in taken), "")
    record = ClassRecord(
        new_id, name.strip(), (colour or PALETTE[(new_id - 1) % len(PALETTE)]).lower(), key
    )
    _check(classes, record)
    return RecordChange(Table.CLASS, new_id, None, record)


def editing(classes: Mapping[int, ClassRecord], record: ClassRecord) -> RecordChange:
    """The change that gives a class another name, colour or key."""
    before = classes.get(record.id)
    if before is None or before.removed:
        raise ProjectError(f"There is no class {record.id}.", "Choose one that is there.")
    record = replace(record, name=record.name.strip(), colour=record.colour.lower())
    _check(classes, record)
    return RecordChange(Table.CLASS, record.id, before, record)


def removing(
    classes: Mapping[int, ClassRecord],
    class_id: int,
    into: int | None,
    used: Callable[[int], Mapping[str, int]],
) -> RecordChange:
    """The change that removes a class.

    Parameters
    ----------
    classes : mapping
        All.
    class_id : int
        Which.
    into : int, optional
        The class as which its objects count from then on; needed where it has objects.
    used : callable
        Objects of a class, by the name of their case.

    Raises
    ------
    ClassInUseError
        If it has objects and ``into`` is not given.
    ProjectError
        If one of the classes is not there.
    """
    record = classes.get(class_id)
    if record is None or record.removed:
        raise ProjectError(f"There is no class {class_id}.", "Choose one that is there.")
    if into is not None:
        target = classes.get(into)
        if target is None or target.removed or into == class_id:
            raise ProjectError(f"Objects cannot be moved to class {into}.", "Choose another.")
    else:
        users = used(class_id)
        if users:
            where = ", ".join(f"{case} ({count})" for case, count in sorted(users.items())[:5])
            raise ClassInUseError(
                f"The class {record.name!r} has {sum(users.values())} objects: {where}.",
                "Name the class that they are to count as, or give them another class first.",
            )
    return RecordChange(
        Table.CLASS, class_id, record, replace(record, removed=True, merged_into=into)
    )


def applicable(
    changes: Iterable[RecordChange],
    classes: Mapping[int, ClassRecord],
    users_elsewhere: Callable[[int], Mapping[str, int]],
) -> tuple[tuple[RecordChange, ...], tuple[str, ...]]:
    """The changes of an undo or redo, fitted to classes that other cases may have changed.

    A class is never taken out of the table, only out of sight, and stays in sight where
    another case uses it. A class that was changed since from elsewhere stays as it is.

    Returns
    -------
    (tuple of RecordChange, tuple of str)
        What to apply, and what the user should know.
    """
    fitting: list[RecordChange] = []
    notes: list[str] = []
    for change in changes:
        if change.table is not Table.CLASS:
            back = _brought_back(change, classes, notes)
            fitting += [*(c for c in back if c not in fitting), change]
            continue
        fitting += _fitted(change, classes, users_elsewhere, notes)
    return tuple(fitting), tuple(dict.fromkeys(notes))


def _fitted(
    change: RecordChange,
    classes: Mapping[int, ClassRecord],
    users_elsewhere: Callable[[int], Mapping[str, int]],
    notes: list[str],
) -> list[RecordChange]:
    """A change of the class table itself, fitted to what it is now; none where it cannot be."""
    assert isinstance(change.key, int)
    now, after = classes.get(change.key), change.after
    name = now.name if now is not None else str(change.key)
    gone = now is None or now.removed
    if now != change.before and not (change.before is None and gone):
        notes.append(f"The class {name!r} was changed since and stays as it is.")
        return []
    if after is None and now is not None:
        if users_elsewhere(change.key):
            notes.append(f"The class {name!r} is used in other cases and stays.")
            return []
        after = replace(now, removed=True)
    return [RecordChange(Table.CLASS, change.key, now, after)]


def _brought_back(
    change: RecordChange, classes: Mapping[int, ClassRecord], notes: list[str]
) -> list[RecordChange]:
    """The change that shows a removed class again, because an object of it comes back."""
    record = change.after
    if not isinstance(record, ObjectRecord):
        return []
    known = classes[record.class_id]
    if not known.removed or known.merged_into is not None:
        return []
    shown = visible(classes)
    name, number = known.name, 2
    while any(other.name == name for other in shown):
        name, number = f"{known.name} ({number})", number + 1
    key = "" if any(other.key == known.key for other in shown) else known.key
    notes.append(f"The class {name!r} is back, as an object of it is.")
    after = replace(known, removed=False, name=name, key=key)
    return [RecordChange(Table.CLASS, known.id, known, after)]


def _check(classes: Mapping[int, ClassRecord], record: ClassRecord) -> None:
    """Refuse what would confuse: a second class of that name or key, or no colour."""
    if not record.name:
        raise ProjectError("A class needs a name.", "Give it one.")
    if not _COLOUR.fullmatch(record.colour):
        raise ProjectError(f"{record.colour!r} is no colour.", "Write it as #rrggbb.")
    for other in visible(classes):
        if other.id == record.id:
            continue
        if other.name == record.name:
            raise ProjectError(f"There is a class {record.name!r} already.", "Use that one.")
        if record.key and other.key == record.key:
            raise ProjectError(
                f"The key {record.key!r} belongs to the class {other.name!r}.",
                "Choose another key.",
            )

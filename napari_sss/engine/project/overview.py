"""What the case list shows of each case besides its scan: doubts, and how sure it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.records import Flag, Review
from napari_sss.engine.project.state import AnnotationState

if TYPE_CHECKING:
    from napari_sss.engine.project.project import Project


@dataclass(frozen=True)
class Findings:
    """What an annotation tells in the list.

    Parameters
    ----------
    objects : int
        How many there are.
    open_objects : int
        How many of them nobody has accepted or rejected.
    confidence : float, optional
        The lowest of the open ones, 0 to 1; None where no model gave any.
    flags : frozenset of Flag
        Doubts on the case, or on any of its objects and slices.
    """

    objects: int = 0
    open_objects: int = 0
    confidence: float | None = None
    flags: frozenset[Flag] = frozenset()


@dataclass(frozen=True)
class CaseLine:
    """A case as the list shows it."""

    case: Case
    findings: Findings = Findings()


NOTHING = Findings()


def overview(project: Project, only: Collection[int] | None = None) -> list[CaseLine]:
    """The cases of a project with what their annotations tell, in the order they were added.

    Cases at work are told as they are now, also where that is not saved yet.

    Parameters
    ----------
    project : Project
        The project.
    only : collection of int, optional
        Ids of the cases wanted; all by default.
    """
    stored = project.stored_findings(only)
    lines = []
    for case in project.cases_now():
        if only is None or case.id in only:
            state = project.state_at_work(case.id)
            found = stored.get(case.id, NOTHING) if state is None else findings_of(state)
            lines.append(CaseLine(case, found))
    return lines


def findings_of(state: AnnotationState) -> Findings:
    """What an annotation in memory tells."""
    flags: set[Flag] = set(state.case.flags)
    flags.update(*(o.flags for o in state.objects.values()))
    flags.update(*(section.flags for section in state.sections.values()))
    flags.update(*(whole.flags for whole in state.slices.values()))
    pending = [o for o in state.objects.values() if o.review is Review.OPEN]
    known = [o.confidence for o in pending if o.confidence is not None]
    return Findings(
        len(state.objects), len(pending), min(known, default=None), frozenset(flags)
    )


def stored_findings(
    connection: sqlite3.Connection, only: Collection[int] | None = None
) -> Mapping[int, Findings]:
    """What the saved annotations tell, by case id; cases without records are left out."""
    where, values = "", []
    if only is not None:
        where = f"AND scan IN ({', '.join('?' * len(only))})"
        values = list(only)
    flags: dict[int, set[Flag]] = {}
    for row in connection.execute(
        "SELECT DISTINCT scan, flag.value AS flag FROM record, "
        "json_each(record.content, '$.flags') AS flag "
        # The text is looked for first: parsing every record would take far longer.
        f"""WHERE content LIKE '%"flags":["%' {where}""",
        values,
    ):
        flags.setdefault(row["scan"], set()).add(Flag(row["flag"]))
    found = {}
    for row in connection.execute(
        "SELECT scan, COUNT(*) AS objects, SUM(is_open) AS open, "
        "MIN(CASE WHEN is_open THEN confidence END) AS confidence FROM ("
        "SELECT scan, json_extract(content, '$.confidence') AS confidence, "
        "COALESCE(json_extract(content, '$.review'), 'open') = 'open' AS is_open "
        f"FROM record WHERE kind = 'object' {where}) GROUP BY scan",
        values,
    ):
        found[row["scan"]] = Findings(row["objects"], row["open"], row["confidence"])
    return {
        case_id: Findings(
            known.objects,
            known.open_objects,
            known.confidence,
            frozenset(flags.get(case_id, ())),
        )
        for case_id in {*found, *flags}
        for known in (found.get(case_id, NOTHING),)
    }

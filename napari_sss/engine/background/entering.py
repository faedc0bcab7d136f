"""Entering what was found into the project, as suggestions, without touching a person's work.

A case is entered only while no person has done anything in it, and nobody has it open. Older
suggestions are replaced where every one of them is as the program made it. A suggestion that
a person took back by undo is not entered again.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from napari_sss.engine.background.results import CaseResult, ResultStore, current_store
from napari_sss.engine.background.work import UNTOUCHED
from napari_sss.engine.errors import InputError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.mask_actions import Suggestion
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import Maker, Review
from napari_sss.engine.project.state import AnnotationState
from napari_sss.engine.ranking.examined import case_key
from napari_sss.engine.runs.files import read_json
from napari_sss.engine.volumes.atomic import write_json

log = logging.getLogger(__name__)

ENTERED_NAME = "entered.json"


@dataclass(frozen=True)
class Entered:
    """What was entered.

    Parameters
    ----------
    cases : tuple of int
        Cases that have new suggestions.
    objects : int
        How many these are.
    kept : tuple of (str, str)
        Cases that were left as they are, by name, and why.
    """

    cases: tuple[int, ...] = ()
    objects: int = 0
    kept: tuple[tuple[str, str], ...] = ()


@dataclass
class _Ledger:
    """Which results were entered before, kept beside them."""

    path: Path
    known: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> _Ledger:
        content = read_json(folder / ENTERED_NAME) or {}
        known = {str(k): [str(v) for v in found] for k, found in content.items()}
        return cls(folder / ENTERED_NAME, known)

    def has(self, key: str, case: Case) -> bool:
        return case_key(case) in self.known.get(key, ())

    def note(self, key: str, case: Case) -> None:
        self.known.setdefault(key, []).append(case_key(case))
        write_json(self.known, self.path)


def waiting(project: Project, folder: Path) -> list[tuple[Case, ResultStore]]:
    """The results that could be entered now, of cases that nobody has touched or open."""
    store = current_store(folder)
    if store is None:
        return []
    ledger = _Ledger.of(folder)
    return [
        (case, store)
        for case in project.cases_now()
        if case.status in UNTOUCHED
        and project.state_at_work(case.id) is None
        and store.has(case)
        and not ledger.has(store.key, case)
    ]


def enter_results(
    project: Project,
    folder: Path,
    *,
    leave: Collection[int] = (),
    most: int | None = None,
    control: JobControl | None = None,
) -> Entered:
    """Enter what waits.

    Parameters
    ----------
    project : Project
        Open for writing.
    folder : Path
        The background work's.
    leave : collection of int
        Cases not to be touched, for instance the one that is being opened.
    most : int, optional
        How many cases at most, so that others get a turn.
    control : JobControl, optional
        Honoured between cases.

    Raises
    ------
    ReadOnlyError
        The project is open for reading only.
    WriteError
        It cannot be written.
    """
    control = control or JobControl()
    ledger = _Ledger.of(folder)
    cases: list[int] = []
    kept: list[tuple[str, str]] = []
    objects = 0
    for case, store in waiting(project, folder)[: most if most is not None else None]:
        control.check()
        if case.id in leave:
            continue
        result = store.get(case)
        if result is None:
            continue
        try:
            added = _enter(project, case, result)
        except InputError as error:
            kept.append((case.name, str(error)))
            ledger.note(store.key, case)
            continue
        if added is None:
            continue  # somebody has opened it meanwhile
        ledger.note(store.key, case)
        objects += added
        cases.append(case.id)
    return Entered(tuple(cases), objects, tuple(kept))


def _enter(project: Project, case: Case, result: CaseResult) -> int | None:
    """Enter one case's objects; how many, or None where somebody has it open."""
    with project.briefly(case.id) as session:
        if session is None:
            return None
        former = replaceable(session.state)
        ids = {record.name: record.id for record in project.classes}
        suggestions = []
        for found in result.objects:
            name = found.prompts.class_name
            if name not in ids:
                ids[name] = project.add_class(name)
            suggestions.append(
                Suggestion(found.prompts, ids[name], found.region, found.confidence)
            )
        if suggestions or former:
            session.suggest(suggestions, run=result.run, replaced=former)
    return len(suggestions)


def replaceable(state: AnnotationState) -> tuple[int, ...]:
    """The objects of an untouched case, which all are as the program made them.

    Raises
    ------
    InputError
        A person has made, changed or judged something.
    """
    touched = state.case.review is not Review.OPEN or bool(state.case.flags)
    touched |= any(s.review is not Review.OPEN or s.flags for s in state.slices.values())
    for record in state.objects.values():
        touched |= record.review is not Review.OPEN or bool(record.flags) or record.by_person
    for section in state.sections.values():
        touched |= section.maker is not Maker.AUTO or section.review is not Review.OPEN
        touched |= bool(section.flags)
    if touched:
        raise InputError("A person has worked on it.", "It was left as it is.")
    return tuple(state.objects)

"""What a project has to learn from, and what is missing: what the person sees before a run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

import numpy as np

from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.masks import IGNORE, accepted_objects, class_of, training_mask
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus, Review
from napari_sss.engine.project.state import AnnotationState
from napari_sss.engine.project.training_data import has_accepted
from napari_sss.engine.runs.split import Candidate, Side, assign, group_of, read_split

FEW_SLICES = 10
"""Of a class; below, little is learned of it."""


@dataclass(frozen=True)
class AcceptedCase:
    """What is accepted of a case.

    Parameters
    ----------
    case_id, name : int, str
        The case.
    group : str
        See :func:`~napari_sss.engine.runs.split.group_of`.
    side : Side
        What it is for, or would be if a run began now.
    slices : int
        Slices with a voxel that a person has judged.
    class_slices, class_objects : dict
        For each class the slices that show it and its accepted objects.
    judges : bool
        Whole slices were accepted, so that what is not there is known as well.
    """

    case_id: int
    name: str
    group: str
    side: Side
    slices: int
    class_slices: dict[str, int]
    class_objects: dict[str, int]
    judges: bool


@dataclass(frozen=True)
class ClassFacts:
    """What is accepted of a class on one or all sides: cases, slices and objects."""

    name: str
    cases: int
    slices: int
    objects: int


class Weight(IntEnum):
    """How much an advice matters."""

    NOTE = 0
    WARNING = 1
    BLOCKS = 2


@dataclass(frozen=True)
class Advice:
    """What is missing, and what to add."""

    weight: Weight
    text: str


@dataclass(frozen=True)
class Overview:
    """What a run would learn from if it began now.

    Parameters
    ----------
    cases : tuple of AcceptedCase
        Accepted ones.
    pool_cases, pool_slices : int
        Cases that nobody labelled wholly, and their slices.
    unreadable : tuple of (str, str)
        Cases that cannot be used, and why.
    """

    cases: tuple[AcceptedCase, ...] = ()
    pool_cases: int = 0
    pool_slices: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()

    def on(self, *sides: Side) -> tuple[AcceptedCase, ...]:
        """The cases of some sides."""
        return tuple(case for case in self.cases if case.side in sides)

    def classes(self, *sides: Side) -> tuple[ClassFacts, ...]:
        """The classes on some sides, or on all, by name."""
        cases = self.on(*(sides or tuple(Side)))
        names = sorted({name for case in cases for name in case.class_slices})
        return tuple(
            ClassFacts(
                name,
                sum(name in case.class_slices for case in cases),
                sum(case.class_slices.get(name, 0) for case in cases),
                sum(case.class_objects.get(name, 0) for case in cases),
            )
            for name in names
        )

    @property
    def can_start(self) -> bool:
        """Whether there is anything to learn."""
        return not any(a.weight is Weight.BLOCKS for a in self.advice())

    def advice(self) -> tuple[Advice, ...]:
        """What is missing, what matters most first."""
        return tuple(sorted(_advice(self), key=lambda a: -a.weight))


def overview(project: Project, control: JobControl | None = None) -> Overview:
    """Look through a project's accepted cases.

    Parameters
    ----------
    project : Project
        Only read; best a handle of its own, where the work is not to be disturbed.
    control : JobControl, optional
        Told each case.
    """
    control = control or JobControl()
    accepted, pool_cases, pool_slices = [], 0, 0
    unreadable = []
    everything = project.cases_now()
    for number, case in enumerate(everything):
        control.report("looking at what was accepted", number, len(everything))
        try:
            state = None if case.status is CaseStatus.NEW else project.annotation(case.id)
        except ProjectError as error:
            unreadable.append((case.name, str(error)))
            continue
        whole = False
        if state is not None and has_accepted(state):
            found = _accepted(case, state)
            if found.class_slices:
                accepted.append(found)
            whole = state.case.review is Review.ACCEPTED
        if not whole:
            pool_cases += 1
            pool_slices += case.grid.shape[0]
    sided = _with_sides(accepted, project.folder)
    return Overview(sided, pool_cases, pool_slices, tuple(unreadable))


def candidates_of(cases: Collection[AcceptedCase]) -> list[Candidate]:
    """The cases as those who need a side."""
    return [Candidate(c.case_id, c.group, frozenset(c.class_slices), c.judges) for c in cases]


def _with_sides(cases: list[AcceptedCase], project: Path) -> tuple[AcceptedCase, ...]:
    sides = assign(candidates_of(cases), read_split(project))
    return tuple(replace(case, side=sides[case.group]) for case in cases)


def _accepted(case: Case, state: AnnotationState) -> AcceptedCase:
    mask = training_mask(state)
    known = (mask != IGNORE).any(axis=(1, 2))
    class_slices = {}
    for class_id, record in state.classes.items():
        shown = int(np.count_nonzero((mask == class_id).any(axis=(1, 2))))
        if shown:
            class_slices[record.name] = shown
    objects: dict[str, int] = {}
    for object_id in accepted_objects(state):
        name = class_of(state, state.objects[object_id]).name
        objects[name] = objects.get(name, 0) + 1
    reviewed = any(record.review is Review.ACCEPTED for record in state.slices.values())
    return AcceptedCase(
        case.id,
        case.name,
        group_of(case.patient, case.fingerprint),
        Side.TRAIN,
        int(np.count_nonzero(known)),
        class_slices,
        objects,
        state.case.review is Review.ACCEPTED or reviewed,
    )


def _advice(found: Overview) -> list[Advice]:
    train, held, choose = (found.on(side) for side in (Side.TRAIN, Side.HELD_OUT, Side.CHOOSE))
    advice = []
    if not found.cases:
        advice.append(
            Advice(Weight.BLOCKS, "Nothing is accepted yet. Accept a case, or a few slices.")
        )
        return advice
    if not train:
        advice.append(
            Advice(
                Weight.BLOCKS, "All accepted cases judge. Accept one more case to learn from."
            )
        )
    taught = {facts.name: facts for facts in found.classes(Side.TRAIN)}
    for facts in found.classes():
        here = taught.get(facts.name)
        if here is None:
            advice.append(
                Advice(
                    Weight.WARNING,
                    f"{facts.name} is only in cases that judge: it will not be learned. Accept "
                    "it in one more case.",
                )
            )
        elif here.cases == 1 and len(train) > 1:
            advice.append(
                Advice(
                    Weight.WARNING,
                    f"{facts.name} is in one case only. Accept it in one or two more.",
                )
            )
        elif here.slices < FEW_SLICES:
            advice.append(
                Advice(
                    Weight.WARNING,
                    f"{facts.name} is on {here.slices} slice{'s' * (here.slices != 1)} only. "
                    f"About {FEW_SLICES} or more teach it well.",
                )
            )
    if not held:
        missing = _until_held_out(found)
        advice.append(
            Advice(
                Weight.WARNING,
                "No case is held out yet, so the new model cannot be judged by figures. Accept "
                f"{missing} more whole case{'s' * (missing != 1)} for that.",
            )
        )
    elif len(held) < 3:
        advice.append(
            Advice(
                Weight.NOTE,
                f"{len(held)} held-out case{'s' * (len(held) != 1)}: enough to see a large "
                "difference, not a small one.",
            )
        )
    if not choose:
        advice.append(
            Advice(
                Weight.NOTE,
                "No case is set apart to choose the best moment of the training: its last one "
                "is kept.",
            )
        )
    if not found.pool_cases:
        advice.append(
            Advice(
                Weight.NOTE,
                "No unlabelled scan is in the project: SSS learns from those too. Add some.",
            )
        )
    for name, reason in found.unreadable:
        advice.append(Advice(Weight.WARNING, f"{name} is left out: {reason}"))
    return advice


def _until_held_out(found: Overview) -> int:
    """How many further whole cases, of other patients, it takes until one is held out."""
    shown = frozenset(name for case in found.cases for name in case.class_slices)
    everybody = candidates_of(found.cases)
    sides = {case.group: case.side for case in found.cases}
    for count in range(1, 8):
        everybody.append(Candidate(-count, f"more {count}", shown))
        if Side.HELD_OUT in assign(everybody, sides).values():
            return count
    return 8

"""Ranking the pool of a project, and keeping the result: ``PROJECT/ranking/ranking.json``."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import InputError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.masks import class_of, known_voxels
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus, Review
from napari_sss.engine.project.state import AnnotationState
from napari_sss.engine.project.training_data import has_accepted
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.ranking.examined import RANKING, Examined, ExaminedCache, place_of
from napari_sss.engine.ranking.scoring import Seen, ranked
from napari_sss.engine.ranking.slices import slice_hints
from napari_sss.engine.volumes.atomic import write_json

if TYPE_CHECKING:
    from napari_sss.engine.ranking.examining import Examiner

log = logging.getLogger(__name__)

RANKING_NAME = "ranking.json"
_FORMAT = "napari-sss ranking"
_MOST_SLICES = 2000  # accepted ones that others are compared with

_UNTOUCHED = (CaseStatus.NEW, CaseStatus.SUGGESTED)


@dataclass(frozen=True)
class SuggestedSlice:
    """A slice worth a look, in the scan's own array.

    Parameters
    ----------
    plane : Plane
        Which plane.
    index : int
        Along its axis.
    reason : str
        In words.
    """

    plane: Plane
    index: int
    reason: str


@dataclass(frozen=True)
class SuggestedCase:
    """A case with its place in the ranking.

    Parameters
    ----------
    case_id, name : int, str
        The case.
    score : float
        The higher, the more it helps.
    reasons : tuple of str
        Why, the weightiest first.
    slices : tuple of SuggestedSlice
        Where, the best first.
    """

    case_id: int
    name: str
    score: float
    reasons: tuple[str, ...]
    slices: tuple[SuggestedSlice, ...] = ()

    @property
    def text(self) -> str:
        """The reasons as one text."""
        return " ".join(self.reasons)


@dataclass(frozen=True)
class Ranking:
    """The pool of a project in the order in which it helps.

    Parameters
    ----------
    key : str
        Of the examiner, under which the measurements are kept.
    model : str
        What people call the model.
    made : str
        When, ISO 8601 in UTC.
    accepted : tuple of int
        Cases of which something was accepted then.
    cases : tuple of SuggestedCase
        The best first.
    skipped : tuple of (str, str)
        Cases that could not be examined, by name, and why.
    """

    key: str
    model: str
    made: str
    accepted: tuple[int, ...]
    cases: tuple[SuggestedCase, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def without(self, gone: set[int]) -> Ranking:
        """The ranking without some cases, for instance those accepted since."""
        kept = tuple(case for case in self.cases if case.case_id not in gone)
        return Ranking(self.key, self.model, self.made, self.accepted, kept, self.skipped)


def rank_project(
    project: Project,
    examiner: Examiner,
    model_name: str = "",
    control: JobControl | None = None,
) -> Ranking:
    """Examine the cases that are not examined yet, rank the pool, and keep the ranking.

    Parameters
    ----------
    project : Project
        Open, for reading at least.
    examiner : Examiner
        Who looks at the cases.
    model_name : str
        What people call its model.
    control : JobControl, optional
        Told each case; what was measured before a cancelling is kept.

    Returns
    -------
    Ranking
        A case that cannot be read is in ``skipped`` and stops nothing.

    Raises
    ------
    WriteError
        The project's folder cannot be written.
    Cancelled
        When asked to.
    """
    control = control or JobControl()
    cache = ExaminedCache(project.folder, examiner.key)
    cases = project.cases_now()
    seen: dict[int, Seen] = {}
    accepted: dict[int, tuple[int, ...]] = {}
    skipped: list[tuple[str, str]] = []
    for number, case in enumerate(cases):
        control.report("looking at the cases", number, len(cases))
        try:
            examined = _examined(project, case, examiner, cache, control)
            state = None if case.status in _UNTOUCHED else project.annotation(case.id)
        except InputError as error:
            skipped.append((case.name, str(error)))
            continue
        known = state is not None and has_accepted(state)
        shown = accepted_classes(state) if known and state is not None else None
        seen[case.id] = Seen(case.id, examined, shown)
        if known and state is not None:
            accepted[case.id] = accepted_slices(state, case)
    control.report("looking at the cases", len(cases), len(cases))
    elsewhere = _features({i: seen[i].examined for i in accepted}, accepted)
    names = {case.id: case for case in cases}
    found = tuple(
        SuggestedCase(
            place.case_id,
            names[place.case_id].name,
            round(place.score, 4),
            tuple(reason.text for reason in place.reasons),
            _placed(names[place.case_id], seen[place.case_id].examined, (), elsewhere),
        )
        for place in ranked(tuple(seen.values()))
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    ranking = Ranking(
        examiner.key, model_name, now, tuple(sorted(accepted)), found, tuple(skipped)
    )
    write_ranking(ranking, project.folder)
    return ranking


def next_slices(
    project: Project, case_id: int, count: int = 3, key: str | None = None
) -> tuple[SuggestedSlice, ...]:
    """The slices of a case that are best annotated next, as it stands now.

    No model is needed: what the last ranking measured is used.

    Parameters
    ----------
    project : Project
        Open, for reading at least.
    case_id : int
        The case.
    count : int
        How many at most.
    key : str, optional
        Of the examiner; by default the last ranking's.

    Returns
    -------
    tuple of SuggestedSlice
        The best first; empty where the case was not examined, or all of it is accepted.
    """
    if key is None:
        ranking = read_ranking(project.folder)
        if ranking is None:
            return ()
        key = ranking.key
    case = project.cases.get(case_id)
    examined = ExaminedCache(project.folder, key).get(case)
    if examined is None:
        return ()
    return _placed(
        case, examined, accepted_slices(project.annotation(case_id), case), (), count
    )


def accepted_classes(state: AnnotationState) -> frozenset[str]:
    """The classes that a case's accepted voxels show."""
    known = known_voxels(state)
    ids = np.unique(state.labels[known])
    return frozenset(class_of(state, state.objects[i]).name for i in ids if i in state.objects)


def accepted_slices(state: AnnotationState, case: Case) -> tuple[int, ...]:
    """Canonical indices of the slices of which something is accepted."""
    if state.case.review is Review.ACCEPTED:
        known = np.ones(state.shape, dtype=bool)
    else:
        known = known_voxels(state)
    seen = case.grid.canonical_view().apply(known)
    return tuple(int(i) for i in np.flatnonzero(seen.any(axis=(1, 2))))


def write_ranking(ranking: Ranking, project: Path) -> None:
    """Keep a ranking.

    Raises
    ------
    WriteError
        It cannot be written; the one before is untouched.
    """
    content = asdict(ranking) | {"format": _FORMAT}
    for case in content["cases"]:
        for hint in case["slices"]:
            hint["plane"] = hint["plane"].name
    folder = project / RANKING
    folder.mkdir(parents=True, exist_ok=True)
    write_json(content, folder / RANKING_NAME)


def read_ranking(project: Path) -> Ranking | None:
    """The last ranking; None where there is none, or it cannot be read."""
    path = project / RANKING / RANKING_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Ranking(
            content["key"],
            content["model"],
            content["made"],
            tuple(content["accepted"]),
            tuple(_case(stated) for stated in content["cases"]),
            tuple((name, reason) for name, reason in content["skipped"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be used: %s", path, error)
        return None


def _case(stated: Mapping[str, Any]) -> SuggestedCase:
    hints = tuple(
        SuggestedSlice(Plane[hint["plane"]], hint["index"], hint["reason"])
        for hint in stated["slices"]
    )
    return SuggestedCase(
        stated["case_id"], stated["name"], stated["score"], tuple(stated["reasons"]), hints
    )


def _examined(
    project: Project,
    case: Case,
    examiner: Examiner,
    cache: ExaminedCache,
    control: JobControl,
) -> Examined:
    found = cache.get(case)
    if found is None:
        found = examiner.examine(project.cases.read(case.id, control), control)
        cache.put(case, found)
    return found


def _features(
    examined: Mapping[int, Examined], accepted: Mapping[int, tuple[int, ...]]
) -> tuple[NDArray[np.float32], ...]:
    """Features of accepted slices, evenly thinned out where they are very many."""
    rows = [examined[i].embedding[list(indices)] for i, indices in accepted.items() if indices]
    step = 1 + sum(map(len, rows)) // _MOST_SLICES
    return tuple(part[::step] for part in rows)


def _placed(
    case: Case,
    examined: Examined,
    accepted: tuple[int, ...],
    elsewhere: tuple[NDArray[np.float32], ...],
    count: int = 3,
) -> tuple[SuggestedSlice, ...]:
    hints = slice_hints(examined, count, accepted, elsewhere)
    return tuple(SuggestedSlice(*place_of(case.grid, h.index), h.reason) for h in hints)

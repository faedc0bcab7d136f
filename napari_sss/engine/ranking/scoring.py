"""From what was measured to an order of the cases, with reasons. No model, no disk.

The score of a case is a sum of three parts, each 0 to 1:

- disagreement: share of what is found on which opinions differ;
- classes: half the rarity of the rarest class that it seems to show, or of one that it
  strangely does not show;
- coverage: the share of the pool's distance to what is accepted that accepting it would
  take away. This prefers a case that stands for many over an outlier, and needs no model
  that knows classes.

Cases are chosen one after the other: one that was chosen counts as accepted for the coverage
of the next, so that the first places of the list are not five times the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.ranking.examined import Examined

ReasonKind = Literal["disagreement", "classes", "coverage"]

CLASS_WEIGHT = 0.5
GREEDY = 50
"""Places that are given one after the other; beyond them nobody looks so closely."""

_PARTS = 3  # of a stack, from end to end, whose features are compared with each other's
_NEARER = 0.9  # a case stands for another that is this much nearer to it than before
_TOLD = 0.02  # contributions below it are not worth a sentence


@dataclass(frozen=True)
class Seen:
    """A case as the ranking sees it.

    Parameters
    ----------
    case_id : int
        The case.
    examined : Examined
        What was measured.
    accepted : frozenset of str, optional
        The classes that its accepted parts show; None: nothing of it is accepted.
    """

    case_id: int
    examined: Examined
    accepted: frozenset[str] | None = None


@dataclass(frozen=True)
class Reason:
    """Why a case helps.

    Parameters
    ----------
    kind : {"disagreement", "classes", "coverage"}
        Which part of the score.
    text : str
        In words.
    value : float
        What it adds to the score.
    """

    kind: ReasonKind
    text: str
    value: float


@dataclass(frozen=True)
class Place:
    """A case's place in the ranking.

    Parameters
    ----------
    case_id : int
        The case.
    score : float
        The higher, the more it helps.
    reasons : tuple of Reason
        The weightiest first; at least one.
    """

    case_id: int
    score: float
    reasons: tuple[Reason, ...] = field(default=())


def ranked(cases: Sequence[Seen]) -> tuple[Place, ...]:
    """The cases of which nothing is accepted, those first that help most.

    Parameters
    ----------
    cases : sequence of Seen
        All that could be examined, accepted ones too.
    """
    pool = [case for case in cases if case.accepted is None]
    if not pool:
        return ()
    known = [case for case in cases if case.accepted is not None]
    distances = case_distances([case.examined for case in (*pool, *known)])
    coverage = _Coverage(distances, len(pool), bool(known))
    shown = class_counts(known)
    fixed = [_fixed_reasons(case.examined, shown, len(known)) for case in pool]
    left = list(range(len(pool)))
    places: list[Place] = []
    while left:
        gains = coverage.gains(left)
        totals = [gains[k] + sum(r.value for r in fixed[n]) for k, n in enumerate(left)]
        order = [int(k) for k in np.argsort(-np.asarray(totals), kind="stable")]
        picked = order[:1] if len(places) < GREEDY else order
        for k in picked:
            told = (coverage.reason(left[k], gains[k]), *fixed[left[k]])
            case_id = pool[left[k]].case_id
            places.append(Place(case_id, float(totals[k]), _worth_telling(told)))
        chosen = {left[k] for k in picked}
        coverage.choose(chosen)
        left = [number for number in left if number not in chosen]
    return tuple(places)


def case_distances(cases: Sequence[Examined]) -> NDArray[np.float64]:
    """(N, N) distances between cases by their features, in units of a typical distance.

    A stack is compared part by part from one end to the other, each feature in units of its
    spread over all slices.
    """
    slices = np.concatenate([case.embedding for case in cases])
    mean, spread = slices.mean(axis=0), slices.std(axis=0)
    spread = np.where(spread > 1e-6, spread, 1.0)
    described = np.stack([_described((case.embedding - mean) / spread) for case in cases])
    squares = (described**2).sum(axis=1)
    squared = squares[:, None] + squares[None] - 2 * described @ described.T
    distances = np.sqrt(np.maximum(squared, 0.0) / described.shape[1])
    np.fill_diagonal(distances, 0.0)
    others = distances[~np.eye(len(cases), dtype=bool)]
    typical = float(np.median(others)) if others.size else 0.0
    return distances / typical if typical > 1e-9 else distances


def class_counts(known: Sequence[Seen]) -> dict[str, int]:
    """How many accepted cases show each class; with 0 those that only the model knows."""
    counts = {name: 0 for case in known for name in case.examined.classes}
    for case in known:
        for name in case.accepted or ():
            counts[name] = counts.get(name, 0) + 1
    return counts


class _Coverage:
    """How near each case of the pool is to the nearest accepted or chosen one."""

    def __init__(self, distances: NDArray[np.float64], pool: int, any_known: bool) -> None:
        self._between = distances[:pool, :pool]
        known = distances[:pool, pool:]
        far = max(float(distances.max()), 1e-9)
        self._nearest = known.min(axis=1) if any_known else np.full(pool, far)
        self._any_known, self._first = any_known, True
        self._at_first = self._before = self._nearest

    def gains(self, left: Sequence[int]) -> NDArray[np.float64]:
        """For each case left, the share of all distance that choosing it would take away.

        The distance is that of the beginning: what a case adds falls as others are chosen.
        """
        self._before = self._nearest
        total = self._at_first.sum()
        if total <= 1e-9:
            return np.zeros(len(left))
        saved = np.maximum(self._nearest[:, None] - self._between[:, left], 0.0)
        return saved.sum(axis=0) / total

    def choose(self, numbers: set[int]) -> None:
        """Let cases count as accepted."""
        columns = self._between[:, sorted(numbers)]
        self._nearest = np.minimum(self._nearest, columns.min(axis=1))
        self._first = False

    def reason(self, number: int, gain: float) -> Reason:
        """What choosing a case would be good for, in words."""
        nearer = self._between[:, number] < _NEARER * self._before
        others = int(nearer.sum()) - int(nearer[number])
        own = float(self._before[number])
        beside = "what is accepted" if self._any_known else "those ranked before it"
        if not self._any_known and self._first:
            near = f": {_more_cases(others)} resemble it most" if others else ""
            text = f"It is the most typical of the pool{near}."
        elif others:
            text = f"It stands for {_more_cases(others)} unlike {beside}."
        elif own >= 1.0:
            text = f"It is unlike {beside}."
        elif self._any_known and own == float(self._at_first[number]):
            text = "It resembles what is accepted."
        else:
            text = "It resembles a case ranked before it."
        return Reason("coverage", text, float(gain))


def _fixed_reasons(
    examined: Examined, shown: Mapping[str, int], known: int
) -> tuple[Reason, ...]:
    """What speaks for a case whatever else is chosen."""
    reasons = []
    if examined.how != "none":
        share = examined.disagreement
        percent = f"{100 * share:.0f} %"
        text = (
            f"The training's two networks disagree on {percent} of what they find."
            if examined.how == "pair"
            else f"Mirrored, darker and brighter copies change {percent} of what is found."
        )
        reasons.append(Reason("disagreement", text, min(1.0, share)))
    if examined.classes and known:
        reasons.append(_class_reason(examined, shown, known))
    return tuple(reasons)


def _class_reason(examined: Examined, shown: Mapping[str, int], known: int) -> Reason:
    """The rarest class that a case seems to show, or one that is missing strangely."""
    most = max(shown.values(), default=0)
    seen = examined.shows()
    found = [(1 - shown.get(name, 0) / most if most else 0.0, name) for name in sorted(seen)]
    rarity, name = max(found, default=(0.0, ""), key=lambda pair: pair[0])
    if rarity > 0:
        count = shown.get(name, 0)
        where = {0: "no accepted case shows", 1: "only 1 accepted case shows"}.get(
            count, f"only {count} accepted cases show"
        )
        text = f"It seems to show {name}, which {where}."
        return Reason("classes", text, CLASS_WEIGHT * rarity)
    usual = [n for n in examined.classes if shown.get(n, 0) == known and n not in seen]
    if usual and known > 1:
        text = f"No {usual[0]} was found, though every accepted case shows it."
        return Reason("classes", text, CLASS_WEIGHT / 2)
    return Reason("classes", "", 0.0)


def _worth_telling(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """The weightiest first; those that add nothing are left out, unless all are."""
    ordered = sorted((r for r in reasons if r.text), key=lambda r: -r.value)
    return tuple(r for r in ordered if r.value >= _TOLD) or tuple(ordered[:1])


def _described(embedding: NDArray[np.float32]) -> NDArray[np.float64]:
    """A stack's features, averaged over each of its parts."""
    parts = np.array_split(embedding.astype(np.float64), min(_PARTS, len(embedding)))
    means = [part.mean(axis=0) for part in parts]
    return np.concatenate(means + means[-1:] * (_PARTS - len(means)))


def _more_cases(count: int) -> str:
    return f"{count} more case{'' if count == 1 else 's'}"

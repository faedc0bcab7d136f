"""Which slice of a case is best annotated next, and why. No model, no disk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.ranking.examined import Examined

DISPUTE_WEIGHT = 0.7
"""Of disputed pixels, beside what is unlike the accepted slices."""


@dataclass(frozen=True)
class SliceHint:
    """A slice that is worth a look.

    Parameters
    ----------
    index : int
        Along the canonical first axis.
    score : float
        0 to 1; the higher, the more it helps.
    reason : str
        In words.
    """

    index: int
    score: float
    reason: str


def slice_scores(
    examined: Examined,
    accepted: Collection[int] = (),
    elsewhere: Sequence[NDArray[np.float32]] = (),
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much opinions differ on each slice, and how unlike what is accepted it is.

    Parameters
    ----------
    examined : Examined
        The case.
    accepted : collection of int
        Canonical indices of slices of this case that are accepted.
    elsewhere : sequence of (Z, C) arrays
        Features of other cases' accepted slices.

    Returns
    -------
    dispute, novelty : (Z,) arrays
        Each 0 to 1 within the case.
    """
    dispute = _to_one(examined.disputed.astype(np.float64))
    embedding = examined.embedding.astype(np.float64)
    known = [np.asarray(part, dtype=np.float64) for part in elsewhere]
    known += [embedding[sorted(accepted)]] if accepted else []
    scale = np.concatenate([embedding, *known]).std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    if known:
        nearest = _distances(embedding / scale, np.concatenate(known) / scale).min(axis=1)
        return dispute, _to_one(nearest)
    # With nothing to compare with, the slice that is most like all others stands for them.
    typical = _distances(embedding / scale, embedding / scale).mean(axis=1)
    return dispute, _to_one(typical.max() - typical)


def slice_hints(
    examined: Examined,
    count: int = 3,
    accepted: Collection[int] = (),
    elsewhere: Sequence[NDArray[np.float32]] = (),
) -> tuple[SliceHint, ...]:
    """The slices that help most, the best first, apart from each other and from accepted ones.

    Parameters
    ----------
    examined, accepted, elsewhere
        See :func:`slice_scores`.
    count : int
        How many at most.
    """
    dispute, novelty = slice_scores(examined, accepted, elsewhere)
    weight = DISPUTE_WEIGHT if dispute.any() else 0.0
    score = weight * dispute + (1 - weight) * novelty
    apart = max(1, examined.slices // 12)
    free = np.ones(examined.slices, dtype=bool)
    for index in accepted:
        _keep_off(free, index, apart)
    for index in accepted:  # an accepted slice itself, however close its neighbours are
        free[index] = False
    hints: list[SliceHint] = []
    while len(hints) < count and free.any():
        best = int(np.where(free, score, -1.0).argmax())
        text = _why(examined, best, dispute[best], bool(elsewhere or accepted))
        hints.append(SliceHint(best, float(score[best]), text))
        _keep_off(free, best, apart)
    return tuple(hints)


def _why(examined: Examined, index: int, dispute: float, compared: bool) -> str:
    claimed, disputed = int(examined.claimed[index]), int(examined.disputed[index])
    if dispute > 0 and claimed:
        return f"opinions differ on {100 * disputed / claimed:.0f} % of what is found there"
    return "unlike the accepted slices" if compared else "typical of this case"


def _keep_off(free: NDArray[np.bool_], index: int, apart: int) -> None:
    free[max(0, index - apart) : index + apart + 1] = False


def _to_one(values: NDArray[np.float64]) -> NDArray[np.float64]:
    most = float(values.max(initial=0.0))
    return values / most if most > 0 else values


def _distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
    return np.sqrt(np.maximum(squared, 0.0))

"""How well a mask fits: Dice, Jaccard, HD95 and ASSD, per class and volume.

Overlaps are counted here. Surface distances are MONAI's: from each surface voxel of either
mask to the nearest one of the other, in millimetres. HD95 is the 95th percentile and ASSD the
mean of the distances of both surfaces together, as MedPy has them and the published tables on
ACDC with it; the larger of two directed percentiles, which others call HD95, is no smaller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.training.data.preparing import IGNORE

METRICS = ("dice", "jaccard", "hd95", "assd")
Scores = dict[str, float]


def overlap_scores(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Scores:
    """Dice and Jaccard, 0 to 1; NaN where both masks are empty."""
    common = int(np.count_nonzero(predicted & truth))
    sizes = int(np.count_nonzero(predicted)) + int(np.count_nonzero(truth))
    if sizes == 0:
        return {"dice": math.nan, "jaccard": math.nan}
    return {"dice": 2 * common / sizes, "jaccard": common / (sizes - common)}


def surface_scores(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Sequence[float]
) -> Scores:
    """HD95 and ASSD in the unit of ``spacing``; NaN where a mask is empty."""
    if not (predicted.any() and truth.any()):
        return {"hd95": math.nan, "assd": math.nan}
    import torch
    from monai.metrics.utils import get_mask_edges, get_surface_distance

    box = _box(predicted | truth)
    one, two = (torch.from_numpy(np.pad(m[box], 1)) for m in (predicted, truth))
    surfaces = get_mask_edges(one, two, crop=False)
    millimetres = [float(s) for s in spacing]
    both = np.concatenate(
        [
            np.asarray(get_surface_distance(a, b, "euclidean", spacing=millimetres))
            for a, b in (surfaces, surfaces[::-1])
        ]
    )
    return {"hd95": float(np.percentile(both, 95)), "assd": float(both.mean())}


def case_scores(
    predicted: NDArray[Any],
    truth: NDArray[Any],
    values: Sequence[int],
    spacing: Sequence[float],
    *,
    surfaces: bool = True,
) -> dict[int, Scores]:
    """The scores of every class in one volume.

    Parameters
    ----------
    predicted, truth : (Z, Y, X) arrays
        Labels; where the truth is :data:`IGNORE` nothing counts.
    values : sequence of int
        The classes' values in both.
    spacing : (float, float, float)
        Millimetres along Z, Y, X.
    surfaces : bool
        HD95 and ASSD too.
    """
    known = truth != IGNORE
    scores = {}
    for value in values:
        mask, wanted = (predicted == value) & known, truth == value
        scores[value] = overlap_scores(mask, wanted)
        if surfaces:
            scores[value] |= surface_scores(mask, wanted, spacing)
    return scores


def summary(cases: Mapping[str, Mapping[int, Scores]]) -> dict[str, Any]:
    """Scores of all cases, of each class, and the mean.

    Undefined scores (a class that is in neither mask; a distance to an empty mask) are left
    out of the means; a class that was missed keeps its Dice of 0. The overall mean is over
    all defined pairs of case and class.

    Returns
    -------
    dict
        ``mean``, ``classes`` and ``cases`` with string keys and None for what is undefined.
    """
    pairs = [
        (name, value, scores)
        for name, found in cases.items()
        for value, scores in found.items()
    ]
    values = sorted({value for _, value, _ in pairs})
    return {
        "mean": _means([s for _, _, s in pairs]),
        "classes": {str(v): _means([s for _, c, s in pairs if c == v]) for v in values},
        "cases": {
            name: {str(v): {k: _known(x) for k, x in s.items()} for v, s in found.items()}
            for name, found in cases.items()
        },
    }


def _means(scores: Sequence[Scores]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for metric in METRICS:
        known = [s[metric] for s in scores if metric in s and math.isfinite(s[metric])]
        means[metric] = float(np.mean(known)) if known else None
    return means


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The bounding box: distances between two masks do not need what lies around both."""
    bounds = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        bounds.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return tuple(bounds)

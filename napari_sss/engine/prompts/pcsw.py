"""PCSW: physical constraints with a sliding window turn a coarse mask into prompts.

For each object the window that shows it in one piece is found, in it the slice with the
largest cross-section, and on that slice a box and a point for SAM-2.

References
----------
Zhu et al., "SSS: Semi-Supervised SAM-2 with Efficient Prompting for Medical Imaging
Segmentation", arXiv:2506.08949 (2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import PromptError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.candidates import Candidate
from napari_sss.engine.prompts.pcsw_config import PcswConfig
from napari_sss.engine.prompts.pcsw_search import Draft, Search
from napari_sss.engine.prompts.slice_graph import label_slices
from napari_sss.engine.prompts.types import ObjectPrompts
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region

__all__ = ["FoundObject", "PcswConfig", "pcsw"]


@dataclass(frozen=True)
class FoundObject:
    """An object that PCSW found in a coarse mask.

    Parameters
    ----------
    region : Region
        Its coarse mask, constraints applied; of the accepted window alone where one object
        per volume is sought; empty where the whole image is prompted for want of any.
    prompts : ObjectPrompts
        One prompt, on its best slice.
    continuity : float
        C of the accepted window, 0 to 1.
    confidence : float
        0 to 1: the mean of continuity, mean probability (where the coarse mask has
        probabilities) and the agreement (Dice) of neighbouring slices.
    """

    region: Region
    prompts: ObjectPrompts
    continuity: float
    confidence: float


def pcsw(
    coarse: NDArray[Any] | Sequence[Candidate],
    grid: Grid,
    config: PcswConfig,
    *,
    class_name: str,
    intensities: NDArray[Any] | None = None,
    first_id: int = 1,
    control: JobControl | None = None,
) -> tuple[FoundObject, ...]:
    """Find the objects of one class and a prompt for each.

    Parameters
    ----------
    coarse : (Z, Y, X) array or sequence of Candidate
        Bool; float probabilities in [0, 1]; or integer labels of parts that are already
        separated, of which different ones are never joined. Candidates count as objects
        each, connected or not; where one object is sought they are taken together.
    grid : Grid
        Gives the spacing; windows slide along array axis 0.
    config : PcswConfig
        The rules.
    class_name : str
        The structure, for instance ``"kidney"``.
    intensities : (Z, Y, X) array, optional
        The volume, needed for the constraint of intensity.
    first_id : int
        The first object's id; the others follow by falling size.
    control : JobControl, optional
        Hears how far the work is and may cancel it.

    Returns
    -------
    tuple of FoundObject
        The largest first; empty where nothing survives.

    Raises
    ------
    PromptError
        Where the coarse mask is not on the grid, holds NaN, or is no mask.
    VolumeError
        Where an object's intensities, which a constraint asks for, are not finite.
    """
    drafts = _drafts(coarse, grid, config, intensities, control or JobControl())
    drafts.sort(key=lambda draft: -draft.region.voxels)
    return tuple(
        FoundObject(
            draft.region,
            ObjectPrompts(number, class_name, (draft.prompt,), draft.confidence),
            draft.continuity,
            draft.confidence,
        )
        for number, draft in enumerate(drafts, first_id)
    )


def _drafts(
    coarse: NDArray[Any] | Sequence[Candidate],
    grid: Grid,
    config: PcswConfig,
    intensities: NDArray[Any] | None,
    control: JobControl,
) -> list[Draft]:
    """What is found, without ids and in no order."""
    limits = config.constraints.intensity_limits(intensities)
    search = Search(grid, config, intensities, limits, None, control)
    if not isinstance(coarse, np.ndarray):
        _check_candidates(coarse, grid)
        if config.objects == "all":
            return search.given(coarse)
        coarse = _together(coarse, grid)
    threshold = _threshold(coarse, grid, config)
    if threshold is not None:
        search = replace(search, probabilities=coarse)
    sections = label_slices(coarse, config.connectivity, threshold, control)
    if config.objects == "one":
        return search.one(sections)
    return [] if sections is None else search.all(sections)


def _check_candidates(candidates: Sequence[Candidate], grid: Grid) -> None:
    for number, candidate in enumerate(candidates):
        ends = [part.stop for part in candidate.region.slices]
        if min(candidate.region.offset) < 0 or np.any(np.greater(ends, grid.shape)):
            raise PromptError(
                f"Candidate {number} reaches out of the volume {grid.shape}.",
                "Give candidates on the volume's own grid.",
            )


def _together(candidates: Sequence[Candidate], grid: Grid) -> NDArray[np.bool_]:
    """All candidates as one mask."""
    mask = np.zeros(grid.shape, dtype=bool)
    for candidate in candidates:
        candidate.region.paint(mask, True)
    return mask


def _threshold(coarse: NDArray[Any], grid: Grid, config: PcswConfig) -> float | None:
    """The threshold for probabilities, or None for a mask; refuses what is neither."""
    if tuple(coarse.shape) != tuple(grid.shape):
        raise PromptError(
            f"The coarse mask's shape {coarse.shape} is not the volume's {grid.shape}.",
            "Give a mask on the volume's own grid.",
        )
    if coarse.dtype.kind in "bu" or coarse.size == 0:
        return None
    low, high = coarse.min(), coarse.max()
    if np.isnan(low) or np.isnan(high):
        raise PromptError(
            "The coarse mask holds NaN.",
            "Replace NaN in the volume, or check the model that made the mask.",
        )
    if coarse.dtype.kind == "i" and low >= 0:
        return None
    if coarse.dtype.kind != "f" or low < 0 or high > 1:
        raise PromptError(
            f"The coarse mask's values run from {low} to {high}.",
            "Give a bool mask, labels from 0, or probabilities from 0 to 1; logits need a "
            "sigmoid first.",
        )
    return config.threshold

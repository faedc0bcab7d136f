"""From slice to slice: sections of one object become a chain, a chain becomes a region.

Rules, for slices in the order they are looked at:

- Two sections of neighbouring slices belong together where each is the other's best match,
  by Dice, and the Dice is high enough. So where an object splits or two merge, the larger
  part goes on and the other begins or ends; and of nested objects the outer follows the
  outer and the inner the inner, for those agree best.
- A section without a match on the next slice may find one on the slice after it, among
  those that no section of the slice between has claimed: a gap of one slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.inference.everything.sections import Section, flattened, overlaps
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region


@dataclass(frozen=True)
class Chain:
    """One object's sections.

    Parameters
    ----------
    sections : tuple of Section
        One or more, by rising slice index.
    """

    sections: tuple[Section, ...]

    @property
    def score(self) -> float:
        """How surely it is an object, 0 to 1: the mean over its slices.

        It is as if there were one slice more that says no.
        """
        return self.evidence / (len(self.sections) + 1)

    @property
    def evidence(self) -> float:
        """The sum of the scores: to be found on many slices is what sets objects apart."""
        return sum(s.score for s in self.sections)


def link(
    slices: Iterable[Sequence[Section]], shape: tuple[int, int], link_dice: float
) -> list[Chain]:
    """Chains of sections; see the module for the rules.

    Parameters
    ----------
    slices : iterable of sequences of Section
        For each slice that was looked at, in order, what was found on it.
    shape : (int, int)
        Rows and columns of a slice.
    link_dice : float
        Least Dice of two sections that belong together.

    Returns
    -------
    list of Chain
        In the order in which they begin. Each section is in one chain.
    """
    chains: list[list[Section]] = []
    open_chains: list[_Level] = []  # of the last two slices, the nearer first
    for sections in slices:
        flat = flattened(sections, shape)
        owner = np.full(len(sections), -1, dtype=np.int64)
        for level in open_chains:
            level.hand_on(flat, owner, link_dice)
        for place, section in enumerate(sections):
            if owner[place] < 0:
                owner[place] = len(chains)
                chains.append([])
            chains[owner[place]].append(section)
        open_chains = [_Level(flat, owner), *open_chains[:1]]
    return [Chain(tuple(sections)) for sections in chains]


@dataclass
class _Level:
    """One slice's sections and their chains, -1 for those that were handed on already."""

    flat: NDArray[np.float32]
    chains: NDArray[np.int64]

    def hand_on(
        self, flat: NDArray[np.float32], owner: NDArray[np.int64], link_dice: float
    ) -> None:
        """Give the chains to a later slice's sections that have none yet."""
        waiting, free = np.flatnonzero(self.chains >= 0), np.flatnonzero(owner < 0)
        for here, there in _mutual_best(self.flat[waiting], flat[free], link_dice):
            owner[free[there]] = self.chains[waiting[here]]
            self.chains[waiting[here]] = -1


def _mutual_best(
    first: NDArray[np.float32], second: NDArray[np.float32], link_dice: float
) -> list[tuple[int, int]]:
    """Pairs that are each other's best match by Dice, of at least ``link_dice``."""
    if not len(first) or not len(second):
        return []
    common, union = overlaps(first, second)
    dice = 2 * common / np.maximum(union + common, 1)
    forth, back = dice.argmax(axis=1), dice.argmax(axis=0)
    return [
        (here, int(there))
        for here, there in enumerate(forth)
        if back[there] == here and dice[here, there] >= link_dice
    ]


def distinct_chains(
    chains: Sequence[Chain], shape: tuple[int, int], same_iou: float
) -> list[Chain]:
    """The chains without repeats, those with the most evidence first.

    Parameters
    ----------
    chains : sequence of Chain
        Found by :func:`link`.
    shape : (int, int)
        Rows and columns of a slice.
    same_iou : float
        Chains that overlap by more, over all slices together, are one object's.
    """
    common = np.zeros((len(chains), len(chains)), dtype=np.float64)
    by_slice: dict[int, list[tuple[int, Section]]] = {}
    for number, chain in enumerate(chains):
        for section in chain.sections:
            by_slice.setdefault(section.index, []).append((number, section))
    for members in by_slice.values():
        numbers = [number for number, _ in members]
        flat = flattened([section for _, section in members], shape)
        common[np.ix_(numbers, numbers)] += flat @ flat.T
    sizes = np.diag(common)
    union = sizes[:, None] + sizes[None, :] - common
    kept: list[int] = []
    for number in np.argsort([-c.evidence for c in chains], kind="stable"):
        if all(common[number, k] <= same_iou * union[number, k] for k in kept):
            kept.append(int(number))
    return [chains[number] for number in kept]


def filled(chain: Chain, grid: Grid, step: int) -> Region:
    """The chain as one region, the slices between its sections filled in.

    Between two sections the signed distances from their edges are interpolated. The ends
    reach half a step further, for there, on average, the object ends.

    Parameters
    ----------
    chain : Chain
        Its sections lie along array axis 0.
    grid : Grid
        Of the volume.
    step : int
        Slices from one that was looked at to the next.

    References
    ----------
    Raya SP, Udupa JK, "Shape-based interpolation of multidimensional objects", IEEE
    Transactions on Medical Imaging 9(1), 1990.
    """
    sections = chain.sections
    y0 = min(s.offset[0] for s in sections)
    x0 = min(s.offset[1] for s in sections)
    y1 = max(s.offset[0] + s.mask.shape[0] for s in sections)
    x1 = max(s.offset[1] + s.mask.shape[1] for s in sections)
    first = max(0, sections[0].index - step // 2)
    last = min(grid.shape[0] - 1, sections[-1].index + step // 2)
    mask = np.zeros((last - first + 1, y1 - y0, x1 - x0), dtype=bool)
    planes = [_plane(s, (y0, x0), mask.shape[1:]) for s in sections]
    mask[: sections[0].index - first + 1] = planes[0]
    mask[sections[-1].index - first :] = planes[-1]
    for lower, upper, below, above in zip(
        sections[:-1], sections[1:], planes[:-1], planes[1:], strict=True
    ):
        mask[lower.index - first], mask[upper.index - first] = below, above
        between = upper.index - lower.index
        if between > 1:
            low, high = _depth(below, grid.spacing[1:]), _depth(above, grid.spacing[1:])
            for k in range(1, between):
                share = k / between
                mask[lower.index - first + k] = (1 - share) * low + share * high > 0
    return Region.of(mask, (first, y0, x0))


def _plane(
    section: Section, corner: tuple[int, int], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """A section in a patch that begins at ``corner``."""
    plane = np.zeros(shape, dtype=bool)
    y, x = section.offset[0] - corner[0], section.offset[1] - corner[1]
    plane[y : y + section.mask.shape[0], x : x + section.mask.shape[1]] = section.mask
    return plane


def _depth(plane: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Signed distance in mm from a section's edge, positive inside."""
    padded = np.pad(plane, 1)
    inside = ndimage.distance_transform_edt(padded, sampling=spacing)
    outside = ndimage.distance_transform_edt(~padded, sampling=spacing)
    return np.asarray(inside - outside)[1:-1, 1:-1]

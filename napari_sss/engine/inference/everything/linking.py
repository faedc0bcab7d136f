"""From slice to slice: sections of one object become a chain.

Rules, for slices in the order they are looked at:

- Every section is the start of a chain. Up and down from it, the chain goes on with the next
  slice's section that agrees best with the latest, by Dice, where the Dice is high enough.
  So of nested objects the outer follows the outer and the inner the inner, for those agree
  best; and where an object splits or two merge, the chain keeps to the larger part, while
  the smaller part's own chain ends there or joins the whole.
- Where the next slice has none, the slice after it may: a gap of one slice.
- Chains may share sections. One wrong section then spoils the chains through it, and no
  others; of all the chains the best are taken, and those that repeat them are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.inference.everything.sections import Section, flattened, overlaps

Node = tuple[int, int]  # which of the slices that were looked at, which of its sections


@dataclass(frozen=True)
class Chain:
    """What is taken for one object's sections.

    Parameters
    ----------
    nodes : tuple of (int, int)
        Which of the levels and which of its sections, by rising slice.
    sections : tuple of Section
        The same sections, one or more.
    links : tuple of float
        Dice of each with its next.
    """

    nodes: tuple[Node, ...]
    sections: tuple[Section, ...]
    links: tuple[float, ...]

    @property
    def score(self) -> float:
        """How surely it is an object, 0 to 1: the mean over its slices.

        It is as if there were one slice more that says no.
        """
        return sum(s.score for s in self.sections) / (len(self.sections) + 1)

    @property
    def standing(self) -> float:
        """By which chains are ranked.

        To be sure on many slices speaks for an object, that they agree does even more, and
        of two equals the larger is the whole.
        """
        if not self.links:
            return 0.0
        evidence = sum(s.score for s in self.sections)
        area = np.mean([s.area for s in self.sections])
        return float(np.sqrt(evidence) * np.mean(self.links) ** 2 * area**0.25)


@dataclass(frozen=True)
class Levels:
    """The sections of the slices that were looked at, and how they overlap.

    Parameters
    ----------
    sections : list of sequences of Section
        By slice.
    common : list of (N, N) arrays
        Cells that two sections of a slice share; on the diagonal their sizes.
    dice : two lists of (N, M) arrays
        Of each slice's sections with those of the next, and of the one after that.
    """

    sections: list[Sequence[Section]]
    common: list[NDArray[np.float32]]
    dice: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]

    @classmethod
    def of(cls, slices: Iterable[Sequence[Section]], shape: tuple[int, int]) -> Levels:
        """Overlaps of the sections found on slices of ``shape`` rows and columns."""
        levels = cls([], [], ([], []))
        before: list[NDArray[np.float32]] = []  # of the last two slices, the nearer first
        for sections in slices:
            flat = flattened(sections, shape)
            levels.sections.append(sections)
            levels.common.append(flat @ flat.T)
            for known, earlier in zip(levels.dice, before, strict=False):
                known.append(_dice(earlier, flat))
            before = [flat, *before[:1]]
        return levels

    def best(self, node: Node, way: int, link_dice: float) -> tuple[Node, float] | None:
        """The section that a chain goes on with from ``node``, and their Dice.

        ``way`` is 1 upwards and -1 downwards; None where the chain ends.
        """
        level, place = node
        for hop, known in enumerate(self.dice, start=1):
            there = level + way * hop
            if not 0 <= there < len(self.sections):
                return None
            dice = known[level][place] if way > 0 else known[there][:, place]
            if dice.size and dice.max() >= link_dice:
                return (there, int(dice.argmax())), float(dice.max())
        return None


def link(levels: Levels, link_dice: float) -> list[Chain]:
    """Chains of sections; see the module for the rules.

    Parameters
    ----------
    levels : Levels
        What was found.
    link_dice : float
        Least Dice of two sections that belong together.

    Returns
    -------
    list of Chain
        Each once, in the order of the sections from which they start.
    """
    chains: dict[tuple[Node, ...], Chain] = {}
    for level, sections in enumerate(levels.sections):
        for place in range(len(sections)):
            chain = _chain(levels, (level, place), link_dice)
            chains.setdefault(chain.nodes, chain)
    return list(chains.values())


def _chain(levels: Levels, start: Node, link_dice: float) -> Chain:
    """The chain through one section."""
    nodes: list[Node] = [start]
    links: list[float] = []
    for way in (1, -1):
        found = levels.best(start, way, link_dice)
        while found is not None:
            node, dice = found
            nodes.insert(len(nodes) if way > 0 else 0, node)
            links.insert(len(links) if way > 0 else 0, dice)
            found = levels.best(node, way, link_dice)
    sections = tuple(levels.sections[level][place] for level, place in nodes)
    return Chain(tuple(nodes), sections, tuple(links))


def distinct_chains(
    chains: Sequence[Chain], levels: Levels, same_iou: float
) -> Iterator[Chain]:
    """The chains without repeats, those that rank highest first.

    Parameters
    ----------
    chains : sequence of Chain
        Found by :func:`link`.
    levels : Levels
        The same.
    same_iou : float
        Chains that overlap by more, over all slices together, are one object's.
    """
    kept: list[Chain] = []
    for number in np.argsort([-c.standing for c in chains], kind="stable"):
        chain = chains[number]
        if all(_iou(chain, known, levels) <= same_iou for known in kept):
            kept.append(chain)
            yield chain


def _iou(a: Chain, b: Chain, levels: Levels) -> float:
    """IoU of two chains over all slices together."""
    places = dict(b.nodes)
    common = sum(
        float(levels.common[level][place, places[level]])
        for level, place in a.nodes
        if level in places
    )
    sizes = sum(float(levels.common[k][p, p]) for k, p in (*a.nodes, *b.nodes))
    return common / (sizes - common)


def _dice(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, M) Dice of flattened sections."""
    common, union = overlaps(first, second)
    return np.asarray(2 * common / np.maximum(union + common, 1), dtype=np.float32)

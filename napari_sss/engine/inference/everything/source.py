"""The candidate source ``everything``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.inference.everything.clicking import click_tiles
from napari_sss.engine.inference.everything.config import EverythingConfig
from napari_sss.engine.inference.everything.filling import filled
from napari_sss.engine.inference.everything.linking import Levels, distinct_chains, link
from napari_sss.engine.inference.everything.patches import standing_out
from napari_sss.engine.inference.everything.point_grid import (
    Body,
    Tile,
    tiles_over,
    whole_tile,
)
from napari_sss.engine.inference.everything.refining import refine
from napari_sss.engine.inference.everything.sections import Section, distinct
from napari_sss.engine.inference.segment import Stacks
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.prompts.candidates import Candidate
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.volume import Volume

CLASS_NAME = "object"
AVERAGED_MM = 3.0  # standard deviation of the average over neighbouring slices
LEAST_WEIGHT = 0.05  # of a slice in that average, as a share of the middle one's
SEARCH_SIZE = 128
"""Side of the embedded model's input while it searches. It was trained at sizes from this one
up; at 192 a slice takes twice as long, and no more is found."""


class EverythingSource:
    """Candidates for every object of a scan, with nobody clicking and no preset.

    Parameters
    ----------
    stacks : Stacks
        The volume's slices and the model.
    config : EverythingConfig
        How densely to look, and what to believe.
    """

    def __init__(self, stacks: Stacks, config: EverythingConfig | None = None) -> None:
        self._stacks = stacks
        self._stack = stacks.of(Plane.AXIAL)
        self._config = config or EverythingConfig()

    def candidates(
        self, volume: Volume, control: JobControl
    ) -> Mapping[str, Sequence[Candidate]]:
        """Look at slices a step apart, and link what is found on them.

        Parameters
        ----------
        volume : Volume
            The volume of the stacks.
        control : JobControl
            Hears of each slice, and may cancel between the tiles of one.

        Returns
        -------
        mapping
            ``"object"`` to the candidates, the best first; they may touch and nest.

        Raises
        ------
        Cancelled
            When asked to.
        """
        body = Body(volume)
        step = max(1, round(self._config.slice_step_mm / self._stack.thickness))
        # As many slices are left out before the first as after the last.
        indices = range(((len(self._stack) - 1) % step) // 2, len(self._stack), step)

        def found() -> Iterator[list[Section]]:
            for number, index in enumerate(indices):
                control.report("candidates", number, len(indices))
                yield self._sections(index, body.on(index), control.check)

        with _search_size(self._stack.model):
            levels = Levels.of(found(), self._stack.shape)
        control.report("candidates", len(indices), len(indices))
        return {CLASS_NAME: self._chosen(levels, step)}

    def _sections(
        self, index: int, body: NDArray[np.bool_], check: Callable[[], None]
    ) -> list[Section]:
        """What is found on one slice, without repeats."""
        config, stack = self._config, self._stack
        if not body.any():
            return []
        found: list[Section] = []
        covered = np.zeros_like(body)
        for tiles in self._tilings(body, covered):
            answers = click_tiles(stack, index, tiles, config, check)
            for section in self._plausible(answers, body):
                found.append(section)
                if section.score >= config.sure_score:
                    section.paint(covered)
        clicked = distinct(found, stack.shape, config.same_iou)[: config.max_refined]
        again = refine(stack, [*self._patches(index, body), *clicked], check)
        sure = [s for s in self._plausible(again, body) if s.score >= config.least_score]
        return distinct(sure, stack.shape, config.same_iou)

    def _patches(self, index: int, body: NDArray[np.bool_]) -> list[Section]:
        """What stands out by its grey on a slice."""
        config, stack = self._config, self._stack
        found = standing_out(
            _averaged(stack, index),
            body,
            stack.spacing,
            index,
            config.max_patches,
            smallest_mm2=config.min_size_mm**2,
        )
        return self._plausible(found, body)

    def _plausible(self, sections: Sequence[Section], body: NDArray[np.bool_]) -> list[Section]:
        """The sections that are neither specks nor the body itself."""
        config = self._config
        largest = config.max_body_share * np.count_nonzero(body)
        return [
            s
            for s in sections
            if s.longer_side(self._stack.spacing) >= config.min_size_mm and s.area <= largest
        ]

    def _tilings(
        self, body: NDArray[np.bool_], covered: NDArray[np.bool_]
    ) -> Iterator[list[Tile]]:
        """The whole slice, then ever smaller tiles until the model's masks are fine enough.

        What the caller has marked as covered meanwhile is not clicked again.
        """
        config, stack = self._config, self._stack
        tiles = whole_tile(body, stack.spacing, config.point_step_mm)
        yield tiles
        for side_mm in config.tile_sides_mm:
            if not tiles or self._cell_mm(tiles[0]) <= config.finest_cell_mm:
                return
            tiles = tiles_over(
                body,
                stack.spacing,
                side_mm,
                config.tile_overlap,
                config.point_step_mm,
                body & ~covered,
            )
            yield tiles

    def _cell_mm(self, tile: Tile) -> float:
        """Millimetres of a cell of the model's masks, which are a quarter of its input."""
        frame, spacing = tile.frame, self._stack.spacing
        side_mm = max(frame.rows * spacing[0], frame.columns * spacing[1])
        return side_mm / (self._stack.model.image_size // 4)

    def _chosen(self, levels: Levels, step: int) -> list[Candidate]:
        """The best chains as candidates; slips and trifles left out."""
        config, grid = self._config, self._stack.volume.grid
        chains = [
            c for c in link(levels, config.link_dice) if len(c.sections) >= config.min_slices
        ]
        chosen: list[Candidate] = []
        for chain in distinct_chains(chains, levels, config.same_iou):
            region = filled(chain.sections, grid, step)
            if region.voxels * grid.voxel_ml >= config.min_volume_ml:
                chosen.append(Candidate(region, chain.score))
            if len(chosen) == config.max_candidates:
                break
        return chosen


def _averaged(stack: SliceStack, index: int) -> NDArray[np.float32]:
    """A slice averaged with its neighbours: what stands out by grey alone drowns in noise."""
    distances = (np.arange(len(stack)) - index) * stack.thickness
    weights = np.exp(-0.5 * (distances / AVERAGED_MM) ** 2)
    near = np.flatnonzero(weights > LEAST_WEIGHT)
    parts = [weights[k] / weights[near].sum() * stack.grey(int(k)) for k in near]
    return np.asarray(sum(parts), dtype=np.float32)


@contextmanager
def _search_size(model: Sam2Model) -> Iterator[None]:
    """The model at the size that suffices for the search, and then as it was."""
    size = model.image_size
    # Official models are at home at their own size alone.
    if not model.architecture.drawn_prompts or size <= SEARCH_SIZE:
        yield
        return
    model.set_image_size(SEARCH_SIZE)
    try:
        yield
    finally:
        model.set_image_size(size)

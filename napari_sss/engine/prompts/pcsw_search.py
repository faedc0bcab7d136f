"""The search of PCSW in one coarse mask, and the drafts of objects it ends in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.candidates import Candidate
from napari_sss.engine.prompts.constraints import median_intensity
from napari_sss.engine.prompts.cross_section import (
    box_of,
    interior_point,
    object_confidence,
    slice_confidence,
)
from napari_sss.engine.prompts.pcsw_config import PcswConfig
from napari_sss.engine.prompts.slice_graph import LabelledSlices, SliceGraph, label_slices
from napari_sss.engine.prompts.types import Box, Point, SlicePrompt
from napari_sss.engine.prompts.windows import (
    Window,
    first_accepted_window,
    fullest_accepted_window,
    largest_piece,
)
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region


@dataclass(frozen=True)
class Draft:
    """An object that has no id yet; else as ``pcsw.FoundObject``."""

    region: Region
    prompt: SlicePrompt
    continuity: float
    confidence: float


@dataclass(frozen=True)
class Search:
    """The search in one coarse mask.

    Parameters
    ----------
    grid : Grid
        Of the coarse mask.
    config : PcswConfig
        The rules.
    intensities : (Z, Y, X) array or None
        The volume, for the constraint of intensity.
    intensity_limits : (float, float) or None
        What that constraint allows, in the volume's own units.
    probabilities : (Z, Y, X) float array or None
        The coarse mask, where it has probabilities.
    control : JobControl
        Asked between objects and windows whether to stop.
    """

    grid: Grid
    config: PcswConfig
    intensities: NDArray[Any] | None
    intensity_limits: tuple[float, float] | None
    probabilities: NDArray[Any] | None
    control: JobControl

    def all(self, sections: LabelledSlices) -> list[Draft]:
        """Every connected object that has an accepted window and keeps the constraints."""
        graph = sections.graph
        count, component = graph.pieces(0, graph.slice_count)
        voxels = np.bincount(component, weights=graph.areas, minlength=count)
        limits = self.config.constraints
        largest_first = np.argsort(-voxels, kind="stable")
        # A trimmed object shrinks, so the upper limit waits until it is trimmed.
        big_enough = limits.model_copy(update={"max_volume_ml": None})
        wanted = largest_first[big_enough.allow_volume(voxels[largest_first], self.grid)]
        by_component = np.argsort(component, kind="stable")
        ends = np.cumsum(np.bincount(component, minlength=count))
        drafts: list[Draft] = []
        for number, index in enumerate(wanted):
            self.control.report("prompts", number, len(wanted))
            begin = ends[index - 1] if index else 0
            draft = self._object(sections, by_component[begin : ends[index]])
            if draft is not None:
                drafts.append(draft)
            if len(drafts) == self.config.max_objects:
                break
        return drafts

    def given(self, candidates: Sequence[Candidate]) -> list[Draft]:
        """The candidates that have an accepted window and keep the constraints."""
        drafts: list[Draft] = []
        for number, candidate in enumerate(candidates):
            self.control.report("prompts", number, len(candidates))
            sections = label_slices(candidate.region.mask, self.config.connectivity)
            if sections is None:
                continue
            sections = sections.shifted(candidate.region.offset)
            nodes = np.arange(len(sections.graph.areas))
            draft = self._object(sections, nodes, candidate.probability)
            if draft is not None:
                drafts.append(draft)
            if len(drafts) == self.config.max_objects:
                break
        return drafts

    def one(self, sections: LabelledSlices | None) -> list[Draft]:
        """The paper's single object, or its fallback."""
        config = self.config
        if sections is None:
            return [self._whole_image()] if config.fallback == "whole-image" else []
        graph, first_slice = sections.graph, sections.corner[0]
        window = first_accepted_window(
            graph,
            first_slice,
            self.grid.shape[0],
            config.tau,
            config.window_order,
            self.control,
        )
        if window is not None:
            region = self._constrained(sections.region(window.nodes))
            return self._drafted(region, window.continuity)
        if config.fallback == "none":
            return []
        everything = largest_piece(graph, 0, graph.slice_count)
        continuity = everything.continuity if everything is not None else 0.0
        region = self._constrained(sections.region(np.arange(len(graph.areas))))
        return self._drafted(region, continuity)

    def _object(
        self,
        sections: LabelledSlices,
        nodes: NDArray[np.int64],
        probability: float | None = None,
    ) -> Draft | None:
        """One object, or None where it breaks a rule."""
        region = self._constrained(sections.region(nodes))
        if region is None:
            return None
        graph = sections.graph
        first = region.offset[0] - sections.corner[0]
        # The constraints may have left no more than a run of slices.
        span = graph.node_start[[first, first + len(region.mask)]]
        own = graph.subgraph(nodes[(nodes >= span[0]) & (nodes < span[1])])
        config = self.config
        window = fullest_accepted_window(
            own,
            sections.corner[0],
            self.grid.shape[0],
            config.tau,
            config.window_order,
            self.control,
        )
        if window is None:
            return None
        best = _best_slice(own, window) + sections.corner[0]
        drafts = self._drafted(region, window.continuity, best, probability)
        return drafts[0] if drafts else None

    def _constrained(self, region: Region) -> Region | None:
        """What the physical constraints leave of an object."""
        kept = self.config.constraints.keep(region, self.grid)
        if kept is None or self.intensity_limits is None or self.intensities is None:
            return kept
        low, high = self.intensity_limits
        return kept if low <= median_intensity(kept, self.intensities) <= high else None

    def _drafted(
        self,
        region: Region | None,
        continuity: float,
        best: int | None = None,
        probability: float | None = None,
    ) -> list[Draft]:
        """The object with its prompt on slice ``best``, or on its largest cross-section.

        ``probability`` is that of the object, where it is known for it as a whole.
        """
        if region is None:
            return []
        if best is None:
            areas = np.count_nonzero(region.mask, axis=(1, 2))
            best = region.offset[0] + int(np.argmax(areas))
        section = region.mask[best - region.offset[0]]
        slice_voxels = self.grid.shape[1] * self.grid.shape[2]
        if np.count_nonzero(section) > self.config.max_slice_share * slice_voxels:
            return []
        corner = region.offset[1:]
        here = Region((best, *corner), section[np.newaxis])
        probable_here = self._probability(here) if probability is None else probability
        probable = self._probability(region) if probability is None else probability
        alone = self.grid.shape[0] == 1
        prompt = SlicePrompt(
            index=best,
            box=box_of(section, corner),
            points=self._points(section, corner),
            confidence=slice_confidence(region, best, continuity, probable_here, alone),
        )
        confidence = object_confidence(region, continuity, probable, alone)
        return [Draft(region, prompt, continuity, confidence)]

    def _points(self, section: NDArray[np.bool_], corner: tuple[int, int]) -> tuple[Point, ...]:
        if self.config.point == "none":
            return ()
        if self.config.point == "centre":
            return (Point(*box_of(section, corner).centre),)
        return (interior_point(section, corner, self.grid.spacing[1:]),)

    def _probability(self, region: Region) -> float | None:
        """The mean probability inside, or None where the coarse mask has none."""
        if self.probabilities is None:
            return None
        return float(self.probabilities[region.slices][region.mask].mean(dtype=np.float64))

    def _whole_image(self) -> Draft:
        """The paper's last resort: nothing was found, so the middle slice is prompted."""
        depth, height, width = self.grid.shape
        box = Box(0, 0, width, height)
        points = () if self.config.point == "none" else (Point(*box.centre),)
        nothing = Region((depth // 2, 0, 0), np.zeros((0, 0, 0), dtype=bool))
        return Draft(nothing, SlicePrompt(depth // 2, box, points, confidence=0.0), 0.0, 0.0)


def _best_slice(graph: SliceGraph, window: Window) -> int:
    """The graph's slice where the window's piece is largest; of equal ones the middlemost."""
    areas = np.bincount(
        graph.node_slices[window.nodes],
        weights=graph.areas[window.nodes],
        minlength=graph.slice_count,
    )
    middle = np.average(np.arange(graph.slice_count), weights=areas)
    largest = np.flatnonzero(areas == areas.max())
    return int(largest[np.argmin(np.abs(largest - middle))])

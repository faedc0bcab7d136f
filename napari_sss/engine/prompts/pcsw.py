"""PCSW: physical constraints with a sliding window turn a coarse mask into prompts.

For each object the window that shows it in one piece is found, in it the slice with the
largest cross-section, and on that slice a box and a point for SAM-2.

References
----------
Zhu et al., "SSS: Semi-Supervised SAM-2 with Efficient Prompting for Medical Imaging
Segmentation", arXiv:2506.08949 (2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_sss.engine.errors import PromptError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.components import Connectivity
from napari_sss.engine.prompts.constraints import PhysicalConstraints, median_intensity
from napari_sss.engine.prompts.cross_section import (
    box_of,
    interior_point,
    object_confidence,
    slice_confidence,
)
from napari_sss.engine.prompts.slice_graph import LabelledSlices, SliceGraph, label_slices
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Point, SlicePrompt
from napari_sss.engine.prompts.windows import (
    Window,
    WindowOrder,
    first_accepted_window,
    fullest_accepted_window,
    largest_piece,
)
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region


class PcswConfig(BaseModel):
    """How PCSW finds prompts; the defaults are those for annotation.

    :meth:`paper` gives the paper's literal behaviour.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    objects: Literal["all", "one"] = Field(
        "all",
        title="Objects",
        description=(
            "all: every connected object, continuity judged for each by itself. one: one "
            "object per volume and class, continuity judged for all of the foreground."
        ),
    )
    threshold: float = Field(
        0.5,
        gt=0,
        le=1,
        title="Threshold",
        description="Least probability of the foreground.",
    )
    tau: float = Field(
        0.8,
        gt=0,
        le=1,
        title="Continuity (tau)",
        description="Least share of a window's voxels in its largest piece.",
    )
    connectivity: Connectivity = Field(
        26,
        title="Connectivity",
        description="Voxels that touch: by faces (6), edges too (18), corners too (26).",
    )
    window_order: WindowOrder = Field(
        "grow-then-shrink",
        title="Window lengths",
        description=(
            "From the middle of a third to half of the slices upwards; then, where asked "
            "for, downwards."
        ),
    )
    point: Literal["interior", "centre", "none"] = Field(
        "interior",
        title="Point",
        description=(
            "interior: the point of the cross-section farthest from its edge. centre: the "
            "box's centre, which a bent object may not contain."
        ),
    )
    fallback: Literal["none", "whole-image"] = Field(
        "none",
        title="Where no window is accepted",
        description=(
            "none: no prompt. whole-image: the slice with the most foreground, or without "
            "any a box of the whole middle slice."
        ),
    )
    max_slice_share: float = Field(
        0.95,
        gt=0,
        le=1,
        title="Largest share of a slice",
        description="Objects that cover more of their best slice are dropped as collapsed.",
    )
    max_objects: int = Field(
        64,
        ge=1,
        title="Most objects",
        description="The largest are kept.",
    )
    constraints: PhysicalConstraints = Field(
        default_factory=PhysicalConstraints, title="Physical constraints"
    )

    @classmethod
    def paper(cls) -> PcswConfig:
        """The paper's literal behaviour: one object, first accepted window, fallbacks."""
        return cls(
            objects="one",
            window_order="grow",
            point="centre",
            fallback="whole-image",
            max_slice_share=1.0,
        )


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
    coarse: NDArray[Any],
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
    coarse : (Z, Y, X) array
        Bool; float probabilities in [0, 1]; or integer labels of parts that are already
        separated, of which different ones are never joined.
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
    control = control or JobControl()
    threshold = _checked(coarse, grid, config)
    probabilities = coarse if threshold is not None else None
    search = _Search(grid, config, intensities, probabilities, control)
    sections = label_slices(coarse, config.connectivity, threshold, control)
    if config.objects == "one":
        drafts = search.one(sections)
    else:
        drafts = search.all(sections) if sections is not None else []
    drafts.sort(key=lambda draft: -draft.region.voxels)
    return tuple(
        draft.finished(number, class_name) for number, draft in enumerate(drafts, first_id)
    )


@dataclass(frozen=True)
class _Draft:
    """A found object before it gets its id."""

    region: Region
    prompt: SlicePrompt
    continuity: float
    confidence: float

    def finished(self, number: int, class_name: str) -> FoundObject:
        """The object under its id."""
        prompts = ObjectPrompts(number, class_name, (self.prompt,), self.confidence)
        return FoundObject(self.region, prompts, self.continuity, self.confidence)


@dataclass(frozen=True)
class _Search:
    """The search in one coarse mask; ``probabilities`` is None where it has none."""

    grid: Grid
    config: PcswConfig
    intensities: NDArray[Any] | None
    probabilities: NDArray[Any] | None
    control: JobControl

    def all(self, sections: LabelledSlices) -> list[_Draft]:
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
        drafts: list[_Draft] = []
        for number, index in enumerate(wanted):
            self.control.report("prompts", number, len(wanted))
            begin = ends[index - 1] if index else 0
            draft = self._object(sections, by_component[begin : ends[index]])
            if draft is not None:
                drafts.append(draft)
            if len(drafts) == self.config.max_objects:
                break
        return drafts

    def one(self, sections: LabelledSlices | None) -> list[_Draft]:
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

    def _object(self, sections: LabelledSlices, nodes: NDArray[np.int64]) -> _Draft | None:
        """One connected object, or None where it breaks a rule."""
        region = self._constrained(sections.region(nodes))
        if region is None:
            return None
        graph = sections.graph
        first = region.offset[0] - sections.corner[0]
        span = graph.node_start[[first, first + len(region.mask)]]
        own = graph.subgraph(nodes[(nodes >= span[0]) & (nodes < span[1])])
        config = self.config
        window = fullest_accepted_window(
            own, sections.corner[0], self.grid.shape[0], config.tau, config.window_order
        )
        if window is None:
            return None
        best = _best_slice(own, window) + sections.corner[0]
        drafts = self._drafted(region, window.continuity, best)
        return drafts[0] if drafts else None

    def _constrained(self, region: Region) -> Region | None:
        """What the physical constraints leave of an object."""
        limits = self.config.constraints
        kept = limits.keep(region, self.grid)
        if kept is None:
            return None
        allowed = limits.intensity_limits(self.intensities)
        if allowed is not None and self.intensities is not None:
            median = median_intensity(kept, self.intensities)
            if not allowed[0] <= median <= allowed[1]:
                return None
        return kept

    def _drafted(
        self, region: Region | None, continuity: float, best: int | None = None
    ) -> list[_Draft]:
        """The object with its prompt on slice ``best``, or on its largest cross-section."""
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
        probable = self._probability(region)
        probable_here = self._probability(Region((best, *corner), section[np.newaxis]))
        alone = self.grid.shape[0] == 1
        prompt = SlicePrompt(
            index=best,
            box=box_of(section, corner),
            points=self._points(section, corner),
            confidence=slice_confidence(region, best, continuity, probable_here, alone),
        )
        confidence = object_confidence(region, continuity, probable, alone)
        return [_Draft(region, prompt, continuity, confidence)]

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

    def _whole_image(self) -> _Draft:
        """The paper's last resort: nothing was found, so the middle slice is prompted."""
        depth, height, width = self.grid.shape
        box = Box(0, 0, width, height)
        points = () if self.config.point == "none" else (Point(*box.centre),)
        nothing = Region((depth // 2, 0, 0), np.zeros((0, 0, 0), dtype=bool))
        return _Draft(nothing, SlicePrompt(depth // 2, box, points, confidence=0.0), 0.0, 0.0)


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


def _checked(coarse: NDArray[Any], grid: Grid, config: PcswConfig) -> float | None:
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

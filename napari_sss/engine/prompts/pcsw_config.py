"""The rules of PCSW, as a configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_sss.engine.prompts.components import Connectivity
from napari_sss.engine.prompts.constraints import PhysicalConstraints
from napari_sss.engine.prompts.windows import WindowOrder


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

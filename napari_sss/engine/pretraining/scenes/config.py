"""What a generator of scenes may be told; everything else is drawn at random."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SceneWeights(BaseModel):
    """How often each kind of scene is drawn; the weights need not sum to one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    abdomen: float = Field(
        default=0.26, ge=0, description="Layered bodies with organs in a cavity."
    )
    thorax: float = Field(default=0.07, ge=0, description="Lungs, mediastinum, a heart, ribs.")
    pelvis: float = Field(default=0.10, ge=0, description="Hip bones, bladder, muscles, gut.")
    heart: float = Field(
        default=0.22, ge=0, description="Rings around a blood pool, crescents."
    )
    brain: float = Field(default=0.08, ge=0, description="Nested shells with folds.")
    limbs: float = Field(
        default=0.05, ge=0, description="Pairs of limbs: bones, muscle bundles."
    )
    regions: float = Field(default=0.08, ge=0, description="Smooth random label fields.")
    shapes: float = Field(
        default=0.14, ge=0, description="Blobs, rings, tubes and vessel trees."
    )

    @model_validator(mode="after")
    def _some_kind_is_drawn(self) -> SceneWeights:
        if not any(self.model_dump().values()):
            raise ValueError("At least one kind of scene needs a weight above 0.")
        return self


class SceneConfig(BaseModel):
    """Size and mixture of the generated scenes.

    Unknown keys are rejected. A scene costs time in proportion to its number of voxels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slices: int = Field(default=24, ge=2, description="Slices along z.")
    size: int = Field(default=192, ge=32, description="Pixels along y and along x.")
    ct_fraction: float = Field(default=0.45, ge=0, le=1, description="Share of CT-like scenes.")
    camouflage: float = Field(
        default=0.45,
        ge=0,
        le=1,
        description="Share of scenes whose soft tissues are nearly alike.",
    )
    min_voxels: int = Field(default=24, ge=1, description="Smaller objects lose their label.")
    weights: SceneWeights = SceneWeights()

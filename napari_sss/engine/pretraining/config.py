"""The settings of a pretraining."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# A doubtful pixel then becomes foreground from a probability of 1 / 2.5 on: of a mask's
# expected Dice D the best threshold is D / 2, and D is about 0.8.
FINAL_FOREGROUND_WEIGHT = 1.5


class PretrainConfig(BaseModel):
    """How the embedded model is trained on generated scenes.

    Exactly one of ``minutes`` and ``steps`` is given. With ``steps`` the run is a pure
    function of the configuration; with ``minutes`` the schedule follows the clock.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    minutes: float | None = Field(None, description="Time budget of the whole training.", gt=0)
    steps: int | None = Field(None, description="Number of optimiser steps.", gt=0)
    seed: int = Field(0, description="Decides scenes, prompts and initial weights.", ge=0)
    batch: int = Field(16, description="Images per step.", ge=1)
    clip_slices: int = Field(4, description="Slices of a clip, for the memory.", ge=2)
    clip_share: float = Field(0.4, description="Share of steps spent on clips.", ge=0, le=1)
    clips_from: float = Field(0.15, description="Progress at which clips begin.", ge=0, le=1)
    sizes: tuple[tuple[float, int], ...] = Field(
        ((0.0, 128), (0.55, 192)),
        description="Image side from each point of the progress on: small first, then sharp.",
    )
    learning_rate: float = Field(8e-4, description="At its peak.", gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warmup: float = Field(0.02, description="Share of the training to warm up in.", ge=0, le=1)
    ema: float = Field(0.999, description="Decay of the averaged weights.", ge=0, lt=1)
    checkpoint_every: float = Field(180.0, description="Seconds between checkpoints.", gt=0)
    validation_images: int = Field(
        16, description="Held-out images scored at each checkpoint; 0 for none.", ge=0
    )
    camouflage: float = Field(
        0.1, description="Share of scenes whose soft tissues are nearly alike.", ge=0, le=1
    )
    start_from: str | None = Field(
        None, description="Weights to begin with, a file; by default random ones."
    )
    foreground_weight: float = Field(
        5.0,
        description="Most that an object's pixel weighs against the background's at the "
        "beginning; it falls to FINAL_FOREGROUND_WEIGHT.",
        ge=1,
    )
    encoder_from: float = Field(
        0.0,
        description="Progress at which the image encoder begins to learn; until then it "
        "stands still, which suits a training that starts from another.",
        ge=0,
        lt=1,
    )
    workers: int = Field(1, description="Processes that generate scenes.", ge=1)
    device: str = Field("cpu", description="cpu, cuda or mps.")
    precision: Literal["float32", "bfloat16"] = Field("float32")

    @model_validator(mode="after")
    def _one_budget(self) -> PretrainConfig:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("give either minutes or steps")
        return self

    @model_validator(mode="after")
    def _sizes_for_the_whole_training(self) -> PretrainConfig:
        begins = [begin for begin, _ in self.sizes]
        if not begins or begins[0] != 0 or begins != sorted(begins) or begins[-1] >= 1:
            raise ValueError("sizes must begin at progress 0 and rise, all below 1")
        if any(side < 64 or side % 32 for _, side in self.sizes):
            raise ValueError("image sizes must be multiples of 32, 64 or more")
        return self

    def image_size(self, progress: float) -> int:
        """Side of the images at this point of the training, pixels."""
        return [side for begin, side in self.sizes if progress >= begin][-1]

    @property
    def final_image_size(self) -> int:
        """Side of the images the finished model is used with, pixels."""
        return self.sizes[-1][1]

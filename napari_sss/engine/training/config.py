"""The settings of a training: one source of defaults, help texts and the widget's form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.training.presets import PRESETS

Mode = Literal["auto", "features", "lora", "full"]


class TrainConfig(BaseModel):
    """How a model is trained. Exactly one of ``minutes`` and ``steps`` is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # What and how long
    strategy: str = Field("sss", title="Strategy", description="Name of the method.")
    model: str = Field("embedded", title="Model", description="SAM-2 model to start from.")
    minutes: float | None = Field(
        None, gt=0, title="Minutes", description="Time budget, validation included."
    )
    steps: int | None = Field(None, gt=0, title="Steps", description="Optimiser steps.")
    seed: int = Field(0, ge=0, title="Seed", description="Decides everything random.")
    device: str = Field("auto", title="Device", description="cpu, cuda, cuda:N, mps, or auto.")
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        "auto", title="Precision", description="auto takes what suits the device."
    )
    mode: Mode = Field(
        "auto",
        title="What is tuned",
        description=(
            "features: decoder and heads, on cached encoder features. lora: small matrices "
            "in the encoder too. full: everything. auto decides by device and memory."
        ),
    )
    lora_rank: int = Field(4, ge=1, title="LoRA rank", description="Width of LoRA's matrices.")

    # Data
    image_size: int | None = Field(
        None,
        ge=64,
        multiple_of=32,
        title="Image size",
        description=(
            "Side of the slices as the model sees them, pixels; by default the model's own, "
            "on a CPU at most 128 for small models and 256 for others."
        ),
    )
    classes: dict[str, int] | None = Field(
        None,
        title="Classes",
        description="Name to label value; by default every value in the labels is a class.",
    )
    window: str | None = Field(
        None, title="Window", description="Intensity window; by default by the modality."
    )
    spacing: tuple[float, float, float] | None = Field(
        None, title="Spacing", description="Millimetres along Z, Y, X, instead of the files'."
    )
    on_error: Literal["skip", "refuse"] = Field(
        "skip", title="Unreadable files", description="Leave them out, or stop."
    )
    cache_mb: int = Field(
        2048, ge=16, title="Slices kept", description="Megabytes of prepared slices in memory."
    )
    feature_cache_mb: int = Field(
        4096, ge=16, title="Features kept", description="Megabytes of cached features."
    )
    variants: int = Field(
        4,
        ge=1,
        title="Variants",
        description="Encoded flips and crops of each slice in the cached-feature mode.",
    )
    flips: Literal["auto", "on", "off"] = Field(
        "auto",
        title="Flips",
        description=(
            "auto: none, as scans lie in canonical axes and most organs have their side. on: "
            "left-right and up-down, for what has none, as lesions."
        ),
    )
    zoom: tuple[float, float] = Field(
        (0.8, 1.6),
        title="Zoom",
        description="Range of the weak views' magnification, where there is no focus.",
    )
    focus: Literal["auto", "off"] = Field(
        "auto",
        title="Focus",
        description=(
            "auto: learn from the labels where the classes lie, and look closely there, where "
            "they fill little of a slice. off: always see whole slices."
        ),
    )
    bend: float = Field(
        0.08,
        ge=0,
        le=0.3,
        title="Bend",
        description="Largest elastic displacement in weak views, share of half a view.",
    )
    labelled_strong: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Strong labelled views",
        description="Share of the labelled slices whose intensities are perturbed as well.",
    )
    turn: float | None = Field(
        None,
        ge=0,
        le=180,
        title="Turn",
        description=(
            "Largest turn of a view, degrees; by default 30 for CT, where patients lie alike, "
            "and 90 for the rest: short-axis slices of hearts differ by that much."
        ),
    )
    batch: int = Field(8, ge=1, title="Batch", description="Labelled slices per step.")
    unlabelled_batch: int = Field(
        4, ge=1, title="Unlabelled batch", description="Unlabelled slices per step."
    )
    foreground_share: float = Field(
        0.67,
        ge=0,
        le=1,
        title="Balanced share",
        description="Share of labelled slices drawn to show each class equally often.",
    )

    # Optimiser
    learning_rate: float = Field(
        2e-3,
        gt=0,
        title="Learning rate",
        description="Of the head and DFE, which start from nothing.",
    )
    pretrained_rate: float = Field(
        0.2,
        gt=0,
        title="Pretrained rate",
        description="Share of the learning rate that SAM-2's own weights get.",
    )
    weight_decay: float = Field(0.01, ge=0, title="Weight decay", description="Of AdamW.")
    warmup: float = Field(
        0.02, ge=0, lt=1, title="Warm-up", description="Share of the training."
    )
    power: float = Field(
        0.9, gt=0, title="Power", description="Of the polynomial that the rate falls by."
    )
    clip_norm: float = Field(1.0, gt=0, title="Clip", description="Largest gradient norm.")

    # Semi-supervision, shared by the strategies
    ema: float = Field(
        0.99,
        ge=0,
        lt=1,
        title="EMA decay",
        description="Of the teacher: min(1 - 1/(t+1), this). 0 lets the student teach.",
    )
    threshold: float = Field(
        0.9, ge=0, lt=1, title="Confidence", description="Below it a pseudo-label is silent."
    )
    unlabelled_weight: float = Field(
        1.0, ge=0, title="Unlabelled weight", description="Of the unlabelled loss, at its end."
    )
    ramp: float = Field(
        0.1, ge=0, le=1, title="Ramp", description="Share of the training it rises over."
    )
    burn_in: float = Field(
        0.4,
        ge=0,
        lt=1,
        title="Burn-in",
        description=(
            "Share of the training before unlabelled slices are learned from: until then a "
            "teacher has little to say, and steps are cheap."
        ),
    )
    cutmix: float = Field(0.5, ge=0, le=1, title="CutMix", description="Its probability.")
    channel_dropout: bool = Field(
        True,
        title="Complementary dropout",
        description="Channels m and 2 - m on half of the samples' two strong views.",
    )
    dice_weight: float = Field(
        1.0, ge=0, title="Dice", description="Weight of Dice beside the cross-entropy."
    )
    unlabelled_dice: float = Field(
        1.0, ge=0, title="Unlabelled Dice", description="The same, on pseudo-labels."
    )

    # SSS
    norm: Literal["auto", "group", "batch"] = Field(
        "auto", title="Norm", description="Of the head; auto: group for batches below 16."
    )
    head_levels: Literal["finest", "all"] = Field(
        "all", title="Head's scales", description="The paper's head reads the finest alone."
    )
    dfe: bool = Field(True, title="DFE", description="Discriminative feature enhancement.")
    dfe_channels: int | None = Field(
        None,
        ge=1,
        title="DFE's channels",
        description="By default half the model's; 256 in the paper.",
    )
    dfe_residual: bool = Field(
        True, title="DFE residual", description="Add its output to both views' features."
    )
    dfe_layer_scale: float | None = Field(
        0.1, title="DFE's start", description="Factor at the start; none: as it is."
    )
    sam: bool = Field(True, title="SAM-2's decoder", description="Prompted masks learn too.")
    sam_weight: float = Field(
        0.5, ge=0, title="SAM-2's weight", description="Of its loss beside the head's."
    )
    sam_objects: int | None = Field(
        None,
        ge=1,
        title="Objects decoded",
        description=(
            "By the student for each loss of a step, at random; by default half the batch."
        ),
    )
    pcsw: bool = Field(
        True, title="PCSW", description="Prompts on unlabelled slices from whole volumes."
    )
    prompt_start: float = Field(
        0.4, ge=0, le=1, title="Prompts from", description="Progress at which PCSW begins."
    )
    prompt_age: int = Field(
        400,
        ge=1,
        title="Prompts' age",
        description="Steps until volumes of the pool are looked over again.",
    )
    unprompted: Literal["head", "skip"] = Field(
        "head",
        title="Without prompt",
        description="An unlabelled slice where PCSW found nothing: head alone, or not at all.",
    )
    prompt_objects: Literal["all", "one"] = Field(
        "all", title="Prompted objects", description="All of a class, or the paper's one."
    )
    prompt_points: bool = Field(
        False, title="Centre points", description="Add the centre of each box, as the paper."
    )
    box_jitter: float = Field(
        0.05, ge=0, lt=0.5, title="Box jitter", description="Share of a box's side."
    )
    tau: float = Field(0.8, gt=0, le=1, title="Continuity (tau)", description="Of PCSW.")
    max_prompt_share: float = Field(
        0.6, gt=0, le=1, title="Largest prompt", description="Share of a slice it may cover."
    )
    memory: bool = Field(True, title="Memory bank", description="MedSAM-2's, for each class.")
    memory_size: int = Field(16, ge=1, title="Memories", description="Kept for each class.")
    memory_reads: int = Field(4, ge=1, title="Memories read", description="By each object.")
    pseudo_label: Literal["head", "sam", "fused"] = Field(
        "fused", title="Pseudo-label", description="Whose masks the student learns."
    )

    # Other strategies
    consistency_weight: float = Field(
        10.0, ge=0, title="Consistency", description="Mean Teacher's weight."
    )
    cross_weight: float = Field(0.1, ge=0, title="Cross weight", description="CPS's weight.")
    pretrain_share: float = Field(
        0.25, ge=0, lt=1, title="First stage", description="BCP's share of labelled pasting."
    )
    paste_weight: float = Field(
        0.5, ge=0, title="Paste weight", description="BCP's weight of pseudo-labelled pixels."
    )

    # Watching
    validate_every: int = Field(
        200, ge=1, title="Validate every", description="Steps between validations."
    )
    checkpoint_every: int = Field(
        200, ge=1, title="Checkpoint every", description="Steps between checkpoints."
    )
    log_every: int = Field(10, ge=1, title="Log every", description="Steps between events.")
    patience: int | None = Field(
        None, ge=1, title="Patience", description="Validations without gain before stopping."
    )
    collapse_patience: int = Field(
        3, ge=1, title="Collapse", description="Bad validations in a row that stop a training."
    )
    micro_batch: int | None = Field(
        None, ge=1, title="Micro-batch", description="Slices at once; gradients accumulate."
    )
    tensorboard: bool = Field(True, title="TensorBoard", description="Write its events too.")

    @model_validator(mode="after")
    def _one_budget(self) -> TrainConfig:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("give either minutes or steps")
        if self.classes is not None:
            values = list(self.classes.values())
            if not values or min(values) < 1 or max(values) > 200:
                raise ValueError("class values must lie between 1 and 200")
            if len(set(values)) < len(values):
                raise ValueError("two classes have the same value")
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise ValueError("the zoom's range must be two positive numbers, the lower first")
        return self

    @property
    def group_or_batch(self) -> Literal["group", "batch"]:
        """The norm that ``auto`` means here."""
        if self.norm != "auto":
            return self.norm
        return "group" if min(self.batch, self.unlabelled_batch) < 16 else "batch"


def configured(
    *layers: Mapping[str, Any], preset: str | None = None, settings: Iterable[str] = ()
) -> TrainConfig:
    """A configuration from a preset, then mappings, then ``key=value`` texts.

    Parameters
    ----------
    *layers : mapping
        Later ones win.
    preset : str, optional
        A name of :data:`~napari_sss.engine.training.presets.PRESETS`.
    settings : iterable of str
        ``"key=value"``; the value is read as YAML, so lists, numbers and null work.

    Raises
    ------
    ConfigError
        A key is unknown or a value out of its range.
    """
    merged: dict[str, Any] = {}
    if preset is not None:
        if preset not in PRESETS:
            raise ConfigError(
                f"There is no preset '{preset}'.", f"Choose one of {', '.join(PRESETS)}."
            )
        merged |= PRESETS[preset]
    for layer in layers:
        merged |= layer
    merged |= dict(_setting(text) for text in settings)
    try:
        return TrainConfig.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "the settings"
        raise ConfigError(
            f"{name}: {first['msg']}.",
            f"The settings are {', '.join(sorted(TrainConfig.model_fields))}."
            if first["type"] == "extra_forbidden"
            else "Correct it in the configuration or with --set.",
        ) from error


def read_config_file(path: Path) -> dict[str, Any]:
    """The mapping in a YAML (or JSON) file.

    Raises
    ------
    ConfigError
        The file cannot be read or is no mapping.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"{path} cannot be read as YAML ({reason}).", "Correct the file.", path
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path} holds no settings.", "Write one 'key: value' in each line.", path
        )
    return content


def _setting(text: str) -> tuple[str, Any]:
    import yaml

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"'{text}' is not a setting.", "Write key=value.")
    try:
        return key.strip(), _number(yaml.safe_load(value))
    except yaml.YAMLError as error:
        raise ConfigError(f"The value in '{text}' is not YAML.", "Quote it.") from error


def _number(value: Any) -> Any:
    """YAML takes 1e-3 for a text, everybody else for a number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value

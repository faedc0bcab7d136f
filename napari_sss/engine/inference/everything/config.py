"""The settings of the search for everything."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EverythingConfig(BaseModel):
    """How densely to look, which masks to believe, and what belongs together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slice_step_mm: float = Field(
        9.0, gt=0, title="Slice step", description="Millimetres between the slices looked at."
    )
    tile_sides_mm: tuple[float, ...] = Field(
        (160.0,),
        title="Tiles",
        description=(
            "Sides of the square tiles, millimetres, the largest first; the whole slice comes "
            "before them. The model sees an object best when it fills its input."
        ),
    )
    tile_overlap: float = Field(
        0.35, ge=0, lt=1, title="Overlap", description="Share of a tile covered by its next."
    )
    point_step_mm: float = Field(
        24.0, gt=0, title="Point step", description="Millimetres between the grid's points."
    )
    finest_cell_mm: float = Field(
        2.0,
        gt=0,
        title="Finest cell",
        description=(
            "No smaller tiles follow once a cell of the model's masks, four of its pixels, is "
            "this fine: a model of many pixels needs no tiles."
        ),
    )
    least_iou: float = Field(
        0.7, ge=0, le=1, title="Predicted IoU", description="The model's own estimate."
    )
    least_stability: float = Field(
        0.7,
        ge=0,
        le=1,
        title="Stability",
        description="IoU of the masks at a logit of plus and of minus one.",
    )
    object_share: tuple[float, float] = Field(
        (0.2, 0.95),
        title="Size in the tile",
        description=(
            "Longer side of an object as a share of its tile's: smaller ones are left to the "
            "finer tiles, larger ones to the coarser."
        ),
    )
    sure_score: float = Field(
        0.8,
        ge=0,
        le=1,
        title="Sure",
        description="What a mask of this score covers is not clicked again in finer tiles.",
    )
    max_patches: int = Field(
        60,
        ge=0,
        title="Most patches of a slice",
        description=(
            "Patches that stand out by their grey, whose boxes are prompts beside the grid's "
            "clicks; 0 for the clicks alone."
        ),
    )
    max_refined: int = Field(
        20,
        ge=1,
        title="Most masks of a slice",
        description="The surest are asked for once more, by their boxes in their own crops.",
    )
    least_score: float = Field(
        0.2,
        ge=0,
        le=1,
        title="Score",
        description="Least score of a mask, by the model, the image and their agreement.",
    )
    same_iou: float = Field(
        0.7,
        gt=0,
        le=1,
        title="Same object",
        description="Masks of one slice that overlap by more are one object; the surer stays.",
    )
    link_dice: float = Field(
        0.65,
        gt=0,
        le=1,
        title="Link",
        description="Least Dice of an object's masks on neighbouring slices.",
    )
    min_slices: int = Field(
        2,
        ge=1,
        title="Fewest slices",
        description="Of those that are looked at; less is taken for a slip.",
    )
    min_size_mm: float = Field(
        10.0, ge=0, title="Smallest side", description="Longer side of an object in a slice."
    )
    min_volume_ml: float = Field(5.0, ge=0, title="Smallest volume", description="Millilitres.")
    max_body_share: float = Field(
        0.6,
        gt=0,
        le=1,
        title="Largest share of the body",
        description="Masks that cover more of a slice's body are the body itself.",
    )
    max_candidates: int = Field(
        64, ge=1, title="Most candidates", description="The best are kept."
    )

"""Tissues by their intensities: ranges, cleaning and limits, each with its source.

The ranges of HU are those of the literature; lengths in mm follow the structures' thickness.
They hold for scanners at 100 to 140 kVp; single-energy scans at 70 or 80 kVp raise bone and
contrast by up to a half.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.prompts.constraints import PhysicalConstraints


class DenseTissue(BaseModel):
    """Bone and metal to leave out, with the blurred rim around them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_hu: float = Field(title="From", description="HU that only bone or metal reach.")
    closing_mm: float = Field(
        0.0, ge=0, title="Closing", description="Fills the marrow between two cortices."
    )
    margin_mm: float = Field(
        0.0, ge=0, title="Margin", description="Partial volume beside bone looks like blood."
    )


class Separation(BaseModel):
    """How touching objects are told apart; see ``separation.separate``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    erosion_mm: tuple[float, float] = Field(
        title="Erosion",
        description="Least and largest depth tried; each object gets the one that suits it.",
    )
    min_isolation: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Least isolation",
        description="Share of an object's surface that borders on other tissue.",
    )

    @model_validator(mode="after")
    def _rising(self) -> Separation:
        if not 0 < self.erosion_mm[0] <= self.erosion_mm[1]:
            raise ValueError(f"the erosions {self.erosion_mm} must be positive and rising")
        return self


class TissuePreset(BaseModel):
    """A tissue: what it looks like, how its mask is cleaned, what it can be.

    The fields are in the order in which
    :class:`~napari_sss.engine.prompts.intensity_source.IntensitySource` applies them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(title="Name")
    class_name: str = Field(title="Class", description="What the objects are called.")
    reference: str = Field(title="Source", description="Where the ranges come from.")
    modality: Literal["CT", "MR"] = Field("CT", title="Modality")
    intensity_range: tuple[float | None, float | None] = Field(
        title="Intensity range",
        description="HU for CT, percentiles of the volume for MR; open where None.",
    )
    smoothing_mm: float = Field(
        0.0, ge=0, title="Smoothing", description="Sigma of a Gaussian, against noise."
    )
    exclude: DenseTissue | None = Field(None, title="Leave out")
    seed: float | None = Field(
        None,
        title="Seed",
        description="Only what lies near a part of this HU or more counts.",
    )
    seed_reach_mm: float = Field(
        0.0, ge=0, title="Reach of seeds", description="How near to a seed it must lie."
    )
    closing_mm: float = Field(
        0.0, ge=0, title="Closing", description="Fills gaps up to twice as wide."
    )
    opening_mm: float = Field(
        0.0, ge=0, title="Opening", description="Removes what is thinner than twice this."
    )
    separation: Separation | None = Field(None, title="Separation")
    constraints: PhysicalConstraints = Field(
        default_factory=PhysicalConstraints, title="Physical constraints"
    )
    keep: Literal["candidate", "sam2"] = Field(
        "sam2",
        title="Mask to keep",
        description="Whether the candidate is better than SAM-2's mask for this tissue.",
    )
    window: str | None = Field(
        None, title="Window", description="Display window; percentiles where None."
    )

    @model_validator(mode="after")
    def _ordered(self) -> TissuePreset:
        low, high = self.intensity_range
        if low is not None and high is not None and low >= high:
            raise ValueError(f"the intensity range {self.intensity_range} is empty")
        return self


def tissue_preset(name: str) -> TissuePreset:
    """The preset of that name.

    Raises
    ------
    ConfigError
        Where there is none; the message lists the names.
    """
    try:
        return TISSUE_PRESETS[name]
    except KeyError:
        raise ConfigError(
            f"There is no tissue preset {name!r}.",
            f"Choose one of {', '.join(TISSUE_PRESETS)}.",
        ) from None


_PRESETS = (
    TissuePreset(
        name="bone",
        class_name="bone",
        reference=(
            "Trabecular bone of L1 measures 90 to 160 HU (Pickhardt et al., Ann Intern Med "
            "158:588, 2013), cortical bone 300 to 3000 HU and never far from it; marrow lies "
            "below and is closed."
        ),
        intensity_range=(120, None),
        smoothing_mm=0.5,
        seed=250,
        seed_reach_mm=8.0,
        closing_mm=6.0,
        constraints=PhysicalConstraints(min_volume_ml=1.0),
        keep="candidate",
        window="bone",
    ),
    TissuePreset(
        name="lung",
        class_name="lung",
        reference=(
            "Threshold of about -400 HU and closing of the vessels: Hu, Hoffman and "
            "Reinhardt, IEEE TMI 20:490, 2001; bowel gas is nearer to -1000 HU."
        ),
        intensity_range=(None, -400),
        closing_mm=4.0,
        constraints=PhysicalConstraints(min_volume_ml=30, intensity_range=(-930, -450)),
        keep="candidate",
        window="lung",
    ),
    TissuePreset(
        name="soft-tissue",
        class_name="soft tissue",
        reference=(
            "Without contrast, means of liver 55, spleen 46, pancreas 40, kidney 31 HU "
            "(Lamba et al., AJR 203:1013, 2014), urine 0 to 20 HU; 20 HU of noise allowed "
            "below, venous contrast above."
        ),
        intensity_range=(-20, 150),
        smoothing_mm=1.0,
        exclude=DenseTissue(min_hu=300, closing_mm=6),
        separation=Separation(erosion_mm=(3, 14)),
        constraints=PhysicalConstraints(
            min_volume_ml=15, max_volume_ml=2500, intensity_range=(-10, 140)
        ),
        keep="candidate",
        window="abdomen",
    ),
    TissuePreset(
        name="organ-contrast",
        class_name="organ",
        reference=(
            "Venous phase: liver 100 to 120, spleen 110 to 140, kidney 150 to 220 HU; muscle "
            "stays at 60 to 70 HU (Bae, Radiology 256:32, 2010)."
        ),
        intensity_range=(80, 260),
        smoothing_mm=1.5,
        # Thin cortex is blurred to 350 HU; the marrow inside enhances as organs do.
        exclude=DenseTissue(min_hu=350, closing_mm=10, margin_mm=2),
        separation=Separation(erosion_mm=(2.5, 12)),
        constraints=PhysicalConstraints(
            min_volume_ml=10, max_volume_ml=2500, intensity_range=(85, 240)
        ),
        keep="candidate",
        window="abdomen",
    ),
    TissuePreset(
        name="kidney-contrast",
        class_name="kidney",
        reference=(
            "Nephrographic phase 140 to 250 HU (Bae, Radiology 256:32, 2010); a kidney holds "
            "about 100 to 250 ml and is 9 to 13 cm long (Cheong et al., CJASN 2:38, 2007)."
        ),
        intensity_range=(130, 300),
        smoothing_mm=1.0,
        exclude=DenseTissue(min_hu=350, closing_mm=10, margin_mm=2),
        closing_mm=2.0,
        separation=Separation(erosion_mm=(2.5, 8)),
        constraints=PhysicalConstraints(
            min_volume_ml=40,
            max_volume_ml=500,
            max_length_mm=200,
            intensity_range=(130, 280),
        ),
        keep="candidate",
        window="abdomen",
    ),
    TissuePreset(
        name="vessel",
        class_name="vessel",
        reference=(
            "Angiography aims at 200 HU or more in arteries, usually 250 to 400 HU (Bae, "
            "Radiology 256:32, 2010)."
        ),
        intensity_range=(180, 600),
        smoothing_mm=0.5,
        exclude=DenseTissue(min_hu=700, closing_mm=8, margin_mm=3),
        constraints=PhysicalConstraints(min_volume_ml=2.0, intensity_range=(190, 550)),
        window="angiography",
    ),
    TissuePreset(
        name="fluid",
        class_name="fluid",
        reference=(
            "Simple fluid measures -9 to 20 HU (Bosniak classification, Silverman et al., "
            "Radiology 292:475, 2019)."
        ),
        intensity_range=(-10, 25),
        smoothing_mm=2.0,
        opening_mm=2.0,
        separation=Separation(erosion_mm=(3, 10), min_isolation=0.4),
        constraints=PhysicalConstraints(
            min_volume_ml=3, max_volume_ml=5000, intensity_range=(-9, 22)
        ),
        window="abdomen",
    ),
    TissuePreset(
        name="acute-bleed",
        class_name="bleed",
        reference=(
            "Fresh clot 50 to 90 HU against 25 to 45 HU of brain (Parizel et al., Eur Radiol "
            "11:1770, 2001)."
        ),
        intensity_range=(50, 95),
        smoothing_mm=1.0,
        exclude=DenseTissue(min_hu=200, closing_mm=2, margin_mm=2),
        opening_mm=1.0,
        constraints=PhysicalConstraints(
            min_volume_ml=0.3, max_volume_ml=300, intensity_range=(52, 90)
        ),
        window="bleed",
    ),
    TissuePreset(
        name="fat",
        class_name="fat",
        reference="-190 to -30 HU (Yoshizumi et al., Radiology 211:283, 1999).",
        intensity_range=(-190, -30),
        smoothing_mm=0.7,
        opening_mm=1.0,
        constraints=PhysicalConstraints(min_volume_ml=10, intensity_range=(-150, -50)),
        keep="candidate",
        window="abdomen",
    ),
    TissuePreset(
        name="mr-bright",
        class_name="bright structure",
        reference=(
            "MR intensities have no absolute scale: the brightest tenth of the volume, as "
            "fluid on T2 or blood and enhanced tissue."
        ),
        modality="MR",
        intensity_range=(90, None),
        smoothing_mm=1.0,
        separation=Separation(erosion_mm=(2, 10), min_isolation=0.4),
        constraints=PhysicalConstraints(min_volume_ml=1.0),
    ),
    TissuePreset(
        name="mr-intermediate",
        class_name="intermediate structure",
        reference=(
            "MR intensities have no absolute scale: between the 60th and the 90th percentile "
            "of the volume, as parenchyma between air and fat."
        ),
        modality="MR",
        intensity_range=(60, 90),
        smoothing_mm=1.5,
        separation=Separation(erosion_mm=(3, 12), min_isolation=0.4),
        constraints=PhysicalConstraints(min_volume_ml=5.0),
    ),
)

TISSUE_PRESETS: Mapping[str, TissuePreset] = MappingProxyType(
    {preset.name: preset for preset in _PRESETS}
)
"""The tissue presets by name."""

"""What can be chosen in the panel: models, sources of prompts, windows, planes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sss.engine.models.registry import EMBEDDED, entry, model_names
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.intensity import PERCENTILES, PRESETS
from napari_sss.engine.volumes.volume import Modality

if TYPE_CHECKING:
    from napari_sss.engine.prompts.presets import TissuePreset


@dataclass(frozen=True)
class Choice:
    """One line of a list.

    Parameters
    ----------
    key : str or int
        What the program calls it.
    title : str
        What the list shows.
    tooltip : str
        What it does.
    why_not : str
        Why it cannot be chosen; "" when it can.
    """

    key: str | int
    title: str
    tooltip: str = ""
    why_not: str = ""


PLANE_KEYS = {Plane.AXIAL: "F2", Plane.CORONAL: "F3", Plane.SAGITTAL: "F4"}
"""napari uses no function keys, so these work whichever layer is selected."""

AUTO_KEY = "F5"


OPEN_MODEL = "open"
"""Key of the line that asks for a checkpoint's file."""


def model_choices() -> list[Choice]:
    """Return the models of the registry, the embedded one first, and a file to be chosen."""
    names = sorted(model_names(), key=lambda name: name != EMBEDDED)
    choices = []
    for name in names:
        known = entry(name)
        download = ""
        if not known.is_packaged and not known.path.exists():
            download = f" (download {known.size / 1e6:.0f} MB)" if known.size else " (download)"
        choices.append(
            Choice(
                name,
                f"{known.title}{download}",
                f"{known.parameters / 1e6:.1f} million weights, {known.image_size} pixels, "
                f"licence {known.licence}.",
            )
        )
    tooltip = "A checkpoint of SAM 2 or MedSAM2, or weights trained with napari-sss."
    return [*choices, Choice(OPEN_MODEL, "Open a checkpoint …", tooltip)]


def window_choices(modality: Modality) -> list[Choice]:
    """Return the windows that make sense for a modality."""
    percentiles = Choice(
        PERCENTILES, "Percentiles 0.5 – 99.5", "From the scan's own intensities."
    )
    if modality == "MR":
        return [percentiles]
    presets = [
        Choice(
            preset.name,
            f"{preset.name.capitalize()} {preset.centre:g} / {preset.width:g}",
            f"{preset.shows.capitalize()}: centre {preset.centre:g} HU, width "
            f"{preset.width:g} HU ({preset.source}).",
        )
        for preset in PRESETS.values()
    ]
    return [*presets, percentiles]


SEPARATOR = ":"
EVERYTHING = "everything"
TRAINED = "model"


NOT_TRAINED = (
    "The model in use was not fine-tuned: it knows no classes. Use a trained one in the tab "
    "Models, or choose another source of prompts."
)


def source_choices(modality: Modality, trained: Path | None = None) -> list[Choice]:
    """Return where prompts can come from: each tissue, everything, a trained model.

    Parameters
    ----------
    modality : {"CT", "MR", "unknown"}
        Of the scan.
    trained : Path, optional
        The folder of the model in use, if that was trained to know classes.
    """
    from napari_sss.engine.prompts.presets import TISSUE_PRESETS

    tissues = [
        Choice(_key(preset.name), _tissue_title(preset.name), _tissue_tooltip(preset))
        for preset in TISSUE_PRESETS.values()
        if modality in ("unknown", preset.modality)
    ]
    return [
        *tissues,
        Choice(
            EVERYTHING,
            "Everything",
            "SAM-2 looks for any object on every slice, and links them. Takes long.",
        ),
        Choice(
            TRAINED,
            "Trained model" if trained is None else f"Trained model {trained.name}",
            tooltip="The classes that the model in use was fine-tuned to know.",
            why_not=NOT_TRAINED if trained is None else "",
        ),
    ]


def default_source(modality: Modality) -> str:
    """Return the choice to begin with."""
    return _key("mr-bright" if modality == "MR" else "soft-tissue")


def source_of(key: str) -> tuple[str, str | None]:
    """Return source and tissue preset of a choice."""
    source, _, preset = key.partition(SEPARATOR)
    return source, preset or None


def preset_class(preset: str | None) -> str:
    """Return what a tissue preset calls its objects; "object" without one."""
    from napari_sss.engine.prompts.presets import tissue_preset

    return "object" if preset is None else tissue_preset(preset).class_name


def preset_window(preset: str | None) -> str | None:
    """Return the name of the window that suits a tissue preset; None without one."""
    from napari_sss.engine.prompts.presets import tissue_preset

    return None if preset is None else tissue_preset(preset).window or PERCENTILES


def _key(preset: str) -> str:
    return f"intensity{SEPARATOR}{preset}"


def _tissue_title(name: str) -> str:
    words = name.replace("-", " ")
    return f"MR {words[3:]}" if words.startswith("mr ") else words.capitalize()


def _tissue_tooltip(preset: TissuePreset) -> str:
    low, high = preset.intensity_range
    unit = "HU" if preset.modality == "CT" else "% of the scan's intensities"
    bounds = " to ".join(f"{v:g}" for v in (low, high) if v is not None)
    side = "from " if high is None else "up to " if low is None else ""
    return f"Finds {preset.class_name}: {side}{bounds} {unit}. {preset.reference}"

"""From a scan's intensities to the model's grey values, once per volume.

The same :class:`IntensityWindow` serves display, inference and training, and is stored with
a model. It is never chosen per slice (grey would drift along z) and never passes through
8 bits (soft tissues a few HU apart would merge).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.volumes.volume import Volume

PERCENTILES = "percentiles"
_LOW_PERCENT, _HIGH_PERCENT = 0.5, 99.5
_SAMPLES = 2_000_000


@dataclass(frozen=True)
class IntensityWindow:
    """The range of intensities that becomes 0 to 1.

    Parameters
    ----------
    low, high : float
        Intensities (HU for CT) shown as 0 and 1; ``low < high``. Beyond them is clipped.
    name : str
        The preset's name, or ``"custom"``.
    """

    low: float
    high: float
    name: str = "custom"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise ConfigError(
                f"An intensity window from {self.low} to {self.high} is empty.",
                "Give two numbers, the lower one first.",
            )

    @classmethod
    def from_centre(cls, centre: float, width: float, name: str = "custom") -> IntensityWindow:
        """The window as radiologists name it, by centre and width in HU."""
        return cls(centre - width / 2, centre + width / 2, name)

    @classmethod
    def from_contrast_limits(cls, limits: Any) -> IntensityWindow:
        """The window of a viewer's contrast limits, ``(low, high)``."""
        low, high = limits
        return cls(float(low), float(high))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> IntensityWindow:
        """The window that :meth:`to_dict` gave.

        Raises
        ------
        ConfigError
            If keys are missing or unknown, or the values make no window.
        """
        if not {"low", "high"} <= set(content) <= {"low", "high", "name"}:
            raise ConfigError(
                f"An intensity window has the keys low, high and name, not {sorted(content)}.",
                "Correct the file that holds it.",
            )
        return cls(
            float(content["low"]), float(content["high"]), str(content.get("name", "custom"))
        )

    def to_dict(self) -> dict[str, Any]:
        """The window as plain JSON values."""
        return {"low": self.low, "high": self.high, "name": self.name}

    @property
    def centre(self) -> float:
        """Middle of the window."""
        return (self.low + self.high) / 2

    @property
    def width(self) -> float:
        """Breadth of the window."""
        return self.high - self.low

    def apply(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """Grey values, float32 in [0, 1], of the array's intensities."""
        grey = np.asarray(array).astype(np.float32)
        grey -= np.float32(self.low)
        grey /= np.float32(self.high - self.low)
        return np.clip(grey, 0.0, 1.0, out=grey)


@dataclass(frozen=True)
class WindowPreset:
    """A window in common use for CT.

    Parameters
    ----------
    name : str
        What to ask for.
    centre, width : float
        In HU.
    shows : str
        What it is for, in a few words.
    source : str
        Who states these values.
    """

    name: str
    centre: float
    width: float
    shows: str
    source: str

    @property
    def window(self) -> IntensityWindow:
        """The range itself."""
        return IntensityWindow.from_centre(self.centre, self.width, self.name)


# Where it gives a range (bleed: centre 50 to 100, width 130 to 300) the middle is taken.
_RADIOPAEDIA = "Murphy A, Windowing (CT), Radiopaedia.org, rID 52108"
_VIEWERS = "a usual preset of viewers; no standard states one"

PRESETS: Mapping[str, WindowPreset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            WindowPreset("abdomen", 50, 400, "soft tissue of the abdomen", _RADIOPAEDIA),
            WindowPreset("mediastinum", 50, 350, "soft tissue of the chest", _RADIOPAEDIA),
            WindowPreset("lung", -600, 1500, "lungs and airways", _RADIOPAEDIA),
            WindowPreset("bone", 400, 1800, "bone", _RADIOPAEDIA),
            WindowPreset("brain", 40, 80, "brain", _RADIOPAEDIA),
            WindowPreset("bleed", 75, 215, "subdural and other fresh blood", _RADIOPAEDIA),
            WindowPreset("angiography", 300, 600, "vessels with contrast", _VIEWERS),
        )
    }
)
"""The CT windows by name."""


def window_for(volume: Volume, preset: str | None = None) -> IntensityWindow:
    """The window for a whole volume.

    Parameters
    ----------
    volume : Volume
        The scan.
    preset : str, optional
        A name of :data:`PRESETS` (CT only) or ``"percentiles"``. Where not given: abdomen
        for a CT, percentiles for anything else.

    Raises
    ------
    ConfigError
        If there is no such preset, or it is one in HU and the volume is an MR.
    """
    if preset is None:
        preset = "abdomen" if volume.modality == "CT" else PERCENTILES
    if preset == PERCENTILES:
        return percentile_window(volume.array)
    if preset not in PRESETS:
        raise ConfigError(
            f"There is no intensity window '{preset}'.",
            f"Choose one of {', '.join([*PRESETS, PERCENTILES])}.",
        )
    if volume.modality == "MR":
        raise ConfigError(
            f"The window '{preset}' is in HU, and {volume.source.name} is an MR.",
            f"Choose '{PERCENTILES}' or give contrast limits.",
        )
    return PRESETS[preset].window


def percentile_window(array: NDArray[Any]) -> IntensityWindow:
    """The window from the 0.5th to the 99.5th percentile of what is not background.

    Background is the smallest value and everything equal to it, which in MR is most of the
    air; without that rule a scan with much padding would be shown too bright. Volumes of
    more than two million voxels are sampled evenly. A constant volume gets a window of
    width 1 that begins at its value.

    Parameters
    ----------
    array : (Z, Y, X) array
        Intensities, finite.
    """
    values = np.asarray(array).reshape(-1)
    sample = values[:: max(1, values.size // _SAMPLES)].astype(np.float64)
    foreground = sample[sample > sample.min()]
    if foreground.size == 0:
        return IntensityWindow(float(sample[0]), float(sample[0]) + 1.0, PERCENTILES)
    low, high = np.percentile(foreground, (_LOW_PERCENT, _HIGH_PERCENT))
    if not low < high:
        low, high = float(sample.min()), float(high)
    return IntensityWindow(float(low), float(high), PERCENTILES)

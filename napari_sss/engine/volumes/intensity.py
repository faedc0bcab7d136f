"""From a scan's intensities to the model's grey values, once per volume.

The same :class:`IntensityWindow` serves display, inference and training, and is stored with
a model. It is never chosen per slice (grey would drift along z) and never passes through
8 bits (soft tissues a few HU apart would merge).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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

    @classmethod
    def from_centre(cls, centre: float, width: float, name: str = "custom") -> IntensityWindow:
        """The window as radiologists name it, by centre and width in HU."""
        return cls(centre - width / 2, centre + width / 2, name)

    def apply(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """Grey values, float32 in [0, 1], of the array's intensities."""
        grey = (np.asarray(array, dtype=np.float32) - self.low) / (self.high - self.low)
        return np.clip(grey, 0.0, 1.0, out=grey)

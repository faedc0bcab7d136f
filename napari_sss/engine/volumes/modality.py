"""Telling CT from the rest where the file does not say what it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.volumes.volume import Modality

_AIR = (-1100.0, -850.0)
_SOFT_TISSUE = (-150.0, 200.0)
_MIN_SHARE = 0.005
_SAMPLES = 500_000


def guess_modality(array: NDArray[Any]) -> Modality:
    """``"CT"`` if the intensities can only be Hounsfield units, else ``"unknown"``.

    Two things together are taken as proof: at least 0.5 % of the voxels lie in the range of
    air (-1100 to -850 HU) and at least 0.5 % in that of water, fat and soft tissue (-150 to
    200 HU). Magnitude MR has no negative values, and normalised MR none near -1000. A CT
    cropped inside the body has no air and stays ``"unknown"``: better no window than a
    wrong one. ``"MR"`` is never guessed, as its values are on no scale.

    Parameters
    ----------
    array : (Z, Y, X) array
        Intensities, finite.
    """
    values = np.asarray(array).reshape(-1)
    sample = values[:: max(1, values.size // _SAMPLES)]
    shares = [np.mean((sample >= low) & (sample <= high)) for low, high in (_AIR, _SOFT_TISSUE)]
    return "CT" if min(shares) >= _MIN_SHARE else "unknown"

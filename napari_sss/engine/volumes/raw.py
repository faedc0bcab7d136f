"""What a format's reader hands over, before the checks that all formats share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import VolumeError
from napari_sss.engine.volumes.volume import Modality


@dataclass(frozen=True)
class RawVolume:
    """Voxels and header of one 3-D volume as the file has them.

    Parameters
    ----------
    array : (Z, Y, X) array
        Intensities after the file's own rescaling; may hold NaN.
    affine : (4, 4) array
        From ``(z, y, x, 1)`` indices to LPS mm; may be sheared.
    modality : {"CT", "MR", "unknown"}
        What the header says; ``"unknown"`` where it says nothing.
    spacing_known : bool
        False where the header gives no spacing and 1 mm is only assumed.
    frame : int, optional
        The frame taken from a 4-D file.
    series_uid : str, optional
        The DICOM series read.
    notes : tuple of str
        Oddities of the header that the user should know.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    modality: Modality = "unknown"
    spacing_known: bool = True
    frame: int | None = None
    series_uid: str | None = None
    notes: tuple[str, ...] = ()


def choose_frame(frame: int | None, frames: int, path: Path) -> tuple[int, tuple[str, ...]]:
    """The frame to read, and a note where the choice was not the user's.

    Raises
    ------
    VolumeError
        If ``frame`` is not one of the file's frames.
    """
    if frame is None:
        if frames == 1:
            return 0, ()
        return 0, (
            f"{path.name} holds {frames} frames; frame 0 was read. Choose another by its "
            f"number, 0 to {frames - 1}.",
        )
    if not 0 <= frame < frames:
        raise VolumeError(
            f"{path} holds {frames} frame{'s' if frames > 1 else ''}, not a frame {frame}.",
            f"Choose a frame from 0 to {frames - 1}." if frames > 1 else "Ask for no frame.",
            path,
        )
    return frame, ()

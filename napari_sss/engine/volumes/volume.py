"""A volume in memory: intensities, the grid they lie on, and where they came from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from napari_sss.engine.errors import GeometryError
from napari_sss.engine.volumes.grid import AxisView, Grid

Modality = Literal["CT", "MR", "unknown"]


@dataclass(frozen=True)
class Source:
    """Where a volume came from.

    Parameters
    ----------
    path : Path, optional
        The file, or the folder of a DICOM series; None for an array made in memory.
    series_uid : str, optional
        The DICOM series, where there is one.
    frame : int, optional
        The frame taken from a 4-D file.
    """

    path: Path | None = None
    series_uid: str | None = None
    frame: int | None = None

    @property
    def name(self) -> str:
        """File name without its extensions, or ``"volume"``."""
        if self.path is None:
            return "volume"
        return self.path.name.removesuffix(".gz").rsplit(".", 1)[0] or self.path.name


@dataclass(frozen=True)
class Volume:
    """A scan.

    Parameters
    ----------
    array : (Z, Y, X) array
        Intensities, in HU where ``modality`` is ``"CT"``; any real dtype, finite.
    grid : Grid
        Where the voxels lie.
    modality : {"CT", "MR", "unknown"}
        Decides which intensity window is used when none is asked for.
    source : Source
        Where it came from.
    spacing_known : bool
        False where the file gives no spacing, so that 1 mm is only assumed.
    notes : tuple of str
        What the reader wants the user to know, for instance a conflict in the header.
    """

    array: NDArray[Any]
    grid: Grid
    modality: Modality = "unknown"
    source: Source = field(default_factory=Source)
    spacing_known: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if tuple(self.array.shape) != tuple(self.grid.shape):
            raise GeometryError(
                f"The array's shape {self.array.shape} is not the grid's {self.grid.shape}.",
                "Give an array and a grid of the same (Z, Y, X) shape.",
                self.source.path,
            )

    def viewed(self, view: AxisView) -> Volume:
        """The same voxels in another axis order; the array is a view, not a copy."""
        return replace(self, array=view.apply(self.array), grid=self.grid.viewed(view))

"""Prompts: what tells the model which object is meant.

Coordinates are voxel indices of the volume's array. In-plane ``x`` counts columns and ``y``
rows of the slice; whole numbers are voxel centres; the maxima of a box are exclusive, so
the box of the single voxel (5, 7) is ``(5, 7, 6, 8)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Plane(Enum):
    """The planes in which a prompt can lie; the value is the array axis cut through.

    The names are those of a volume stored head to foot; the axis is what counts. Rows and
    columns of the slice are the two remaining axes in their order.
    """

    AXIAL = 0
    CORONAL = 1
    SAGITTAL = 2

    @property
    def axis(self) -> int:
        """The array axis along which the slice index counts."""
        return self.value

    @property
    def row_axis(self) -> int:
        """The array axis of the slice's rows (``y``)."""
        return 1 if self is Plane.AXIAL else 0

    @property
    def column_axis(self) -> int:
        """The array axis of the slice's columns (``x``)."""
        return 1 if self is Plane.SAGITTAL else 2


@dataclass(frozen=True)
class Box:
    """A box in a slice, maxima exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Voxels across."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Voxels down."""
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        """``(x, y)`` of the middle, in voxel-centre coordinates."""
        return (self.x0 + self.x1 - 1) / 2, (self.y0 + self.y1 - 1) / 2


@dataclass(frozen=True)
class Point:
    """A click at ``(x, y)``; positive: this belongs to the object, else it does not."""

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True)
class Stroke:
    """A scribble: the polyline through ``points`` ((x, y) each)."""

    points: tuple[tuple[float, float], ...]
    positive: bool = True


@dataclass(frozen=True)
class Polygon:
    """A lasso: everything inside ``points`` ((x, y) each) belongs, or does not."""

    points: tuple[tuple[float, float], ...]
    positive: bool = True


@dataclass(frozen=True)
class SlicePrompt:
    """All prompts of one object on one slice.

    Parameters
    ----------
    index : int
        Slice index along the plane's axis.
    box, points, strokes, polygons
        The prompts; at least one is there unless ``mask`` is given.
    mask : Path, optional
        A label file on the volume's grid whose non-zero voxels of this slice are the prompt.
    plane : Plane
        The plane of the slice.
    confidence : float, optional
        0 to 1, where the prompt was made by the program; None where a person made it.
    """

    index: int
    box: Box | None = None
    points: tuple[Point, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    polygons: tuple[Polygon, ...] = ()
    mask: Path | None = None
    plane: Plane = Plane.AXIAL
    confidence: float | None = None


@dataclass(frozen=True)
class ObjectPrompts:
    """The prompts of one object.

    Parameters
    ----------
    id : int
        1 or more; the object's value in an instance mask.
    class_name : str
        The structure, for instance ``"kidney"``.
    prompts : tuple of SlicePrompt
        Best slice first.
    confidence : float, optional
        0 to 1, of the object as a whole, where the program made it.
    """

    id: int
    class_name: str
    prompts: tuple[SlicePrompt, ...]
    confidence: float | None = None


@dataclass(frozen=True)
class PromptSet:
    """Everything prompted in one volume; what a prompt file holds."""

    objects: tuple[ObjectPrompts, ...] = ()
    frame: int | None = None

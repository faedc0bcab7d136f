"""From the positions of a series' slices to one regular stack, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import GeometryError, VolumeError
from napari_sss.engine.volumes.dicom_series import Slice

_SAME_DIRECTION = 1e-3  # cosines; headers round them to about 1e-6
_SAME_PLACE_MM = 1e-2
_UNEVEN = 0.05  # share of the slice distance by which a slice may be out of place
_DRIFT = 0.1  # share of a pixel by which rounding may shift slices sideways, over the stack
_MISSING = 1.5  # a gap of this many slice distances: a slice is not there
_NOTEWORTHY_MM = 1e-2


@dataclass(frozen=True)
class Stack:
    """The slices in order.

    Parameters
    ----------
    frames : tuple of tuples of Slice
        For each point in time, its slices from the first to the last along the normal.
    affine : (4, 4) array
        From ``(z, y, x, 1)`` to LPS mm; sheared where the gantry was tilted.
    spacing_known : bool
        Whether the header told the distances.
    notes : tuple of str
        What the user should know.
    """

    frames: tuple[tuple[Slice, ...], ...]
    affine: NDArray[np.float64]
    spacing_known: bool
    notes: tuple[str, ...] = ()


def stacked(slices: Sequence[Slice], path: Path) -> Stack:
    """Sort slices along their normal and check that they make a regular stack.

    Raises
    ------
    GeometryError
        If sizes, orientations or spacings differ, or a slice is missing.
    """
    _check_alike(slices, path)
    first = slices[0]
    if len(first.orientation) != 6 or any(len(s.position) != 3 for s in slices):
        return _unplaced(slices)
    along_row, down_column = np.reshape(first.orientation, (2, 3))
    normal = np.cross(along_row, down_column)
    frames = _by_position(slices, normal, path)
    positions = np.array([s.position for s in frames[0]])
    step, notes = _step(positions, normal, path)
    rows, columns = first.pixel_spacing if len(first.pixel_spacing) == 2 else (1.0, 1.0)
    lateral = step - normal * (normal @ step)
    drift = float(np.linalg.norm(lateral)) * (len(positions) - 1)
    if drift <= _DRIFT * min(rows, columns):
        step = step - lateral
        if drift > _NOTEWORTHY_MM:
            notes = (*notes, f"Slices drift sideways by {drift:.2f} mm, which was ignored.")
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = down_column * rows
    affine[:3, 2] = along_row * columns
    affine[:3, 3] = positions[0]
    return Stack(frames, affine, len(first.pixel_spacing) == 2, notes)


def _check_alike(slices: Sequence[Slice], path: Path) -> None:
    first = slices[0]
    for other in slices[1:]:
        what = None
        if other.size != first.size:
            what = f"sizes ({first.size} and {other.size} pixels)"
        elif not _close(first.orientation, other.orientation, _SAME_DIRECTION):
            what = "orientations"
        elif not _close(first.pixel_spacing, other.pixel_spacing, 1e-4):
            what = f"pixel spacings ({first.pixel_spacing} and {other.pixel_spacing} mm)"
        if what is not None:
            raise GeometryError(
                f"{path} mixes slices of different {what}, for instance {first.path.name} and "
                f"{other.path.name}.",
                "Move the slices that do not belong (often a localizer) to another folder.",
                path,
            )


def _close(one: tuple[float, ...], other: tuple[float, ...], tolerance: float) -> bool:
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0, atol=tolerance))


def _unplaced(slices: Sequence[Slice]) -> Stack:
    """Slices without positions, in the order of their numbers."""
    first = slices[0]
    known = len(first.pixel_spacing) == 2
    rows, columns = first.pixel_spacing if known else (1.0, 1.0)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([columns, rows, 1.0])[:, ::-1]
    ordered = tuple(sorted(slices, key=lambda s: s.time))
    note = (
        "The DICOM header gives no positions: slices are in the order of their numbers, and "
        "the distance between them is not known."
    )
    return Stack((ordered,), affine, known and len(ordered) == 1, (note,))


def _by_position(
    slices: Sequence[Slice], normal: NDArray[np.float64], path: Path
) -> tuple[tuple[Slice, ...], ...]:
    """The slices of each point in time, all sorted along the normal."""
    ordered = sorted(slices, key=lambda s: (float(normal @ s.position), s.time))
    places: list[list[Slice]] = []
    for piece in ordered:
        here = float(normal @ piece.position)
        if places and here - float(normal @ places[-1][0].position) < _SAME_PLACE_MM:
            places[-1].append(piece)
        else:
            places.append([piece])
    counts = {len(place) for place in places}
    if len(counts) > 1:
        raise GeometryError(
            f"{path} has {min(counts)} slices at some positions and {max(counts)} at others.",
            "Slices are missing or doubled: export the series again.",
            path,
        )
    times = [sorted(place, key=lambda s: s.time) for place in places]
    return tuple(zip(*times, strict=True))


def _step(
    positions: NDArray[np.float64], normal: NDArray[np.float64], path: Path
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The vector from slice to slice, and a note where slices are a little out of place."""
    if len(positions) == 1:
        return normal, ("One slice: the distance between slices is taken as 1 mm.",)
    gaps = np.diff(positions @ normal)
    usual = float(np.median(gaps))
    wide = np.flatnonzero(gaps > _MISSING * usual)
    if wide.size:
        at = positions[wide[0]] @ normal, positions[wide[0] + 1] @ normal
        raise VolumeError(
            f"{path} lacks slices: between {at[0]:.1f} and {at[1]:.1f} mm there is a gap of "
            f"{gaps[wide[0]]:.1f} mm where slices are {usual:.1f} mm apart.",
            "Copy or export the whole series again.",
            path,
        )
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    regular = positions[0] + np.arange(len(positions))[:, None] * step
    off = float(np.abs((positions - regular) @ normal).max())
    if off > _UNEVEN * usual:
        raise GeometryError(
            f"{path} has slices at uneven distances, from {gaps.min():.2f} to "
            f"{gaps.max():.2f} mm.",
            "Export a reconstruction with one slice distance.",
            path,
        )
    if off > _NOTEWORTHY_MM:
        return step, (f"Slices lie up to {off:.2f} mm from even distances.",)
    return step, ()

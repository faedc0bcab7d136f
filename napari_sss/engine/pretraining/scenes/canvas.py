"""Painting shapes onto a grid of voxels, one over the other, with partial volume."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .appearance import Palette, Tissue
from .draws import Draws
from .fields import smooth_field
from .shapes import Points, Shape

# Noise channels of the points, from coarse to fine; see Canvas.
COARSE, COARSE_2, MEDIUM, FINE = range(4)
_STRIDE = 6


class Canvas:
    """A scan in the making: intensities, labels and groups.

    Shapes see coordinates that are turned by ``turn`` and bent by a smooth random
    displacement, the same for all of them, so that neighbours deform together.

    Parameters
    ----------
    draws : Draws
        Source of the random fields.
    shape : (int, int, int)
        Voxels along z, y, x.
    spacing : (float, float, float)
        Millimetres along z, y, x.
    palette : Palette
        Intensities of the tissues.
    centre : (float, float, float)
        The anatomical place (z, y, x; mm) at the grid's centre.
    turn : Tensor (3, 3), optional
        Rotation from the grid's (z, y, x) to anatomical directions: oblique slices.
    bend : float
        Typical size of the displacement in mm.
    """

    def __init__(
        self,
        draws: Draws,
        shape: Sequence[int],
        spacing: Sequence[float],
        palette: Palette,
        centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
        turn: torch.Tensor | None = None,
        bend: float = 5.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.shape = (int(shape[0]), int(shape[1]), int(shape[2]))
        self.spacing = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
        self.palette = palette
        self.draws = draws
        self.device = device
        self.extent = tuple(n * s for n, s in zip(self.shape, self.spacing, strict=True))
        self.points = self._make_points(centre, turn, bend)
        self._preview = self.points.box(
            (slice(None), slice(None, None, _STRIDE), slice(None, None, _STRIDE))
        )
        self.image = torch.full(self.shape, palette.mean("air"), device=device)
        self.labels = torch.zeros(self.shape, dtype=torch.int16, device=device)
        self.groups: list[tuple[int, ...]] = []
        self.wholes: list[tuple[int, ...]] = []
        self.split: set[int] = set()
        self._count = 0

    def new_label(self, split: bool = False) -> int:
        """The number of the next object; with ``split`` its pieces become objects."""
        self._count += 1
        if split:
            self.split.add(self._count)
        return self._count

    def group(self, *labels: int | None, whole: bool = False) -> None:
        """Note that these objects together make a sensible larger one.

        With ``whole`` the larger one is what annotators draw first.
        """
        members = tuple(sorted({label for label in labels if label}))
        if len(members) > 1:
            (self.wholes if whole else self.groups).append(members)

    def paint(
        self,
        shape: Shape,
        tissue: Tissue | str,
        label: int | None = None,
        blur: float = 1.0,
    ) -> None:
        """Put a shape over what is there.

        A voxel the surface cuts mixes old and new by the share of the voxel inside; the
        label changes where that share exceeds one half.

        Parameters
        ----------
        shape : Shape
            What is painted.
        tissue : Tissue or str
            Its intensities, or the name of a tissue of the palette.
        label : int, optional
            The object's label; 0 erases labels; None leaves them as they are.
        blur : float
            Width of the transition in voxels: 1 for a sharp surface, more for a body that
            fades into its surroundings.
        """
        if isinstance(tissue, str):
            tissue = self.palette.tissue(tissue)
        box = self._box(shape)
        if box is None:
            return
        points = self.points.box(box)
        self._lay(box, shape(points), tissue.render(points), label, blur)

    def paint_values(self, values: torch.Tensor, tissue: Tissue, label: int | None) -> None:
        """As :meth:`paint`, given the implicit function's values on the grid, (Z, Y, X)."""
        box = self._box_of(values < 0, stride=1)
        if box is not None:
            self._lay(box, values[box], tissue.render(self.points.box(box)), label)

    def _lay(
        self,
        box: tuple[slice, slice, slice],
        values: torch.Tensor,
        fill: torch.Tensor,
        label: int | None,
        blur: float = 1.0,
    ) -> None:
        cover = coverage(values, blur)
        self.image[box].lerp_(fill, cover)
        if label is not None:
            self.labels[box].masked_fill_(cover > 0.5, label)

    def _box(self, shape: Shape) -> tuple[slice, slice, slice] | None:
        """Where the shape may be, found on every sixth pixel; None where nowhere."""
        values = shape(self._preview)
        # A small shape may lie between the places looked at: it is near wherever the value
        # is less than the steps from place to place.
        step = torch.zeros((), device=values.device)
        for axis in range(3):
            if values.shape[axis] > 1:
                step = torch.maximum(step, values.diff(dim=axis).abs().amax())
        near = values < torch.minimum(step, values.new_tensor(4.0) + values.amin().abs())
        return self._box_of(near, _STRIDE)

    def _box_of(self, near: torch.Tensor, stride: int) -> tuple[slice, slice, slice] | None:
        """The box around what is true in every ``stride``-th pixel, one step wider."""
        box = []
        for axis, length in enumerate(self.shape):
            others = tuple(a for a in range(3) if a != axis)
            hits = torch.nonzero(near.any(dim=others[1]).any(dim=others[0])).flatten()
            if len(hits) == 0:
                return None
            step = 1 if axis == 0 else stride
            low = max(0, (int(hits[0]) - 1) * step)
            high = min(length, (int(hits[-1]) + 2) * step)
            box.append(slice(low, high))
        return box[0], box[1], box[2]

    def _make_points(
        self,
        centre: tuple[float, float, float],
        turn: torch.Tensor | None,
        bend: float,
    ) -> Points:
        axes = [
            (torch.arange(n, device=self.device) - (n - 1) / 2) * step
            for n, step in zip(self.shape, self.spacing, strict=True)
        ]
        grid = torch.meshgrid(*axes, indexing="ij")
        turn = torch.eye(3) if turn is None else turn
        width = max(self.extent)
        coordinates = []
        for i in range(3):
            place = sum(float(turn[i, j]) * grid[j] for j in range(3)) + centre[i]
            place = place + bend * self._field(width / 4.5)
            place = place + 0.3 * bend * self._field(width / 12)
            coordinates.append(place)
        noise = torch.stack([self._field(width / k) for k in (5, 6, 14, 40)])
        z, y, x = coordinates
        return Points(z, y, x, noise)

    def _field(self, correlation: float) -> torch.Tensor:
        return smooth_field(self.draws, self.shape, self.spacing, correlation, self.device)


def coverage(values: torch.Tensor, blur: float = 1.0) -> torch.Tensor:
    """Share of each voxel inside the shape, from the implicit function at its centre.

    The function is taken as linear within a voxel. It then spans half the sum of its
    absolute differences along the axes either side of the centre's value, and the share is
    read off that span. Thick slices through an oblique surface mix broadly, as they should.

    Parameters
    ----------
    values : Tensor (Z, Y, X)
        Negative inside.
    blur : float
        Widens the transition by this factor.

    Returns
    -------
    Tensor (Z, Y, X)
        0 outside to 1 inside.
    """
    span = torch.full_like(values, 1e-6)
    for axis in range(3):
        if values.shape[axis] < 2:
            continue
        step = values.diff(dim=axis).abs_()
        last = step.narrow(axis, step.shape[axis] - 1, 1)
        span += torch.cat([step, last], dim=axis)
    return (0.5 - values / (blur * span)).clamp_(0.0, 1.0)

"""The grid a volume lies on: where in the patient each voxel is.

Two index orders meet here. Arrays are ``(Z, Y, X)``, as SimpleITK's ``GetArrayFromImage``
gives them; ITK's geometry (origin, direction) counts ``x, y, z``. World coordinates are
millimetres in LPS: x grows to the patient's left, y to the back, z to the head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape3 = tuple[int, int, int]
Vector3 = tuple[float, float, float]


@dataclass(frozen=True)
class Grid:
    """Size, spacing, origin and direction of a volume.

    Parameters
    ----------
    shape : (int, int, int)
        Voxels along Z, Y, X.
    spacing : (float, float, float)
        Millimetres between voxel centres along Z, Y, X.
    origin : (float, float, float)
        World position (LPS, mm; x, y, z) of the centre of voxel ``[0, 0, 0]``.
    direction : tuple of 9 floats
        Row-major 3x3 matrix as in ITK; its columns are the world directions of the array's
        X, Y and Z axes.
    """

    shape: Shape3
    spacing: Vector3 = (1.0, 1.0, 1.0)
    origin: Vector3 = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @classmethod
    def from_affine(cls, shape: Shape3, affine: Any) -> Grid:
        """The grid whose :attr:`affine` is this 4x4 matrix; its axes must not be sheared."""
        affine = np.asarray(affine, dtype=np.float64)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        direction = (affine[:3, :3] / spacing)[:, ::-1]
        return cls(
            shape=(int(shape[0]), int(shape[1]), int(shape[2])),
            spacing=_three(spacing),
            origin=_three(affine[:3, 3]),
            direction=tuple(float(v) for v in direction.reshape(-1)),
        )

    @property
    def affine(self) -> NDArray[np.float64]:
        """4x4 matrix from ``(z, y, x, 1)`` indices to ``(x, y, z, 1)`` in LPS mm."""
        columns = np.asarray(self.direction, dtype=np.float64).reshape(3, 3)[:, ::-1]
        affine = np.eye(4)
        affine[:3, :3] = columns * np.asarray(self.spacing)
        affine[:3, 3] = self.origin
        return affine

    def index_to_world(self, indices: Any) -> NDArray[np.float64]:
        """World positions (..., 3; LPS mm) of ``(z, y, x)`` indices (..., 3)."""
        indices = np.asarray(indices, dtype=np.float64)
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]

    def world_to_index(self, points: Any) -> NDArray[np.float64]:
        """Fractional ``(z, y, x)`` indices (..., 3) of world positions (..., 3; LPS mm)."""
        points = np.asarray(points, dtype=np.float64)
        return (points - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing)) / 1000.0

    @property
    def is_oblique(self) -> bool:
        """Whether an axis departs from the patient's axes by more than 0.1 degrees."""
        columns = np.abs(np.asarray(self.direction).reshape(3, 3))
        return bool(np.any(columns.max(axis=0) < np.cos(np.deg2rad(0.1))))

    def corners(self) -> NDArray[np.float64]:
        """World positions (8, 3; LPS mm) of the centres of the corner voxels."""
        ends = [(0, n - 1) for n in self.shape]
        return self.index_to_world(np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1).T)

    def distance_to(self, other: Grid) -> float:
        """Largest distance in mm between voxels of equal index; infinite if shapes differ.

        The distance is an affine function of the index, so it is largest at a corner.
        """
        if self.shape != other.shape:
            return float("inf")
        return float(np.linalg.norm(self.corners() - other.corners(), axis=1).max())

    def view_onto(self, other: Grid, tolerance: float = 1e-3) -> AxisView | None:
        """The transposition and flips that bring this grid onto ``other``.

        Parameters
        ----------
        other : Grid
            The grid to be reached.
        tolerance : float
            Millimetres by which voxels may lie apart.

        Returns
        -------
        AxisView or None
            None where no order of the axes makes the two grids the same.
        """
        step = np.linalg.inv(self.affine[:3, :3]) @ other.affine[:3, :3]
        order = tuple(int(i) for i in np.abs(step).argmax(axis=0))
        if sorted(order) != [0, 1, 2]:
            return None
        flips = tuple(bool(step[axis, target] < 0) for target, axis in enumerate(order))
        view = AxisView(order, flips)  # type: ignore[arg-type]
        return view if self.viewed(view).distance_to(other) <= tolerance else None

    def canonical_view(self) -> AxisView:
        """The transposition and flips that bring the axes to S->I, A->P, R->L.

        Shown with rows downwards and columns to the right, that is how radiologists look
        at all three planes: patient's left on the right of the screen, head or front up.
        """
        columns = np.asarray(self.direction, dtype=np.float64).reshape(3, 3)[:, ::-1]
        order = _nearest_axes(columns)
        wanted = (-1.0, 1.0, 1.0)  # world z downwards, world y and x upwards
        flips = tuple(
            bool(columns[2 - target, axis] * wanted[target] < 0)
            for target, axis in enumerate(order)
        )
        return AxisView(order, flips)  # type: ignore[arg-type]

    def viewed(self, view: AxisView) -> Grid:
        """The grid of the same voxels in the axis order of ``view``."""
        columns = np.asarray(self.direction, dtype=np.float64).reshape(3, 3)[:, ::-1]
        z, y, x = view.order
        corner = [0.0, 0.0, 0.0]
        for axis, flip in zip(view.order, view.flips, strict=True):
            corner[axis] = self.shape[axis] - 1.0 if flip else 0.0
        signs = np.where(view.flips, -1.0, 1.0)
        turned = columns[:, list(view.order)] * signs
        return replace(
            self,
            shape=(self.shape[z], self.shape[y], self.shape[x]),
            spacing=(self.spacing[z], self.spacing[y], self.spacing[x]),
            origin=_three(self.index_to_world(corner)),
            direction=tuple(float(v) for v in turned[:, ::-1].reshape(-1)),
        )


@dataclass(frozen=True)
class AxisView:
    """Another order and direction of a volume's three axes; voxels stay as they are.

    Parameters
    ----------
    order : (int, int, int)
        For each axis of the view, the axis of the source it shows.
    flips : (bool, bool, bool)
        For each axis of the view, whether it runs against the source's.
    """

    order: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array seen in this order: a numpy view, nothing is copied."""
        steps = tuple(slice(None, None, -1 if flip else None) for flip in self.flips)
        return array.transpose(self.order)[steps]

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """The source's array, given the viewed one: the inverse of :meth:`apply`."""
        steps = tuple(slice(None, None, -1 if flip else None) for flip in self.flips)
        return array[steps].transpose(tuple(int(i) for i in np.argsort(self.order)))


def _three(values: NDArray[np.float64]) -> Vector3:
    """Three plain floats."""
    return float(values[0]), float(values[1]), float(values[2])


def _nearest_axes(columns: NDArray[np.float64]) -> tuple[int, int, int]:
    """For world z, y, x: the array axis that runs most along it, each used once."""
    from itertools import permutations

    def agreement(order: tuple[int, ...]) -> float:
        return float(sum(abs(columns[2 - t, axis]) for t, axis in enumerate(order)))

    best = max(permutations(range(3)), key=agreement)
    return best  # type: ignore[return-value]

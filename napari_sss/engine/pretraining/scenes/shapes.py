"""Bodies as implicit functions: negative inside, zero on the surface, positive outside.

A shape is a function of :class:`Points`. The unit of its values is free; a
:class:`~.canvas.Canvas` finds the surface's position between voxels from the values'
differences. Shapes combine by minimum (union) and maximum (intersection).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from .draws import Draws

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Points:
    """Where the voxels of a box lie in the anatomy, and the noise fields there.

    Parameters
    ----------
    z, y, x : Tensor (Z, Y, X)
        Anatomical coordinates in mm: z to the head, y to the back, x to the image's right.
    noise : Tensor (K, Z, Y, X)
        Smooth fields of variance one, from coarse to fine.
    """

    z: torch.Tensor
    y: torch.Tensor
    x: torch.Tensor
    noise: torch.Tensor

    def box(self, box: tuple[slice, slice, slice]) -> Points:
        """The points of a part of the grid."""
        return Points(self.z[box], self.y[box], self.x[box], self.noise[(slice(None), *box)])


Shape = Callable[[Points], torch.Tensor]


def rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> torch.Tensor:
    """A 3x3 rotation of (z, y, x) vectors.

    ``yaw`` turns within the plane of the slices, ``pitch`` tilts z towards y, ``roll`` z
    towards x; radians.
    """

    def turn(first: int, second: int, angle: float) -> torch.Tensor:
        matrix = torch.eye(3)
        matrix[first, first] = matrix[second, second] = math.cos(angle)
        matrix[first, second] = -math.sin(angle)
        matrix[second, first] = math.sin(angle)
        return matrix

    return turn(1, 2, yaw) @ turn(0, 1, pitch) @ turn(0, 2, roll)


def placed(shape: Shape, centre: Vector, turn: torch.Tensor | None = None) -> Shape:
    """The shape, described around the origin, turned and then moved to ``centre``."""

    def at(points: Points) -> torch.Tensor:
        offsets = (points.z - centre[0], points.y - centre[1], points.x - centre[2])
        if turn is not None:
            # The inverse of a rotation is its transpose: columns instead of rows.
            offsets = tuple(  # type: ignore[assignment]
                turn[0, i].item() * offsets[0]
                + turn[1, i].item() * offsets[1]
                + turn[2, i].item() * offsets[2]
                for i in range(3)
            )
        return shape(Points(*offsets, points.noise))

    return at


def ellipsoid(radii: Vector, power: float = 2.0) -> Shape:
    """A superellipsoid with half-axes ``radii`` (z, y, x; mm); boxier with ``power``.

    An infinite half-axis makes a column.
    """

    def norm(points: Points) -> torch.Tensor:
        total: torch.Tensor | None = None
        for coordinate, radius in zip((points.z, points.y, points.x), radii, strict=True):
            if math.isinf(radius):
                continue
            part = (coordinate / radius).abs()
            part = part.square() if power == 2.0 else part.pow(power)
            total = part if total is None else total + part
        if total is None:
            raise ValueError("An ellipsoid needs at least one finite half-axis.")
        return (total.sqrt() if power == 2.0 else total.pow(1.0 / power)) - 1.0

    return norm


def star(draws: Draws, radii: Vector, irregularity: float) -> Shape:
    """A star-shaped body: an ellipsoid whose radius varies with the direction.

    A few random cosines over the unit sphere stand for low spherical harmonics.

    Parameters
    ----------
    irregularity : float
        Relative deviation of the radius, 0 to about 0.4.
    """
    waves = []
    for order in (1, 1, 2, 2, 3):
        axis = draws.gaussian((3,))
        axis = axis / axis.norm().clamp(min=1e-6) * order * 1.4
        waves.append((axis.tolist(), draws.uniform(0, 2 * math.pi), 0.8 / order))

    def radius(points: Points) -> torch.Tensor:
        z, y, x = points.z / radii[0], points.y / radii[1], points.x / radii[2]
        length = (z * z + y * y + x * x).sqrt()
        inverse = 1.0 / length.clamp(min=0.05)
        bulge = torch.zeros_like(length)
        for (az, ay, ax), phase, size in waves:
            bulge += size * torch.cos((az * z + ay * y + ax * x) * inverse + phase)
        return length / (1.0 + irregularity * bulge).clamp(min=0.3) - 1.0

    return radius


def tube(path: Sequence[Vector], radii: Sequence[float]) -> Shape:
    """A tube along straight segments between the places of ``path`` (mm).

    Parameters
    ----------
    path : sequence of (z, y, x)
        Two or more places.
    radii : sequence of float
        The radius in mm at each place; linear between them.
    """

    def distance(points: Points) -> torch.Tensor:
        nearest: torch.Tensor | None = None
        for i in range(len(path) - 1):
            start, end = path[i], path[i + 1]
            along = tuple(e - s for s, e in zip(start, end, strict=True))
            squared = max(sum(a * a for a in along), 1e-6)
            dz, dy, dx = points.z - start[0], points.y - start[1], points.x - start[2]
            t = ((dz * along[0] + dy * along[1] + dx * along[2]) / squared).clamp_(0, 1)
            dz = dz - t * along[0]
            dy = dy - t * along[1]
            dx = dx - t * along[2]
            reach = (dz * dz + dy * dy + dx * dx).sqrt_()
            reach = reach - t * (radii[i + 1] - radii[i]) - radii[i]
            nearest = reach if nearest is None else torch.minimum(nearest, reach)
        if nearest is None:
            raise ValueError("A tube needs at least two places.")
        return nearest

    return distance


def half_space(normal: Vector, offset: float) -> Shape:
    """Everything on the negative side of a plane: ``normal . (z, y, x) < offset``."""

    def side(points: Points) -> torch.Tensor:
        return normal[0] * points.z + normal[1] * points.y + normal[2] * points.x - offset

    return side


def union(*shapes: Shape) -> Shape:
    """What lies in any of the shapes."""

    def joined(points: Points) -> torch.Tensor:
        result = shapes[0](points)
        for shape in shapes[1:]:
            result = torch.minimum(result, shape(points))
        return result

    return joined


def intersection(*shapes: Shape) -> Shape:
    """What lies in all of the shapes."""

    def common(points: Points) -> torch.Tensor:
        result = shapes[0](points)
        for shape in shapes[1:]:
            result = torch.maximum(result, shape(points))
        return result

    return common


def without(shape: Shape, *holes: Shape) -> Shape:
    """The shape with the holes cut out."""
    return intersection(shape, *(inverted(hole) for hole in holes))


def inverted(shape: Shape) -> Shape:
    """What the shape leaves."""
    return lambda points: -shape(points)


def grown(shape: Shape, by: float) -> Shape:
    """The level set further out by ``by``, in the unit of the shape's own values."""
    return lambda points: shape(points) - by


def rough(shape: Shape, amplitude: float, channel: int, sign: float = 1.0) -> Shape:
    """The shape with its surface moved by a noise field, in the shape's own unit."""
    return lambda points: shape(points) + (sign * amplitude) * points.noise[channel]


def shell(shape: Shape, inner: float, outer: float) -> Shape:
    """What lies between two level sets of the shape."""
    middle, half = (inner + outer) / 2, (outer - inner) / 2
    return lambda points: (shape(points) - middle).abs() - half


def specks(channel: int, level: float, scale: float = 0.2) -> Shape:
    """Where a noise field exceeds ``level``: small scattered spots, webs, patches."""
    return lambda points: (level - points.noise[channel]) * scale


def blended(a: Shape, b: Shape, width: float = 0.25) -> Shape:
    """The union with a fillet where the surfaces meet, ``width`` in the shapes' unit."""

    def joined(points: Points) -> torch.Tensor:
        first, second = a(points), b(points)
        share = (0.5 + 0.5 * (second - first) / width).clamp_(0, 1)
        return torch.lerp(second, first, share) - width * share * (1 - share)

    return joined

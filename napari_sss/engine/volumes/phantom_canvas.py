"""What the phantom is painted on, and how structures with soft edges are laid over it.

Structures are painted one over the other, each with an edge as wide as the voxel, so that
voxels on a border hold a mixture (partial volume); the truth is the last structure that
fills at least half a voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.volumes.grid import Grid, Vector3
from napari_sss.engine.volumes.smooth_noise import smooth_noise

NAMES = {
    1: "spleen",
    2: "right kidney",
    3: "left kidney",
    4: "gallbladder",
    5: "liver",
    6: "stomach",
    7: "pancreas",
    8: "aorta",
    9: "vena cava",
    10: "bladder",
    11: "right lung",
    12: "left lung",
    13: "spine",
    14: "ribs",
    15: "pelvis",
}
_ID = {name: value for value, name in NAMES.items()}

Field = NDArray[np.float32]
_DEFORMATION_MM = 6.0
_REACH_MM = 16.0  # how far deformed and roughened shapes can extend beyond their ellipsoid


@dataclass
class Canvas:
    """What is painted on: HU and labels, with the deformed coordinates of every voxel.

    Parameters
    ----------
    grid : Grid
        Its world positions are the patient frame's.
    hu : (Z, Y, X) float32 array
        Intensities so far.
    labels : (Z, Y, X) uint8 array
        Truth so far.
    position : three (Z, Y, X) float32 arrays
        x, y, z in mm, deformed smoothly so that no two patients are alike.
    rough, fine : (Z, Y, X) float32 arrays
        Smooth noise of unit size with features of about 30 and 12 mm.
    skin : (Z, Y, X) float32 array
        Depth below the skin in mm; negative outside the body.
    """

    grid: Grid
    hu: Field
    labels: NDArray[np.uint8]
    position: tuple[Field, Field, Field]
    rough: Field
    fine: Field
    skin: Field

    @classmethod
    def blank(cls, grid: Grid, rng: np.random.Generator) -> Canvas:
        """Air everywhere."""
        offset, steps = grid.affine[:3, 3], grid.affine[:3, :3]
        index = [
            np.arange(n, dtype=np.float32).reshape([-1 if a == i else 1 for a in range(3)])
            for i, n in enumerate(grid.shape)
        ]
        position = []
        for axis in range(3):
            plain = sum(np.float32(steps[axis, i]) * index[i] for i in range(3))
            bend = smooth_noise(grid, 60.0, rng) * np.float32(_DEFORMATION_MM / 2)
            position.append(np.asarray(plain + np.float32(offset[axis]) + bend))
        return cls(
            grid,
            np.full(grid.shape, -1000, dtype=np.float32),
            np.zeros(grid.shape, dtype=np.uint8),
            (position[0], position[1], position[2]),
            smooth_noise(grid, 30.0, rng),
            smooth_noise(grid, 12.0, rng),
            _skin_depth(*position),
        )

    def part(self, centre: Vector3, reach: Vector3) -> Canvas:
        """The canvas cut to a box of half-widths ``reach`` mm; painting it paints this one."""
        signs = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, -1).T
        corners = np.asarray(centre) + signs * (np.asarray(reach) + _REACH_MM)
        index = self.grid.world_to_index(corners)
        low = np.clip(np.floor(index.min(axis=0)), 0, None).astype(int)
        high = np.minimum(np.ceil(index.max(axis=0)) + 1, self.grid.shape).astype(int)
        cut = tuple(slice(int(a), int(max(a, b))) for a, b in zip(low, high, strict=True))
        x, y, z = (axis[cut] for axis in self.position)
        return Canvas(
            self.grid,
            self.hu[cut],
            self.labels[cut],
            (x, y, z),
            self.rough[cut],
            self.fine[cut],
            self.skin[cut],
        )

    def paint(self, depth: Any, hu: Any, structure: str | None = None) -> None:
        """Lay a structure over what is there.

        Parameters
        ----------
        depth : (Z, Y, X) array
            How many mm a voxel lies inside the surface; negative outside.
        hu : float or (Z, Y, X) array
            Its intensity.
        structure : str, optional
            A name of :data:`NAMES`; without one the voxels become background.
        """
        share = self.tint(depth, hu)
        self.labels[share >= 0.5] = _ID[structure] if structure else 0

    def tint(self, depth: Any, hu: Any) -> Field:
        """Change intensities only, as a vessel in an organ does; return the voxels' shares."""
        edge = float(np.mean(self.grid.spacing[1:])) + 0.15 * self.grid.spacing[0]
        share = np.clip(depth / np.float32(edge) + np.float32(0.5), 0, 1)
        self.hu += share * (hu - self.hu)
        return share

    def ellipsoid(
        self, centre: Vector3, radii: Vector3, turn: float = 0.0, rough: float = 2.0
    ) -> Field:
        """Depth below a roughened ellipsoid, turned by ``turn`` degrees about the z axis."""
        x, y, z = (p - np.float32(c) for p, c in zip(self.position, centre, strict=True))
        cos, sin = np.float32(np.cos(np.deg2rad(turn))), np.float32(np.sin(np.deg2rad(turn)))
        x, y = cos * x + sin * y, cos * y - sin * x
        q = np.sqrt(
            (x / np.float32(radii[0])) ** 2
            + (y / np.float32(radii[1])) ** 2
            + (z / np.float32(radii[2])) ** 2
        )
        return (1 - q) * np.float32(min(radii)) + np.float32(rough) * self.rough


def _skin_depth(x: Field, y: Field, z: Field) -> Field:
    """Depth below the skin in mm; the waist is narrower than chest and hips."""
    waist = 1 - np.float32(0.07) * np.exp(-(((z + 30) / 60) ** 2))
    x, y = np.abs(x / (158 * waist)), np.abs((y - 5) / (106 * waist))
    squarer_than_an_ellipse = x * x * np.sqrt(x) + y * y * np.sqrt(y)
    return (1 - squarer_than_an_ellipse ** np.float32(0.4)) * np.float32(118)

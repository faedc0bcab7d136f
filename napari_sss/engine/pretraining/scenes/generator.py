"""The generator: a seed and an index in, a scene out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cc3d
import numpy as np
import torch

from .abdomen import paint_abdomen
from .abstract import paint_regions, paint_shapes
from .acquisition import acquire
from .appearance import Palette
from .brain import paint_brain
from .canvas import Canvas
from .config import SceneConfig
from .draws import Draws
from .heart import paint_heart_scene, paint_thorax
from .scene import Scene
from .shapes import rotation
from .skeleton import paint_limbs, paint_pelvis


@dataclass(frozen=True)
class _Kind:
    """How scenes of one kind are framed.

    Parameters
    ----------
    paint : callable
        Paints the anatomy onto the canvas.
    view : (float, float)
        Range of the field of view's width in mm.
    step : (float, float)
        Range of the slices' distance in mm.
    roam : (float, float, float)
        How far the view's centre may lie from the anatomy's, mm along z, y, x.
    cine : float
        Probability of cine contrast where the scene is MR.
    ct : float
        Factor on the share of CT.
    across : float
        Probability of coronal or sagittal instead of axial slices.
    """

    paint: Callable[[Canvas, Draws], None]
    view: tuple[float, float]
    step: tuple[float, float]
    roam: tuple[float, float, float]
    cine: float = 0.1
    ct: float = 1.0
    across: float = 0.12


_KINDS: dict[str, _Kind] = {
    "abdomen": _Kind(paint_abdomen, (130, 420), (1.5, 8), (40, 30, 60), 0.1, 1.4),
    "thorax": _Kind(paint_thorax, (150, 420), (1.5, 8), (40, 25, 50), 0.2, 1.2),
    "pelvis": _Kind(paint_pelvis, (140, 420), (1.5, 7), (40, 30, 50), 0.1, 1.4),
    "limbs": _Kind(paint_limbs, (120, 380), (1.5, 8), (20, 15, 60), 0.05),
    "heart": _Kind(paint_heart_scene, (120, 400), (2.5, 10), (12, 25, 30), 0.6, 0.5),
    "brain": _Kind(paint_brain, (100, 260), (1, 6), (35, 25, 25), 0.05, 0.6, 0.5),
    "regions": _Kind(paint_regions, (150, 350), (1, 8), (0, 0, 0), across=0.0),
    "shapes": _Kind(paint_shapes, (150, 350), (1, 8), (0, 0, 0), across=0.0),
}


class SceneGenerator:
    """Scenes determined by a seed and an index, in any order.

    Parameters
    ----------
    seed : int
        0 or more.
    config : SceneConfig
        Size and mixture.
    device : torch.device or str
        Where the tensors are made. Random numbers come from the CPU: scenes agree between
        devices but for rounding.

    Attributes
    ----------
    VERSION : str
        Changes whenever the same seed and index give another scene.
    """

    VERSION = "1.4"

    def __init__(
        self,
        seed: int,
        config: SceneConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.seed = seed
        self.config = config if config is not None else SceneConfig()
        self.device = torch.device(device)

    @torch.no_grad()
    def scene(self, index: int) -> Scene:
        """The scene of this index (0 or more); the same at every call."""
        draws = Draws(self.seed, index)
        weights = self.config.weights.model_dump()
        kind = _KINDS[draws.choice(list(weights), list(weights.values()))]
        ct = draws.chance(min(1.0, kind.ct * self.config.ct_fraction))
        palette = Palette(draws, "CT" if ct else "MR", self.config.camouflage, kind.cine)
        canvas = self._canvas(draws, kind, palette)
        kind.paint(canvas, draws)
        image, labels = acquire(draws, canvas.image, canvas.labels, canvas.spacing, palette)
        labels, table = _tidy(labels, canvas.split, self.config.min_voxels)
        return Scene(
            image.contiguous(),
            labels,
            _renamed(canvas.groups, table),
            canvas.spacing,
            palette.modality,
            _renamed(canvas.wholes, table),
        )

    def _canvas(self, draws: Draws, kind: _Kind, palette: Palette) -> Canvas:
        config = self.config
        pixel = draws.log_uniform(*kind.view) / config.size
        spacing = (draws.log_uniform(*kind.step), pixel, pixel)
        centre = tuple(draws.uniform(-1, 1) * reach for reach in kind.roam)
        tilt = draws.choice((0.03, 0.2, 0.7), (6, 2, 1))
        yaw = draws.normal(0, 0.1) if draws.chance(0.7) else draws.uniform(-math.pi, math.pi)
        pitch, roll = draws.normal(0, tilt), draws.normal(0, tilt)
        if draws.chance(kind.across):
            quarter = draws.sign() * math.pi / 2
            pitch, roll = draws.choice(((pitch + quarter, roll), (pitch, roll + quarter)))
        turn = rotation(yaw, pitch, roll)
        return Canvas(
            draws,
            (config.slices, config.size, config.size),
            spacing,
            palette,
            (centre[0], centre[1], centre[2]),
            turn,
            draws.uniform(1.5, 8.0) * pixel * config.size / 300,
            self.device,
        )


def _tidy(
    labels: torch.Tensor,
    split: set[int],
    min_voxels: int,
) -> tuple[torch.Tensor, np.ndarray]:
    """Split what is to be split, drop what is tiny, count labels from 1 without gaps.

    Also gives the table from old to new labels, 0 where one was dropped.
    """
    volume = labels.cpu().numpy()
    if split:
        volume = _split_pieces(volume, split)
    sizes = np.bincount(volume.ravel())
    kept = np.flatnonzero(sizes >= min_voxels)
    kept = kept[kept > 0]
    table = np.zeros(len(sizes), dtype=np.int16)
    table[kept] = np.arange(1, len(kept) + 1)
    tidy = torch.from_numpy(table[volume]).to(labels.device)
    return tidy, table


def _renamed(groups: list[tuple[int, ...]], table: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Groups in new labels, without dropped members, doubles and what is left alone."""
    renamed = []
    for group in groups:
        members = tuple(int(table[g]) for g in group if g < len(table) and table[g])
        if len(members) > 1 and members not in renamed:
            renamed.append(members)
    return tuple(renamed)


def _split_pieces(volume: np.ndarray, split: set[int]) -> np.ndarray:
    """Connected pieces of the labels in ``split`` become labels of their own."""
    chosen = np.zeros(int(volume.max()) + 1, dtype=bool)
    chosen[[s for s in split if s < len(chosen)]] = True
    pieces, _ = cc3d.connected_components(
        np.where(chosen[volume], volume, 0), connectivity=18, return_N=True
    )
    first = int(volume.max())
    return np.where(pieces > 0, pieces.astype(np.int32) + first, volume.astype(np.int32))

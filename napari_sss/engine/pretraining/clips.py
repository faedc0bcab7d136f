"""Training samples cut from generated scenes: an object, a crop around it, its neighbours.

Every batch is a pure function of the seed and the batch's number, so that a resumed training
sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sss.engine.pretraining.scenes import Scene, SceneGenerator
from napari_sss.engine.pretraining.visibility import border_visibility
from napari_sss.engine.volumes.intensity import IntensityWindow

# Centre and width in HU, and how often each is used. Abdomen leads, as it does in practice.
CT_WINDOWS = (
    (40.0, 400.0, 0.5),
    (50.0, 350.0, 0.12),
    (300.0, 1500.0, 0.1),
    (-600.0, 1500.0, 0.06),
    (40.0, 120.0, 0.06),
    (300.0, 700.0, 0.06),
    (0.0, 1000.0, 0.1),
)

# Relative to an object that is annotated as it is: parts of a whole, sets of objects. They
# are ambiguous with it, and a box would not tell which is meant.
PART_SHARE, GROUP_SHARE = 0.3, 0.1


@dataclass(frozen=True)
class ClipConfig:
    """How crops are drawn.

    Parameters
    ----------
    framed_share : float
        Share of crops as they are in use: the object in the middle of a crop whose side is
        ``framed`` times its own. The encoder then learns which object is meant before any
        prompt is decoded.
    framed : (float, float)
        Range of that factor, around the one in use (``inference.crops.CONTEXT``).
    context : (float, float)
        Range of the other crops' side as a multiple of the object's longer side.
    wide_share : float
        Share of these taken from further out, up to the whole slice.
    smallest_area : int
        Voxels an object needs on the slice where it is prompted.
    rotation : float
        Largest rotation, degrees.
    visible : float
        Objects whose border is less visible (see :func:`border_visibility`) are mostly left
        out.
    faint_share : float
        Share of these that is kept.
    scenes_in_pool, batches_per_scene : int
        A batch mixes this many scenes; one is replaced after so many batches.
    """

    framed_share: float = 0.75
    framed: tuple[float, float] = (1.5, 1.7)
    context: tuple[float, float] = (1.2, 2.2)
    wide_share: float = 0.2
    smallest_area: int = 40
    rotation: float = 40.0
    visible: float = 0.85
    faint_share: float = 0.15
    scenes_in_pool: int = 12
    batches_per_scene: int = 6


@dataclass(frozen=True)
class Batch:
    """Samples for one training step.

    Parameters
    ----------
    grey : (B, T, S, S) float32 tensor
        Windowed images, 0 to 1.
    target : (B, T, S, S) float32 tensor
        Share of each pixel that belongs to the object, 0 to 1.
    """

    grey: Tensor
    target: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch(self.grey.to(device), self.target.to(device))


class ClipSampler:
    """Draws batches from a sliding pool of scenes.

    Parameters
    ----------
    generator : SceneGenerator
        Makes the scenes.
    seed : int
        Decides every draw together with the batch's number.
    config : ClipConfig
        How crops are drawn.
    worker, workers : int
        Of several samplers that take turns, which one this is and how many there are.
    """

    def __init__(
        self,
        generator: SceneGenerator,
        seed: int,
        config: ClipConfig | None = None,
        *,
        worker: int = 0,
        workers: int = 1,
    ) -> None:
        self._worker, self._workers = worker, workers
        self._generator = generator
        self._seed = seed
        self._config = config or ClipConfig()
        self._pool: OrderedDict[int, _Pooled] = OrderedDict()

    def batch(self, number: int, size: int, slices: int, image_size: int) -> Batch:
        """Batch ``number``: ``size`` clips of ``slices`` slices of side ``image_size``."""
        rng = np.random.default_rng((self._seed, number))
        turn = number // self._workers
        first = turn // self._config.batches_per_scene
        members = [
            self._scene((first + k) * self._workers + self._worker)
            for k in range(self._config.scenes_in_pool)
        ]
        clips: list[tuple[Tensor, Tensor]] = []
        while len(clips) < size:
            scene = members[int(rng.integers(len(members)))]
            clip = _draw_clip(scene, rng, self._config, slices, image_size)
            if clip is not None:
                clips.append(clip)
        return Batch(torch.stack([g for g, _ in clips]), torch.stack([t for _, t in clips]))

    def _scene(self, index: int) -> _Pooled:
        if index not in self._pool:
            self._pool[index] = _Pooled.of(self._generator.scene(index))
            while len(self._pool) > self._config.scenes_in_pool + 1:
                self._pool.popitem(last=False)
        return self._pool[index]


@dataclass(frozen=True)
class _Pooled:
    """A scene with what is looked up again and again."""

    scene: Scene
    areas: Tensor  # (L + 1, Z) voxels of each label on each slice
    targets: tuple[tuple[int, ...], ...]
    shares: np.ndarray  # how often each target is drawn; sums to 1
    sample: Tensor  # some of its intensities, for percentiles

    @classmethod
    def of(cls, scene: Scene) -> _Pooled:
        labels = scene.labels.long()
        count = int(labels.max()) + 1
        depth = labels.shape[0]
        keys = labels + count * torch.arange(depth)[:, None, None]
        areas = torch.bincount(keys.reshape(-1), minlength=count * depth)
        areas = areas.reshape(depth, count).T
        present = [k for k in range(1, count) if int(areas[k].sum())]
        parts = {k for whole in scene.wholes for k in whole}
        weighted: list[tuple[tuple[int, ...], float]]
        weighted = [((k,), PART_SHARE if k in parts else 1.0) for k in present]
        weighted += [(whole, 1.0) for whole in scene.wholes]
        weighted += [(group, GROUP_SHARE) for group in scene.groups]
        shares = np.array([share for _, share in weighted])
        return cls(
            scene,
            areas,
            tuple(target for target, _ in weighted),
            shares / shares.sum(),
            scene.image.reshape(-1)[:: max(1, scene.image.numel() // 20000)].sort().values,
        )


def _draw_clip(
    pooled: _Pooled, rng: np.random.Generator, config: ClipConfig, slices: int, side: int
) -> tuple[Tensor, Tensor] | None:
    """One clip, or None where the drawn object is too small or hardly visible."""
    if not pooled.targets:
        return None
    members = pooled.targets[int(rng.choice(len(pooled.targets), p=pooled.shares))]
    areas = pooled.areas[list(members)].sum(dim=0)
    start = _prompted_slice(areas, rng, config, slices)
    if start is None:
        return None
    indices = _slice_walk(start, len(areas), rng, slices)
    labels = pooled.scene.labels[indices]
    mask = torch.zeros_like(labels, dtype=torch.bool)
    for member in members:
        mask |= labels == member
    grid, zoom = _crop_grid(mask[0], rng, config, side)
    image = pooled.scene.image[indices]
    hu = _sampled(image, grid, zoom, side, fill=float(pooled.sample[0]))
    target = _sampled(mask.float(), grid, zoom, side, fill=0.0)
    target = ((target - 0.5) * max(1.0, 2.0 / max(zoom, 0.25)) + 0.5).clamp(0, 1)
    # What is thinner than a pixel fills none by half, and could not be prompted.
    if int((target[0] > 0.5).sum()) < max(12, 0.001 * side * side):
        return None
    grey = _windowed(hu, pooled, rng)
    if float(grey[0].std()) <= 0.02:
        return None
    faint = border_visibility(grey[0], target[0]) < config.visible
    return None if faint and rng.random() >= config.faint_share else (grey, target)


def _prompted_slice(
    areas: Tensor, rng: np.random.Generator, config: ClipConfig, slices: int
) -> int | None:
    """A slice on which the object can be prompted; for clips often close to its end."""
    enough = max(config.smallest_area, 0.15 * float(areas.max()))
    choices = torch.nonzero(areas >= enough).flatten().numpy()
    if choices.size == 0:
        return None
    if slices > 1 and rng.random() < 0.4:
        near = min(2, choices.size - 1)
        return int(choices[near] if rng.random() < 0.5 else choices[-1 - near])
    return int(rng.choice(choices))


def _slice_walk(start: int, depth: int, rng: np.random.Generator, slices: int) -> list[int]:
    """``slices`` indices from ``start`` in one direction, one or two apart, kept inside."""
    step = int(rng.choice([1, 2], p=[0.75, 0.25])) * int(rng.choice([-1, 1]))
    walk = [start + k * step for k in range(slices)]
    if walk[-1] < 0 or walk[-1] >= depth:
        walk = [start - k * step for k in range(slices)]
    return [min(max(k, 0), depth - 1) for k in walk]


def _crop_grid(
    mask: Tensor, rng: np.random.Generator, config: ClipConfig, side: int
) -> tuple[Tensor, float]:
    """Sampling positions (S, S, 2; x, y in voxels) of a turned, scaled crop, and its zoom.

    The zoom is the number of source voxels per pixel of the crop.
    """
    turn = _Turn.drawn(rng, config.rotation)
    across, down = turn.seen(torch.nonzero(mask).float())
    left, right = float(across.min()) - 0.5, float(across.max()) + 0.5
    top, bottom = float(down.min()) - 0.5, float(down.max()) + 0.5
    longer, whole = max(right - left, bottom - top), float(max(mask.shape))
    framed = rng.random() < config.framed_share
    extent = longer * rng.uniform(*(config.framed if framed else config.context))
    if not framed and rng.random() < config.wide_share and whole > extent:
        extent = math.exp(rng.uniform(math.log(extent), math.log(whole)))
    extent = max(extent, 14.0)
    slack = 0.03 * extent if framed else 0.35 * max(0.0, extent - longer)
    middle_across = (left + right) / 2 + rng.uniform(-1, 1) * slack
    middle_down = (top + bottom) / 2 + rng.uniform(-1, 1) * slack
    flip_x, flip_y = rng.choice([-1.0, 1.0]), rng.choice([-1.0, 1.0])
    steps = ((torch.arange(side, dtype=torch.float32) + 0.5) / side - 0.5) * extent
    v, u = torch.meshgrid(
        steps * flip_y + middle_down, steps * flip_x + middle_across, indexing="ij"
    )
    return turn.positions(u, v), extent / side


@dataclass(frozen=True)
class _Turn:
    """A rotation of the slice around its origin, then a stretch that keeps areas."""

    angle: float
    stretch: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, rotation: float) -> _Turn:
        angle = math.radians(rng.uniform(-rotation, rotation))
        return cls(angle, math.exp(rng.uniform(-0.15, 0.15)))

    def seen(self, voxels: Tensor) -> tuple[Tensor, Tensor]:
        """Where voxels (N, 2; row, column) lie across and down the turned slice."""
        y, x = voxels.T
        c, s = math.cos(self.angle), math.sin(self.angle)
        return (x * c + y * s) / self.stretch, (y * c - x * s) * self.stretch

    def positions(self, u: Tensor, v: Tensor) -> Tensor:
        """The way back: x and y in voxels, stacked along the last axis."""
        u, v = u * self.stretch, v / self.stretch
        c, s = math.cos(self.angle), math.sin(self.angle)
        return torch.stack([u * c - v * s, u * s + v * c], dim=-1)


def _sampled(slices: Tensor, grid: Tensor, zoom: float, side: int, fill: float) -> Tensor:
    """(T, S, S) values of the slices (T, H, W) at the crop's positions.

    A crop coarser than the slice is first smoothed, or it would alias as no resampled scan
    does.
    """
    values = (slices - fill)[:, None]
    if zoom > 1.3:
        values = _smoothed(values, 0.4 * zoom)
    height, width = slices.shape[-2:]
    scale = torch.tensor([2.0 / width, 2.0 / height])
    positions = ((grid + 0.5) * scale - 1.0)[None].expand(len(slices), -1, -1, -1)
    sampled = F.grid_sample(
        values, positions, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return sampled[:, 0] + fill


def _smoothed(values: Tensor, sigma: float) -> Tensor:
    radius = max(1, math.ceil(2.0 * sigma))
    taps = torch.arange(-radius, radius + 1).float()
    kernel = torch.exp(-(taps**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    values = F.conv2d(values, kernel[None, None, :, None], padding=(radius, 0))
    return F.conv2d(values, kernel[None, None, None, :], padding=(0, radius))


def _windowed(intensities: Tensor, pooled: _Pooled, rng: np.random.Generator) -> Tensor:
    """Grey values through the same window code as in use, with a jittered window."""
    if pooled.scene.modality == "CT" and rng.random() < 0.85:
        weights = np.array([w for _, _, w in CT_WINDOWS])
        centre, width, _ = CT_WINDOWS[
            int(rng.choice(len(CT_WINDOWS), p=weights / weights.sum()))
        ]
        centre += rng.uniform(-0.1, 0.1) * width
        width *= math.exp(rng.uniform(-0.25, 0.25))
        window = IntensityWindow.from_centre(centre, width)
    else:
        low = float(pooled.sample[int(rng.uniform(0, 0.02) * (len(pooled.sample) - 1))])
        high = float(pooled.sample[int(rng.uniform(0.97, 0.999) * (len(pooled.sample) - 1))])
        window = IntensityWindow(low, max(high, low + 1e-3))
    grey = torch.from_numpy(window.apply(intensities.numpy()))
    return grey.clamp(0, 1) ** math.exp(rng.uniform(-0.3, 0.3))

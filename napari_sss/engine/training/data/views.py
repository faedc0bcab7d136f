"""Weak and strong views of slices, made on images or on cached features."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.training.data.feature_cache import FeatureCache
from napari_sss.engine.training.data.intensities import strong_intensities
from napari_sss.engine.training.data.mixing import Targets, View
from napari_sss.engine.training.data.sampling import SliceBatch
from napari_sss.engine.training.data.warps import Warp, WarpRange
from napari_sss.engine.training.data.whereabouts import Whereabouts

FEATURE_NOISE = 0.3  # as in UniMatch and CCT: each value is scaled by up to this share
FEATURE_DROPOUT = 0.5  # share of the channels that a strong view on features loses
DROPOUT_SHARE = 0.5  # of the slices


class Views(Protocol):
    """Where a strategy gets its views from."""

    def weak(self, batch: SliceBatch) -> tuple[View, Targets]:
        """A weak view: geometry alone, the same for the slice and its targets."""
        ...

    def strong(self, view: View) -> View:
        """A strong view on top of a weak one; the geometry stays."""
        ...

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        ...


class _Random:
    """A generator of one's own whose state can be kept."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def state(self) -> dict[str, Any]:
        """The generator's state, ready for JSON."""
        return {"random": bytes(self.generator.get_state().tolist()).hex()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        kept = list(bytes.fromhex(state["random"]))
        self.generator.set_state(torch.tensor(kept, dtype=torch.uint8))


class ImageViews(_Random):
    """Views of images: warps, then intensities.

    Parameters
    ----------
    limits : WarpRange
        How far the weak view goes.
    device : torch.device
        Where views are made.
    seed : int
        Decides them.
    side : int, optional
        S of the views; by default that of the slices as they are stored.
    whereabouts : Whereabouts, optional
        Where the volumes' classes lie.
    """

    def __init__(
        self,
        limits: WarpRange,
        device: torch.device,
        seed: int,
        *,
        side: int | None = None,
        whereabouts: Whereabouts | None = None,
    ) -> None:
        super().__init__(seed)
        self.limits = limits
        self.device = device
        self.side = side
        self.whereabouts = whereabouts or Whereabouts(limits.focus)

    def weak(self, batch: SliceBatch) -> tuple[View, Targets]:
        """Warp slices and targets."""
        regions = [self.whereabouts.of(number) for number, _ in batch.slices]
        warp = Warp.draw(len(batch), self.limits, self.generator, regions)
        view = View(grey=warp.images(batch.grey.to(self.device), self.side))
        return view, _warped_targets(batch, warp, self.device, self.side)

    def strong(self, view: View) -> View:
        """Perturb the intensities."""
        if view.grey is None:
            raise ValueError("views on images need images")
        return View(grey=strong_intensities(view.grey, self.generator))


class FeatureViews(_Random):
    """Views on cached features: an encoded warp, then noise and lost channels.

    Parameters
    ----------
    cache : FeatureCache
        Encodes and keeps.
    variants : int
        Encoded views of each slice.
    device : torch.device
        Where the networks are.
    seed : int
        Decides the views.
    """

    def __init__(
        self, cache: FeatureCache, variants: int, device: torch.device, seed: int
    ) -> None:
        super().__init__(seed)
        self.cache = cache
        self.variants = variants
        self.device = device

    def weak(self, batch: SliceBatch) -> tuple[View, Targets]:
        """One of the encoded warps of each slice, and its targets."""
        drawn = torch.randint(self.variants, (len(batch),), generator=self.generator).tolist()
        slices = list(batch.slices)
        features = self.cache.batch(slices, batch.grey, drawn)
        a, b, c = (level.to(self.device) for level in features.levels)
        warps = [
            self.cache.warps(where)[variant : variant + 1]
            for where, variant in zip(slices, drawn, strict=True)
        ]
        targets = _warped_targets(batch, Warp.stack(warps), self.device, self.cache.side)
        return View(features=Features((a, b, c))), targets

    def strong(self, view: View) -> View:
        """Noise on every value, and on half of the slices the loss of half of the channels."""
        if view.features is None:
            raise ValueError("views on features need features")
        levels = []
        lossy = torch.rand(len(view), 1, generator=self.generator) < DROPOUT_SHARE
        for level in view.features.levels:
            noise = 2 * torch.rand(level.shape, generator=self.generator) - 1
            drawn = torch.rand(level.shape[:2], generator=self.generator)
            kept = (drawn >= FEATURE_DROPOUT).float() / (1 - FEATURE_DROPOUT)
            kept = torch.where(lossy, kept, 1.0)[..., None, None]
            factor = (1 + FEATURE_NOISE * noise) * kept
            levels.append(level * factor.to(level))
        return View(features=Features(tuple(levels)))  # type: ignore[arg-type]


def _warped_targets(
    batch: SliceBatch, warp: Warp, device: torch.device, side: int | None
) -> Targets:
    """The batch's targets under its warp; beyond a slice's border is background."""
    labels = warp.maps(batch.labels.to(device), 0, side)
    objects = warp.maps(batch.objects.to(device), 0, side)
    return Targets.of_labels(labels, objects)

"""Looking over whole volumes while training: where their classes lie, and coarse masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray

from napari_sss.engine.inference.looking import Look, look, region_of
from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.models.sss.focus import WHOLE, Window
from napari_sss.engine.models.sss.segmenter import Segmenter, semantic_probabilities
from napari_sss.engine.training.data.feature_cache import FeatureCache
from napari_sss.engine.training.data.preparing import as_tensor
from napari_sss.engine.training.data.store import CaseStore
from napari_sss.engine.training.data.warps import Warp
from napari_sss.engine.training.data.whereabouts import Whereabouts
from napari_sss.engine.training.runtime import Runtime

_AT_ONCE = 16


class Scout:
    """Looks at a volume of the pool as prediction would, and notes where its classes lie.

    Parameters
    ----------
    store : CaseStore
        The volumes.
    whereabouts : Whereabouts
        Where what is found is kept.
    side : int
        S of what the network sees.
    runtime : Runtime
        The device.
    cache : FeatureCache, optional
        Where there is one its first looks are used, and no closer ones.
    """

    def __init__(
        self,
        store: CaseStore,
        whereabouts: Whereabouts,
        side: int,
        runtime: Runtime,
        cache: FeatureCache | None = None,
    ) -> None:
        self.store = store
        self.whereabouts = whereabouts
        self.side = side
        self.runtime = runtime
        self.cache = cache

    def __call__(self, number: int, network: Segmenter, step: int) -> Look:
        """Look at a case with a network, at a step."""
        if self.cache is not None:
            seen = self._cached(number, network, self.cache)
        else:
            seen = look(network, self._seeing(number), self.whereabouts.focus)
        self.whereabouts.found(number, region_of(seen), step)
        return seen

    def _seeing(self, number: int) -> Callable[[Window], NDArray[Any]]:
        grey = self.store[number].grey

        def see(window: Window) -> NDArray[Any]:
            if window == WHOLE and grey.shape[-1] == self.side:
                return grey
            warp = Warp.through(window, len(grey))
            return warp.images(as_tensor(grey), self.side).numpy()

        return see

    @torch.no_grad()
    def _cached(self, number: int, network: Segmenter, cache: FeatureCache) -> Look:
        was_training = network.training
        network.eval()
        grey = as_tensor(self.store[number].grey)
        parts = []
        for start in range(0, len(grey), _AT_ONCE):
            images = grey[start : start + _AT_ONCE]
            slices = [(number, start + index) for index in range(len(images))]
            levels = cache.batch(slices, images, [0] * len(slices)).levels
            a, b, c = (level.to(self.runtime.device) for level in levels)
            with self.runtime.autocast():
                logits = network.classify(network.enhance(Features((a, b, c))))
            parts.append(semantic_probabilities(logits).cpu())
        network.train(was_training)
        return Look(cache.first, grey.numpy(), torch.cat(parts))

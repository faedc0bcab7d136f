"""Random numbers of one scene, independent of every other scene and of the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")


class Draws:
    """A stream of random numbers determined by its key.

    Everything is drawn on the CPU, so that a scene has the same content on every device.

    Parameters
    ----------
    *key : int
        Non-negative integers, for instance the seed and the scene's index.
    """

    def __init__(self, *key: int) -> None:
        self._rng = np.random.default_rng(key)

    def uniform(self, low: float, high: float) -> float:
        """A number between ``low`` and ``high``, all equally likely."""
        return float(self._rng.uniform(low, high))

    def log_uniform(self, low: float, high: float) -> float:
        """A positive number whose logarithm is uniform between those of the ends."""
        return float(np.exp(self._rng.uniform(np.log(low), np.log(high))))

    def normal(self, mean: float = 0.0, deviation: float = 1.0) -> float:
        """A Gaussian number."""
        return float(self._rng.normal(mean, deviation))

    def integer(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included."""
        return int(self._rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """Whether an event of this probability happens."""
        return bool(self._rng.random() < probability)

    def sign(self) -> float:
        """1.0 or -1.0."""
        return 1.0 if self.chance(0.5) else -1.0

    def choice(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of the options; equally likely without weights."""
        shares = None
        if weights is not None:
            shares = np.asarray(weights, dtype=np.float64) / float(np.sum(weights))
        return options[int(self._rng.choice(len(options), p=shares))]

    def uniforms(self, low: float, high: float, count: int) -> list[float]:
        """Several numbers as of :meth:`uniform`."""
        return [float(v) for v in self._rng.uniform(low, high, count)]

    def gaussian(self, shape: Sequence[int]) -> torch.Tensor:
        """A float32 tensor of independent standard Gaussian numbers, on the CPU."""
        return torch.from_numpy(self._rng.standard_normal(tuple(shape), dtype=np.float32))

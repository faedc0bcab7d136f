"""How rates and weights change over a training, as functions of its progress."""

from __future__ import annotations

import math


def polynomial_rate(progress: float, *, warmup: float = 0.0, power: float = 0.9) -> float:
    """Factor of the learning rate: a linear warm-up, then ``(1 - p) ** power``.

    Parameters
    ----------
    progress : float
        Share of the training that is done, 0 to 1.
    warmup : float
        Share in which it rises from a hundredth; p counts from its end.
    power : float
        0.9 in UniMatch V2.
    """
    if progress < warmup:
        return max(0.01, progress / warmup)
    remaining = (1.0 - progress) / (1.0 - warmup)
    return max(0.0, remaining) ** power


def linear_ramp(progress: float, length: float) -> float:
    """From 0 to 1 over the first ``length`` of the training; 1 at once where it is 0."""
    return 1.0 if length <= 0 else min(1.0, progress / length)


def sigmoid_ramp(progress: float, length: float) -> float:
    """Mean Teacher's and CPS's ramp, ``exp(-5 (1 - t)^2)`` with t = progress / length."""
    if length <= 0:
        return 1.0
    t = min(1.0, progress / length)
    return math.exp(-5.0 * (1.0 - t) ** 2)


def ema_decay(step: int, most: float) -> float:
    """Decay of a teacher after ``step`` updates (from 0): ``min(1 - 1/(step + 1), most)``."""
    return min(1.0 - 1.0 / (step + 1), most)

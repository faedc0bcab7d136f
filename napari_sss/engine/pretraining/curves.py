"""The curves of a training, drawn from its log."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sss.engine.pretraining.log import TRAINING, VALIDATION, read_entries

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES_NAME = "curves.png"
SCORES = ("box", "click", "corrected", "tracked")
SMOOTHED = 20  # entries averaged for the training's curves


def draw_curves(folder: Path) -> Path:
    """Draw the log in a training's folder as ``curves.png`` beside it.

    Returns
    -------
    Path
        The picture; an older one is replaced when the new one is whole.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    training = read_entries(folder, TRAINING)
    _draw_loss(left, training)
    _draw_scores(right, training, read_entries(folder, VALIDATION))
    picture, partial = folder / CURVES_NAME, folder / f"{CURVES_NAME}.part"
    figure.savefig(partial, format="png", dpi=100)
    os.replace(partial, picture)
    return picture


def smoothed(values: Sequence[float], length: int = SMOOTHED) -> list[float]:
    """The mean of each value and at most ``length - 1`` before it."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - length, 0)
    return ((sums[ends] - sums[begins]) / (ends - begins)).tolist()


def _draw_loss(axes: Axes, training: list[dict[str, Any]]) -> None:
    for label, chosen in (
        ("single slices", [e for e in training if e["slices"] == 1]),
        ("clips", [e for e in training if e["slices"] > 1]),
    ):
        if chosen:
            steps = [e["step"] for e in chosen]
            axes.plot(steps, smoothed([e["loss"] for e in chosen]), label=label)
    _finish(axes, f"Loss, mean of {SMOOTHED} entries")


def _draw_scores(
    axes: Axes, training: list[dict[str, Any]], validation: list[dict[str, Any]]
) -> None:
    if training:
        steps = [e["step"] for e in training]
        axes.plot(steps, smoothed([e["iou"] for e in training]), color="0.7", label="training")
    for name in SCORES:
        if validation:
            steps = [e["step"] for e in validation]
            axes.plot(steps, [e[name] for e in validation], marker=".", label=name)
    axes.set_ylim(0, 1)
    _finish(axes, "Mean IoU, held-out scenes")


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()

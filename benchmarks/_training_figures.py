"""Figures of a training benchmark: how the rows learned, and what they make of a slice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from _training import Job

mpl.use("Agg")
from matplotlib import pyplot as plt

COLOURS = ("#e41a1c", "#4daf4a", "#377eb8", "#ff7f00", "#984ea3")
SMOOTHED = 20  # logged steps of the loss that are averaged


def draw_curves(jobs: Sequence[Job], path: Path) -> Path:
    """Dice and the labelled loss over the steps; lines are means over the seeds of a row.

    Dice is that of validation, where there was one, or else of the few labelled volumes that
    a training watches.
    """
    from napari_sss.engine.training.events import read_events

    watched = "validation" if jobs[0].cases.validation else "training"
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for row in dict.fromkeys((job.row, job.budget) for job in jobs):
        runs = [read_events(job.folder) for job in jobs if (job.row, job.budget) == row]
        name = f"{row[0]}, {row[1]}"
        for axes, kind, figure_name in (
            (left, "validation", "dice"),
            (right, "step", "labelled"),
        ):
            steps, values = _mean_curve(runs, kind, figure_name, watched)
            if len(steps):
                axes.plot(steps, values, label=name)
    title = "Validation" if watched == "validation" else "Labelled volumes, trained on"
    left.set(xlabel="step", ylabel="Dice", title=title)
    right.set(xlabel="step", ylabel="loss", title="Labelled loss", yscale="log")
    right.legend(fontsize=7)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def draw_example(jobs: Sequence[Job], path: Path) -> Path:
    """The first test case's fullest slice: its truth, and what each row's first seed makes."""
    from napari_sss.engine.inference.prediction import predict_volume
    from napari_sss.engine.models.sss.trained import load_trained
    from napari_sss.engine.training.data.preparing import read_case_labels, read_case_volume

    case = jobs[0].test[0]
    volume = read_case_volume(case)
    shown: dict[str, np.ndarray] = {}
    for job in jobs:
        title = f"{job.row}\n{job.budget}"
        if title in shown:
            continue
        trained = load_trained(job.folder, device=job.settings.get("device"))
        values = list(trained.facts.classes.values())
        if not shown:
            truth = read_case_labels(case, volume.grid, {v: v for v in values})
            index = int(np.isin(truth, values).sum(axis=(1, 2)).argmax())
            shown["truth"] = truth[index]
        shown[title] = predict_volume(volume, trained).labels()[index]
    grey = volume.array[index]
    figure, axes = plt.subplots(1, len(shown), figsize=(2.6 * len(shown), 3), squeeze=False)
    for axis, (title, labels) in zip(axes[0], shown.items(), strict=True):
        axis.imshow(grey, cmap="gray")
        for place, value in enumerate(values):
            if (labels == value).any():
                colour = COLOURS[place % len(COLOURS)]
                axis.contour(labels == value, [0.5], colors=[colour], linewidths=0.9)
        axis.set_title(title, fontsize=8)
        axis.axis("off")
    figure.suptitle(f"{case.name}, slice {index}", fontsize=8)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)
    return path


def _mean_curve(
    runs: Sequence[Sequence[dict[str, Any]]], kind: str, name: str, watched: str
) -> tuple[list[int], np.ndarray]:
    """The mean over runs, at the steps that all of them have; losses smoothed."""
    curves = []
    for events in runs:
        told = [e for e in events if e["event"] == kind and name in e]
        if kind == "validation":
            told = [e for e in told if e["on"] == watched]
        curves.append({e["step"]: e[name] for e in told})
    steps = sorted(set.intersection(*(set(c) for c in curves))) if curves else []
    values = np.array([np.mean([c[s] for c in curves]) for s in steps])
    if kind == "step" and len(values) > SMOOTHED:
        values = np.convolve(values, np.ones(SMOOTHED) / SMOOTHED, mode="valid")
        steps = steps[SMOOTHED - 1 :]
    return steps, values

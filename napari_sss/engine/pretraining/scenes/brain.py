"""Heads: nested shells with folds, ventricles and deep nuclei."""

from __future__ import annotations

import math

import torch

from .canvas import COARSE, FINE, MEDIUM, Canvas
from .draws import Draws
from .lesions import paint_lesions
from .shapes import (
    Points,
    Shape,
    ellipsoid,
    grown,
    intersection,
    placed,
    rotation,
    rough,
    star,
    union,
)


def paint_brain(canvas: Canvas, draws: Draws) -> None:
    """Paint scalp, skull, fluid, a folded cortex, white matter, ventricles and nuclei."""
    radii = (draws.uniform(75, 95), draws.uniform(85, 105), draws.uniform(68, 82))
    head = rough(ellipsoid(radii, 2.2), 0.02, COARSE)
    canvas.paint(head, "skin")
    canvas.paint(grown(head, -0.02), "fat")
    thickness = draws.uniform(0.05, 0.1)
    bone = grown(head, -draws.uniform(0.06, 0.12))
    skull = canvas.new_label()
    canvas.paint(bone, "cortical_bone", skull)
    canvas.paint(
        intersection(grown(bone, -0.25 * thickness), lambda p: -bone(p) - 0.75 * thickness),
        "marrow",
        skull,
    )
    inside = grown(bone, -thickness)
    canvas.paint(inside, "csf", 0)
    brain = grown(inside, -draws.uniform(0.02, 0.08))
    brain = intersection(brain, _fissure(draws))
    cortex, white = canvas.new_label(), canvas.new_label()
    sulci = draws.uniform(0.02, 0.07)
    canvas.paint(lambda p: brain(p) + sulci * _ridges(p), "grey_matter", cortex)
    depth, fold = draws.uniform(0.07, 0.13), draws.uniform(0.05, 0.14)
    canvas.paint(lambda p: brain(p) + depth + fold * _ridges(p), "white_matter", white)
    canvas.group(cortex, white)
    _paint_deep(canvas, draws, white)
    if draws.chance(0.5):
        reach = (radii[0] * 0.6, radii[1] * 0.6, radii[2] * 0.6)
        paint_lesions(canvas, draws, brain, (0.0, 0.0, 0.0), reach, white)


def _ridges(points: Points) -> torch.Tensor:
    """Folds: high in narrow bands where the noise changes sign."""
    return 1.0 - 1.6 * (points.noise[MEDIUM] + 0.6 * points.noise[FINE]).abs().clamp(max=1.2)


def _fissure(draws: Draws) -> Shape:
    """All but a thin gap between the hemispheres, above the middle."""
    width = draws.uniform(0.5, 2.0)
    return lambda p: (width - p.x.abs() - 0.08 * (-p.z).clamp(min=0)) / 80


def _paint_deep(canvas: Canvas, draws: Draws, white: int) -> None:
    """Ventricles and nuclei in pairs, a cerebellum."""
    size = draws.uniform(0.6, 1.8)
    pairs: list[tuple[str, list[int]]] = []
    slant = draws.uniform(0.1, 0.5)
    for name, radii, (z, y, x) in (
        ("csf", (12 * size, 30, 6 * size), (8, 0, 11 * size**0.5)),
        ("grey_matter", (12, 18, 7), (-4, -8, 26)),
        ("grey_matter", (11, 14, 9), (-6, 14, 13)),
    ):
        if draws.chance(0.12):
            continue
        tissue = canvas.palette.tissue(name)
        labels = []
        for side in (-1.0, 1.0):
            shape = star(draws, radii, 0.08)
            turn = rotation(-side * slant, draws.normal(0, 0.1))
            label = canvas.new_label()
            canvas.paint(placed(shape, (z, y, side * x), turn), tissue, label)
            labels.append(label)
        pairs.append((name, labels))
    for _, labels in pairs:
        canvas.group(*labels)
    if draws.chance(0.6):
        lobes = union(
            placed(ellipsoid((22, 26, 24)), (-48, 45, -22)),
            placed(ellipsoid((22, 26, 24)), (-48, 45, 22)),
        )
        label = canvas.new_label()
        canvas.paint(rough(lobes, 0.05, FINE), "grey_matter", label)
        waves = intersection(
            grown(lobes, -0.15), lambda p: (p.z * 0.9 + p.noise[2]).sin() * 0.2
        )
        canvas.paint(waves, "white_matter", label)
    if draws.chance(0.5):
        stem = placed(ellipsoid((math.inf, 14, 15)), (0, 20, 0))
        canvas.paint(
            intersection(stem, lambda p: (p.z + 25) / 30), "white_matter", canvas.new_label()
        )

"""Scenes that look like no organ: random regions, and collections of random bodies."""

from __future__ import annotations

import math

import torch

from .appearance import Tissue
from .canvas import COARSE, FINE, MEDIUM, Canvas
from .draws import Draws
from .fields import smooth_field
from .lesions import paint_lesions
from .shapes import (
    Points,
    Shape,
    Vector,
    ellipsoid,
    grown,
    intersection,
    inverted,
    placed,
    rotation,
    rough,
    specks,
    star,
    tube,
)

_SOFT = ("liver", "spleen", "muscle", "gut", "blood", "gland", "fluid", "fat", "pancreas")


def paint_regions(canvas: Canvas, draws: Draws) -> None:
    """Paint a random label field: each voxel goes to the largest of several fields."""
    count = draws.integer(4, 9)
    size = max(canvas.extent) / draws.log_uniform(3, 9)
    highest: torch.Tensor | None = None
    base = canvas.palette.tissue(draws.choice(_SOFT))
    alike = draws.chance(0.4)
    for index in range(count):
        field = smooth_field(draws, canvas.shape, canvas.spacing, size, canvas.device)
        field += 0.15 * canvas.points.noise[MEDIUM] * draws.normal()
        tissue = canvas.palette.tissue(draws.choice(_SOFT))
        if alike:
            tissue = canvas.palette.near(base, draws.uniform(5, 40))
        label = canvas.new_label(split=True) if index else 0
        values = torch.full_like(field, -1.0) if highest is None else highest - field
        canvas.paint_values(values, tissue, label)
        highest = field if highest is None else torch.maximum(highest, field)
    if draws.chance(0.5):
        paint_bodies(canvas, draws, draws.integer(1, 4))


def paint_shapes(canvas: Canvas, draws: Draws) -> None:
    """Paint bodies, rings, tubes, thin walls, pairs and trees over a textured ground."""
    ground = canvas.palette.tissue(draws.choice(_SOFT))
    canvas.paint(lambda p: torch.full_like(p.z, -1.0), ground)
    if draws.chance(0.5):
        level = draws.uniform(-0.5, 0.8)
        patch = canvas.palette.tissue(draws.choice(_SOFT))
        canvas.paint(lambda p: p.noise[COARSE] - level, patch)
    paint_bodies(canvas, draws, draws.integer(8, 18))


def paint_bodies(canvas: Canvas, draws: Draws, count: int) -> None:
    """Paint several random bodies anywhere on the canvas."""
    painters = (_paint_blob, _paint_ring, _paint_tube, _paint_pair, _paint_tree, _paint_sheet)
    for _ in range(count):
        painter = draws.choice(painters, (4, 4, 2, 1.5, 1, 1))
        painter(canvas, draws, _fill(canvas, draws))


def _fill(canvas: Canvas, draws: Draws) -> Tissue:
    """A tissue, often close to what lies in the middle of the image."""
    tissue = canvas.palette.tissue(draws.choice(_SOFT))
    if draws.chance(0.4):
        middle = canvas.image[tuple(n // 2 for n in canvas.shape)]
        shift = draws.sign() * draws.uniform(6, 40) * canvas.palette.unit
        return tissue.shifted(float(middle) - tissue.mean + shift)
    return tissue


def _somewhere(canvas: Canvas, draws: Draws, share: float = 0.4) -> Vector:
    z, y, x = (draws.uniform(-share, share) * e for e in canvas.extent)
    return z * 0.9, y, x


def _body(canvas: Canvas, draws: Draws) -> tuple[Shape, Vector]:
    """A random star-shaped or boxy body around the origin, and its half-axes."""
    size = canvas.extent[1] * draws.log_uniform(0.04, 0.32)
    depth = max(1.5 * canvas.spacing[0], size * draws.uniform(0.6, 2.0))
    radii = (depth, size, size * draws.log_uniform(0.45, 1.0))
    if draws.chance(0.25):
        shape = ellipsoid(radii, draws.uniform(1.6, 5))
    else:
        shape = star(draws, radii, draws.uniform(0.0, 0.4))
    return rough(shape, draws.uniform(0, 0.12), MEDIUM), radii


def _paint_blob(canvas: Canvas, draws: Draws, tissue: Tissue) -> None:
    body, radii = _body(canvas, draws)
    centre = _somewhere(canvas, draws)
    shape = placed(
        body, centre, rotation(draws.uniform(-math.pi, math.pi), draws.normal(0, 0.4))
    )
    if draws.chance(0.2):
        # A capsule: dark or bright line between the body and its surroundings.
        canvas.paint(grown(shape, 2.0 / radii[1]), draws.choice(("fat", "fluid", "muscle")), 0)
    label = canvas.new_label()
    canvas.paint(shape, tissue, label)
    if draws.chance(0.3):
        paint_lesions(canvas, draws, shape, centre, radii, label)


def _paint_ring(canvas: Canvas, draws: Draws, tissue: Tissue) -> None:
    """A hollow body whose wall varies in thickness and may open on one side."""
    body, _ = _body(canvas, draws)
    turn = rotation(draws.uniform(-math.pi, math.pi), draws.normal(0, 0.5))
    centre = _somewhere(canvas, draws)
    outer = placed(body, centre, turn)
    wall, uneven = draws.log_uniform(0.1, 0.5), draws.uniform(0, 0.12)
    inner = rough(grown(outer, -wall), uneven, COARSE)
    ring, lumen = canvas.new_label(), canvas.new_label()
    fill = canvas.palette.tissue(draws.choice(_SOFT))
    if draws.chance(0.3):
        opening = placed(ellipsoid((math.inf, 0.4 * canvas.extent[1], 8)), centre, turn)
        outer = intersection(outer, inverted(opening))
    canvas.paint(outer, tissue, ring)
    canvas.paint(inner, fill, lumen)
    if draws.chance(0.4):
        canvas.paint(intersection(inner, specks(FINE, 0.9)), tissue)
    canvas.group(ring, lumen)
    if draws.chance(0.35):
        outside = canvas.new_label()
        second = inverted(outer)
        shift = tuple(c + canvas.extent[1] * draws.normal(0, 0.05) for c in centre)
        hug = placed(body, (shift[0], shift[1], shift[2]), turn)
        canvas.paint(intersection(grown(hug, 0.25), second), fill, outside)
        canvas.group(ring, lumen, outside)


def _paint_tube(canvas: Canvas, draws: Draws, tissue: Tissue) -> None:
    path = [_somewhere(canvas, draws)]
    direction = draws.gaussian((3,))
    step = canvas.extent[1] * draws.uniform(0.06, 0.16)
    for _ in range(draws.integer(2, 6)):
        direction = direction + 0.6 * draws.gaussian((3,))
        heading = (direction / direction.norm().clamp(min=1e-6) * step).tolist()
        last = path[-1]
        path.append((last[0] + heading[0], last[1] + heading[1], last[2] + heading[2]))
    radius = canvas.extent[1] * draws.log_uniform(0.008, 0.06)
    radii = [radius * draws.uniform(0.7, 1.2) for _ in path]
    shape = tube(path, radii)
    label = canvas.new_label()
    canvas.paint(shape, tissue, label)
    if draws.chance(0.4):
        lumen = canvas.new_label() if draws.chance(0.5) else None
        canvas.paint(grown(shape, -0.4 * radius), draws.choice(_SOFT), lumen)
        canvas.group(label, lumen)


def _paint_pair(canvas: Canvas, draws: Draws, tissue: Tissue) -> None:
    """The same body and its mirror image."""
    body, _ = _body(canvas, draws)
    z, y, x = _somewhere(canvas, draws, 0.3)
    mirrored = lambda p: body(Points(p.z, p.y, -p.x, p.noise))  # noqa: E731
    labels = [canvas.new_label(), canvas.new_label()]
    canvas.paint(placed(body, (z, y, abs(x) + 8)), tissue, labels[0])
    canvas.paint(placed(mirrored, (z, y, -abs(x) - 8)), tissue, labels[1])
    canvas.group(*labels)


def _paint_tree(canvas: Canvas, draws: Draws, tissue: Tissue) -> None:
    """A vessel that divides a few times, one object."""
    label = canvas.new_label()
    start = _somewhere(canvas, draws)
    ends = [(start, draws.uniform(0, 6.28), canvas.extent[1] * draws.uniform(0.012, 0.04))]
    for _ in range(draws.integer(3, 8)):
        place, heading, radius = ends.pop(0)
        step = canvas.extent[1] * draws.uniform(0.08, 0.2)
        end = (
            place[0] + draws.normal(0, 0.2) * step,
            place[1] + step * math.sin(heading),
            place[2] + step * math.cos(heading),
        )
        canvas.paint(tube([place, end], [radius, radius * 0.8]), tissue, label)
        for turn in (-1, 1):
            ends.append((end, heading + turn * draws.uniform(0.2, 0.9), radius * 0.75))


def _paint_sheet(canvas: Canvas, draws: Draws, tissue: Tissue) -> None:
    """A thin curved wall."""
    angle, offset = draws.uniform(0, 6.28), draws.uniform(-0.3, 0.3) * canvas.extent[1]
    thickness = canvas.extent[1] * draws.log_uniform(0.008, 0.05)
    bulge = canvas.extent[1] * draws.uniform(0.02, 0.1)

    def sheet(points: Points) -> torch.Tensor:
        away = math.sin(angle) * points.y + math.cos(angle) * points.x - offset
        return (away + bulge * points.noise[COARSE]).abs() - thickness

    canvas.paint(sheet, tissue, canvas.new_label())

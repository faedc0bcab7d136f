"""Hearts: a ring of muscle around a blood pool, and a crescent that hugs it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .appearance import Tissue
from .canvas import COARSE, COARSE_2, FINE, MEDIUM, Canvas
from .draws import Draws
from .lesions import paint_lesions
from .shapes import (
    Points,
    Shape,
    ellipsoid,
    grown,
    half_space,
    intersection,
    inverted,
    placed,
    rotation,
    rough,
    specks,
    star,
    without,
)
from .torso import (
    INFINITE,
    Trunk,
    below,
    paint_ribs,
    paint_spine,
    paint_vessel_tree,
    paint_wall,
)


def paint_heart_scene(canvas: Canvas, draws: Draws) -> None:
    """Paint a heart in short axis (or turned) with lungs, wall, liver and fat around it."""
    trunk = paint_wall(canvas, draws)
    lungs = grown(trunk.cavity, -0.02)
    canvas.paint(lungs, "lung", canvas.new_label() if draws.chance(0.5) else None)
    if draws.chance(0.7):
        canvas.paint(intersection(lungs, specks(FINE, 1.7, 0.1)), "venous_blood")
    centre = (draws.normal(0, 6), draws.normal(0, 8), draws.normal(0, 8))
    radius = draws.uniform(24, 40)
    paint_surroundings(canvas, draws, trunk, centre, radius)
    if draws.chance(0.5):
        paint_ribs(canvas, draws, trunk)
    if draws.chance(0.5):
        paint_spine(canvas, draws, trunk)
    paint_heart(canvas, draws, centre, radius)


def paint_surroundings(
    canvas: Canvas,
    draws: Draws,
    trunk: Trunk,
    centre: tuple[float, float, float],
    radius: float,
) -> None:
    """Mediastinal fat and muscle around, liver and stomach below, the aorta behind."""
    z, y, x = centre
    size = radius * draws.uniform(1.0, 1.7)
    fat = placed(star(draws, (size * 1.6, size, size * 1.2), 0.1), (z, y, x - 0.4 * radius))
    inside = grown(trunk.cavity, -0.02)
    fill = draws.choice(("mediastinum", "mediastinum", "muscle", "liver"))
    canvas.paint(intersection(rough(fat, 0.04, MEDIUM), inside), fill, 0)
    side = draws.sign()
    if draws.chance(0.75):
        floor = y + radius * draws.uniform(0.9, 1.6)
        dome = half_space(
            (draws.normal(0, 0.25), -1.0, side * draws.uniform(-0.3, 0.5)), -floor
        )
        label = canvas.new_label()
        wide = placed(
            ellipsoid((INFINITE, 70, draws.uniform(60, 130))), (0, floor + 55, x + side * 50)
        )
        shape = intersection(rough(dome, 5, COARSE), lambda p: wide(p) * 60)
        shape = intersection(shape, lambda p: inside(p) * 60)
        canvas.paint(shape, "liver", label)
        root = (z, floor + 40, x + side * 50)
        paint_vessel_tree(canvas, draws, shape, root, 60.0, "venous_blood")
    if draws.chance(0.5):
        place = (
            z,
            y + radius * draws.uniform(1.3, 2.0),
            x - side * radius * draws.uniform(0.8, 2),
        )
        shape = intersection(placed(star(draws, (40, 26, 32), 0.15), place), inside)
        label = canvas.new_label()
        canvas.paint(shape, "gut_wall", label)
        canvas.paint(grown(shape, -0.12), draws.choice(("gas", "gut", "spleen")), label)
    place = (0, y + radius * draws.uniform(1.0, 1.9), x + draws.uniform(0.2, 1.4) * radius)
    aorta = placed(ellipsoid((INFINITE, 11, 11)), place)
    canvas.paint(grown(aorta, 0.15), "mediastinum", 0)
    canvas.paint(aorta, "blood", canvas.new_label())


Placing = Callable[[Shape], Shape]


@dataclass(frozen=True)
class _Ventricle:
    """The left ventricle's outer and inner surface, around the origin, base towards +z."""

    outer: Shape
    inner: Shape
    base: Shape
    radius: float
    length: float


def paint_heart(
    canvas: Canvas, draws: Draws, centre: tuple[float, float, float], radius: float
) -> None:
    """Paint both ventricles; atria and great vessels beyond the base.

    Parameters
    ----------
    centre : (float, float, float)
        Middle of the left ventricle, mm.
    radius : float
        Its outer radius at the widest, mm.
    """
    oblique = draws.chance(0.25)
    tilt = 1.2 if oblique else 0.18
    turn = rotation(
        draws.uniform(-math.pi, math.pi), draws.normal(0, tilt), draws.normal(0, tilt)
    )
    if draws.chance(0.5):
        turn = turn @ torch.diag(torch.tensor([-1.0, 1.0, -1.0]))
    left = _left_ventricle(draws, radius)

    def place(shape: Shape) -> Shape:
        return placed(shape, centre, turn)

    muscle = canvas.palette.tissue("myocardium")
    pool = canvas.palette.tissue("blood")
    other_pool = canvas.palette.tissue("blood", 0.6)
    if draws.chance(0.3):
        other_pool = canvas.palette.tissue("venous_blood")
    if draws.chance(0.6):
        _paint_base(canvas, draws, place, left, pool, other_pool)
    right_label = _paint_right(canvas, draws, place, left, muscle, other_pool)
    ring, lumen = _paint_left(canvas, draws, place, left, muscle, pool)
    canvas.group(ring, lumen)
    canvas.group(ring, lumen, right_label)
    if draws.chance(0.12):
        reach = (left.length * 0.4, radius, radius)
        paint_lesions(canvas, draws, place(left.outer), centre, reach, ring)


def _left_ventricle(draws: Draws, radius: float) -> _Ventricle:
    length = draws.uniform(50, 75)
    wall = radius * draws.log_uniform(0.13, 0.5)
    phase, phase2 = draws.uniform(0, 6.28), draws.uniform(0, 6.28)
    uneven, uneven2 = draws.uniform(0, 0.35), draws.uniform(0, 0.2)
    thin = draws.uniform(0.3, 0.75) if draws.chance(0.35) else 0.0
    thin_at = draws.uniform(0, 6.28)
    squash = draws.uniform(0.88, 1.0)
    apex = draws.uniform(0.5, 1.0)

    def thickness(points: Points) -> torch.Tensor:
        inverse = 1.0 / (points.y.square() + points.x.square()).sqrt().clamp(min=1.0)
        c, s = points.x * inverse, points.y * inverse
        relative = 1.0 + uneven * (c * math.cos(phase) + s * math.sin(phase))
        relative = relative + uneven2 * (
            (c * c - s * s) * math.cos(phase2) + 2 * c * s * math.sin(phase2)
        )
        if thin:
            towards = c * math.cos(thin_at) + s * math.sin(thin_at)
            relative = relative - thin * torch.exp((towards - 1.0) * 6.0)
        return (wall * relative).clamp(min=1.2)

    def outer(points: Points) -> torch.Tensor:
        r2 = (points.y / (radius * squash)).square() + (points.x / radius).square()
        return (r2 + (points.z / length).square()).sqrt() - 1.0

    def inner(points: Points) -> torch.Tensor:
        hollow = 1.0 - thickness(points) / radius
        across = ((points.y / squash).square() + points.x.square()) / (hollow * radius).square()
        along = (points.z / (length - apex * wall)).square()
        return (across + along).sqrt() - 1.0

    top = length * draws.uniform(0.25, 0.6)
    base = rough(
        half_space((1.0, draws.normal(0, 0.15), draws.normal(0, 0.15)), top), 2, COARSE
    )
    return _Ventricle(outer, inner, lambda p: base(p) / length, radius, length)


def _paint_left(
    canvas: Canvas, draws: Draws, place: Placing, left: _Ventricle, muscle: Tissue, pool: Tissue
) -> tuple[int, int]:
    """The ring and what it encloses; returns their labels."""
    ring, lumen = canvas.new_label(), canvas.new_label()
    outer = rough(left.outer, draws.uniform(0.0, 0.04), MEDIUM)
    canvas.paint(place(intersection(outer, left.base)), muscle, ring)
    inner = intersection(rough(left.inner, draws.uniform(0.0, 0.07), MEDIUM, -1.0), left.base)
    canvas.paint(place(inner), pool, lumen)
    radius = left.radius
    for _ in range(draws.integer(0, 4)):
        angle = draws.uniform(0, 6.28)
        away = radius * draws.uniform(0.25, 0.6)
        size = radius * draws.uniform(0.07, 0.2)
        muscle_shape = placed(
            ellipsoid((left.length * draws.uniform(0.2, 0.45), size, size * 1.3)),
            (draws.uniform(-15, 5), away * math.sin(angle), away * math.cos(angle)),
            rotation(angle),
        )
        # Papillary muscles belong to the lumen, as annotators draw it.
        canvas.paint(place(intersection(muscle_shape, inner)), muscle, None)
    if draws.chance(0.5):
        edge = intersection(inner, inverted(grown(inner, -draws.uniform(0.08, 0.25))))
        canvas.paint(place(intersection(edge, specks(FINE, 0.3))), muscle)
    return ring, lumen


def _paint_right(
    canvas: Canvas, draws: Draws, place: Placing, left: _Ventricle, muscle: Tissue, pool: Tissue
) -> int:
    """The crescent, to be painted before the ring it hugs; returns its label."""
    radius = left.radius
    # The free wall runs from one side of the septum to the other: the nearer the middle of
    # the crescent lies to the left ventricle's, the sharper its corners.
    shift = radius * draws.uniform(0.4, 1.1)
    deep = radius * draws.uniform(1.15, 2.0) - shift * draws.uniform(0.3, 0.7)
    across = radius * draws.uniform(0.85, 1.4)
    radii = (left.length * draws.uniform(0.7, 1.0), across, deep)
    if draws.chance(0.4):
        shape = ellipsoid(radii, draws.uniform(1.4, 2.0))
    else:
        shape = star(draws, radii, draws.uniform(0.04, 0.16))
    height = draws.uniform(-0.1, 0.35) * left.length
    outer = placed(shape, (height, radius * draws.normal(0, 0.15), -shift))
    outer = intersection(rough(outer, draws.uniform(0.02, 0.1), COARSE_2), left.base)
    wall = draws.log_uniform(1.0, 5.0) / radius
    label = canvas.new_label()
    canvas.paint(
        place(grown(outer, wall)), muscle, canvas.new_label() if draws.chance(0.2) else 0
    )
    cavity = without(outer, grown(left.outer, 0.0))
    canvas.paint(place(cavity), pool, label)
    if draws.chance(0.7):
        level = draws.uniform(0.8, 1.6)
        web = intersection(cavity, specks(FINE, level, 0.25))
        canvas.paint(place(web), muscle, None)
    return label


def _paint_base(
    canvas: Canvas,
    draws: Draws,
    place: Placing,
    left: _Ventricle,
    pool: Tissue,
    other_pool: Tissue,
) -> None:
    """Atria and the roots of the great vessels above the valves."""
    top = left.length * 0.75
    for shift, fill in ((0.15, pool), (-1.2, other_pool)):
        shape = star(draws, (28, left.radius * 0.8, left.radius * 0.95), 0.15)
        centre = (top + 8, left.radius * draws.normal(0, 0.3), shift * left.radius)
        atrium = placed(shape, centre)
        canvas.paint(place(grown(atrium, 0.08)), "muscle", 0)
        canvas.paint(place(atrium), fill, canvas.new_label())
    root = placed(ellipsoid((INFINITE, 14, 14)), (0, -left.radius * 0.5, -0.4 * left.radius))
    above = intersection(root, inverted(left.base))
    canvas.paint(place(above), pool, canvas.new_label())


def paint_thorax(canvas: Canvas, draws: Draws) -> None:
    """Paint lungs, mediastinum with heart and vessels, ribs and spine."""
    trunk = paint_wall(canvas, draws, power=2.5)
    canvas.paint(grown(trunk.cavity, -0.01), "mediastinum", 0)
    lungs = []
    for side in (-1.0, 1.0):
        radii = (140.0, trunk.half_y * draws.uniform(0.8, 1.0), trunk.half_x * 0.5)
        shape = placed(star(draws, radii, 0.06), (0, 0, side * trunk.half_x * 0.55))
        shape = intersection(shape, grown(trunk.cavity, -draws.uniform(0.0, 0.06)))
        label = canvas.new_label()
        canvas.paint(shape, "lung", label)
        level = draws.uniform(1.2, 2.0)
        speck = intersection(shape, specks(FINE, level, 0.1))
        canvas.paint(speck, "venous_blood")
        if draws.chance(0.4):
            around = (0.0, 0.0, side * trunk.half_x * 0.55)
            paint_lesions(canvas, draws, shape, around, radii, label)
        lungs.append(label)
    canvas.group(*lungs)
    paint_ribs(canvas, draws, trunk)
    paint_spine(canvas, draws, trunk)
    radius = draws.uniform(28, 42)
    side = draws.sign()
    if draws.chance(0.8):
        paint_heart(
            canvas, draws, (draws.uniform(-30, 30), -trunk.half_y * 0.25, side * 30), radius
        )
    for _ in range(draws.integer(1, 4)):
        size = draws.uniform(7, 16)
        place = (0, draws.uniform(-0.5, 0.5) * trunk.half_y, draws.uniform(-25, 25))
        name = draws.choice(("blood", "venous_blood", "gas"))
        canvas.paint(placed(ellipsoid((INFINITE, size, size)), place), name, canvas.new_label())
    if draws.chance(0.4):
        label = canvas.new_label()
        dome = below(draws.uniform(-60, 20), draws.normal(0, 0.2), draws.normal(0, 0.2), 8)
        canvas.paint(
            intersection(lambda p: dome(p) / 60, grown(trunk.cavity, -0.03)), "liver", label
        )

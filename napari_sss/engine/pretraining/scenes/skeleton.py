"""Pelves and limbs: bones with cortex and marrow between bundles of muscle."""

from __future__ import annotations

import math

import torch

from .abdomen import paint_gut
from .canvas import COARSE, FINE, MEDIUM, Canvas
from .draws import Draws
from .lesions import paint_lesions
from .shapes import (
    Points,
    Shape,
    Vector,
    ellipsoid,
    grown,
    intersection,
    placed,
    rotation,
    rough,
    specks,
    star,
)
from .torso import INFINITE, Trunk, paint_cells, paint_clutter, paint_wall


def paint_bone(
    canvas: Canvas, draws: Draws, shape: Shape, cortex: float, label: int | None = None
) -> int:
    """A bone with cortex and marrow as one object.

    Parameters
    ----------
    cortex : float
        Thickness of the cortex in the shape's unit.

    Returns
    -------
    int
        The label.
    """
    label = canvas.new_label() if label is None else label
    canvas.paint(shape, "cortical_bone", label)
    canvas.paint(rough(grown(shape, -cortex), 0.3 * cortex, MEDIUM), "marrow", label)
    return label


def paint_pelvis(canvas: Canvas, draws: Draws) -> None:
    """Paint hip bones, femoral heads, sacrum, muscles, bladder, rectum and gut."""
    trunk = paint_wall(canvas, draws)
    extents = (0.5 * canvas.extent[0], trunk.half_y * 1.05, trunk.half_x * 1.05)
    region = grown(trunk.cavity, 0.08)
    gap = draws.choice((0.8, 1.5, 3.0))
    paint_cells(canvas, draws, region, extents, draws.integer(8, 12), ("muscle",), gap)
    bowl = placed(
        ellipsoid((INFINITE, trunk.half_y * 0.68, trunk.half_x * draws.uniform(0.42, 0.62))),
        (0, -0.22 * trunk.half_y, 0),
    )
    bowl = rough(bowl, 0.06, COARSE)
    canvas.paint(bowl, "fat", 0)
    paint_clutter(canvas, draws, bowl)
    if draws.chance(0.6):
        paint_gut(canvas, draws, trunk)
    _paint_hips(canvas, draws, trunk)
    _paint_organs(canvas, draws, trunk.half_y)


def _paint_hips(canvas: Canvas, draws: Draws, trunk: Trunk) -> None:
    """Iliac wings, femoral heads in their sockets, the sacrum."""
    half_y, half_x = trunk.half_y, trunk.half_x
    slope, size = draws.uniform(0.2, 0.9), draws.uniform(21, 27)
    socket_z, apart = draws.uniform(-50, 10), draws.uniform(0.62, 0.78) * half_x
    wings, heads = [], []
    for side in (-1.0, 1.0):
        wing = _wing(draws, side * 0.62 * half_x, slope * side, half_y, socket_z)
        wing = intersection(wing, lambda p: (trunk.muscle(p) + 0.04) * half_y)
        wings.append(paint_bone(canvas, draws, wing, draws.uniform(1.2, 2.5)))
        if draws.chance(0.7):
            centre = (socket_z, 0.1 * half_y, side * apart)
            socket = placed(ellipsoid((size * 1.5, size * 1.45, size * 1.2)), centre)
            canvas.paint(intersection(socket, _medial(side, apart)), "cortical_bone", wings[-1])
            head = placed(ellipsoid((size, size, size)), centre)
            canvas.paint(grown(head, 0.12), "cartilage")
            heads.append(paint_bone(canvas, draws, head, 0.08))
    canvas.group(*wings)
    canvas.group(*heads)
    sacrum = star(draws, (90, 0.25 * half_y, 0.4 * half_x), 0.12)
    paint_bone(canvas, draws, placed(sacrum, (40, 0.85 * half_y, 0)), 0.08)


def _wing(draws: Draws, x: float, slope: float, half_y: float, foot: float) -> Shape:
    """A thin curved plate, slanted, above the hip joint; values in mm."""
    thickness = draws.uniform(4, 8)
    length = half_y * draws.uniform(0.6, 0.9)
    curve = draws.uniform(-0.004, 0.008)

    def plate(points: Points) -> torch.Tensor:
        line = (
            x
            + slope * (-points.y) * 0.9
            + math.copysign(1, x)
            * (0.5 * (points.z - foot).clamp(min=0) + curve * points.y.square())
        )
        across = (points.x - line).abs() - thickness - 2.5 * points.noise[MEDIUM]
        along = (points.y - 0.1 * half_y).abs() - length
        return torch.maximum(torch.maximum(across, along), foot - points.z)

    return plate


def _medial(side: float, apart: float) -> Shape:
    """The side of the joint towards the middle."""
    return lambda points: (side * points.x - apart - 4) * 0.03


def _paint_organs(canvas: Canvas, draws: Draws, half_y: float) -> None:
    """Rectum, a gland or uterus, and the bladder in front."""
    place: Vector = (0, 0.45 * half_y, draws.normal(0, 6))
    radius = draws.uniform(14, 28)
    rectum = placed(star(draws, (150, radius * 0.9, radius), 0.12), place)
    label = canvas.new_label()
    canvas.paint(rectum, "gut_wall", label)
    content = grown(rectum, -draws.uniform(0.12, 0.4))
    canvas.paint(content, draws.choice(("stool", "gas", "gut", "gut_wall")), label)
    if draws.chance(0.75):
        _paint_gland(canvas, draws, half_y)
    if draws.chance(0.85):
        radii = (draws.uniform(20, 55), draws.uniform(18, 45), draws.uniform(22, 52))
        centre = (draws.uniform(-30, 30), -0.3 * half_y, draws.normal(0, 8))
        body = star(draws, radii, draws.uniform(0.02, 0.15))
        bladder = placed(body, centre, rotation(draws.normal(0, 0.2)))
        label = canvas.new_label()
        if draws.chance(0.7):
            wall = draws.uniform(1.0, 5.0) / radii[1]
            canvas.paint(grown(bladder, wall), "gut_wall", label if draws.chance(0.3) else 0)
        canvas.paint(bladder, "urine", label)


def _paint_gland(canvas: Canvas, draws: Draws, half_y: float) -> None:
    """A gland with an inner part set to the front, so that the rest is a crescent."""
    radii = (draws.uniform(18, 45), draws.uniform(14, 28), draws.uniform(18, 38))
    centre = (draws.uniform(-35, 20), 0.12 * half_y, draws.normal(0, 8))
    organ = placed(star(draws, radii, draws.uniform(0.04, 0.14)), centre)
    label = canvas.new_label()
    if draws.chance(0.5):
        canvas.paint(grown(organ, 1.5 / radii[1]), "fat", 0)
    canvas.paint(organ, "gland", label)
    if draws.chance(0.7):
        shrink = draws.uniform(0.55, 0.85)
        inner_radii = (radii[0] * shrink, radii[1] * shrink, radii[2] * shrink)
        front = centre[1] - draws.uniform(0, 1) * (radii[1] - inner_radii[1])
        zone = placed(star(draws, inner_radii, 0.1), (centre[0], front, centre[2]))
        zone = intersection(rough(zone, 0.06, FINE), grown(organ, -0.05))
        inner = canvas.new_label()
        canvas.paint(zone, draws.choice(("spleen", "muscle", "pancreas")), inner)
        if draws.chance(0.5):
            nodules = intersection(zone, specks(FINE, draws.uniform(0.3, 1.2)))
            canvas.paint(nodules, draws.choice(("lesion_dark", "lesion_bright")))
        canvas.group(label, inner)
    if draws.chance(0.3):
        paint_lesions(canvas, draws, organ, centre, radii, label)


def paint_limbs(canvas: Canvas, draws: Draws) -> None:
    """Paint one limb or a pair: skin, fat, muscle bundles, one or two bones, vessels."""
    if draws.chance(0.35):
        _paint_limb(canvas, draws, 0.0, draws.uniform(50, 95))
        return
    radius = draws.uniform(55, 90)
    for side in (-1.0, 1.0):
        _paint_limb(canvas, draws, side * radius * 1.08, radius)


def _paint_limb(canvas: Canvas, draws: Draws, x: float, radius: float) -> None:
    long = 8 * radius
    skin = rough(placed(ellipsoid((long, radius, radius * 0.95)), (0, 0, x)), 0.03, COARSE)
    canvas.paint(skin, "skin")
    canvas.paint(grown(skin, -2.0 / radius), "fat")
    fat = draws.uniform(0.05, 0.3)
    flesh = rough(grown(skin, -fat), 0.03, MEDIUM)
    if draws.chance(0.2):
        canvas.paint(flesh, "muscle", canvas.new_label())
    else:
        extents = (0.4 * canvas.extent[0], radius * 0.8, radius * 0.8)
        gap = draws.choice((0.7, 1.2, 2.5))
        count = draws.integer(4, 8)
        paint_cells(canvas, draws, flesh, extents, count, ("muscle",), gap, middle_x=x)
    for _ in range(draws.choice((1, 1, 2))):
        size = radius * draws.uniform(0.13, 0.24)
        place = (0.0, draws.normal(0, 0.2) * radius, x + draws.normal(0, 0.25) * radius)
        bone = placed(star(draws, (long, size, size), 0.12), place)
        paint_bone(canvas, draws, rough(bone, 0.06, MEDIUM), draws.uniform(0.15, 0.4))
    for _ in range(draws.integer(1, 4)):
        size = draws.uniform(2.5, 6)
        angle, away = draws.uniform(0, 6.28), draws.uniform(0.3, 0.8) * radius
        place = (0.0, away * math.sin(angle), x + away * math.cos(angle))
        name = draws.choice(("blood", "venous_blood", "fat"))
        label = None if name == "fat" else canvas.new_label()
        canvas.paint(placed(ellipsoid((long, size, size)), place), name, label)

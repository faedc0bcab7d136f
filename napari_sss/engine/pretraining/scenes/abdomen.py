"""Abdominal scenes: organs that fill a cavity and touch each other."""

from __future__ import annotations

import math
from collections.abc import Callable

from .appearance import Tissue
from .canvas import COARSE, COARSE_2, FINE, MEDIUM, Canvas
from .draws import Draws
from .lesions import paint_lesions
from .shapes import (
    Shape,
    Vector,
    blended,
    ellipsoid,
    grown,
    intersection,
    placed,
    rotation,
    rough,
    star,
    tube,
    without,
)
from .torso import (
    INFINITE,
    Trunk,
    paint_cells,
    paint_clutter,
    paint_ribs,
    paint_spine,
    paint_vessel_tree,
    paint_vessels,
    paint_wall,
)


def paint_abdomen(canvas: Canvas, draws: Draws) -> None:
    """Paint a trunk with liver, spleen, kidneys, stomach, gut and vessels."""
    trunk = paint_wall(canvas, draws)
    if draws.chance(0.6):
        paint_ribs(canvas, draws, trunk)
    paint_spine(canvas, draws, trunk)
    paint_gut(canvas, draws, trunk)
    paint_vessels(canvas, draws, trunk)
    painters: list[tuple[float, Callable[[Canvas, Draws, Trunk, float], None]]] = [
        (0.85, _paint_kidneys),
        (0.7, _paint_pancreas),
        (0.75, _paint_stomach),
        (0.85, _paint_spleen),
        (0.9, _paint_liver),
        (0.4, _paint_gallbladder),
    ]
    if draws.chance(0.3):
        # A painter's order other than the usual one: other organs cover others.
        painters = [painters[i] for i in sorted(range(6), key=lambda _: draws.uniform(0, 1))]
    side = -1.0 if draws.chance(0.85) else 1.0
    for probability, painter in painters:
        if draws.chance(probability):
            painter(canvas, draws, trunk, side)


def paint_gut(canvas: Canvas, draws: Draws, trunk: Trunk) -> None:
    """Loops with a wall, mixed content and gas in the front of the cavity."""
    front = placed(
        ellipsoid((INFINITE, trunk.half_y * 0.62, trunk.half_x * 0.95)),
        (0, -trunk.half_y * 0.3, 0),
    )
    region = intersection(grown(trunk.cavity, -0.03), front)
    paint_clutter(canvas, draws, grown(trunk.cavity, -0.03))
    if draws.chance(0.5):
        extents = (canvas.extent[0] / 2, trunk.half_y * 0.8, trunk.half_x * 0.9)
        tissues = ("gut_wall", "gut", "gut_wall", "stool")
        gap = draws.uniform(-1.0, 7.0)
        count = draws.integer(8, 16)
        hollow = draws.uniform(1.5, 4.0)
        paint_cells(canvas, draws, region, extents, count, tissues, gap, hollow=hollow)
    for _ in range(draws.integer(4, 9)):
        _paint_loop(canvas, draws, trunk)


def _paint_loop(canvas: Canvas, draws: Draws, trunk: Trunk) -> None:
    """One loop of gut: wall, content, and gas risen to the front."""
    place = (
        draws.uniform(-0.5, 0.5) * canvas.extent[0],
        draws.uniform(-0.85, 0.3) * trunk.half_y,
        draws.uniform(-0.85, 0.85) * trunk.half_x,
    )
    heading = draws.uniform(0, 2 * math.pi)
    path = [place]
    for _ in range(draws.integer(2, 4)):
        heading += draws.normal(0, 0.8)
        step = draws.uniform(15, 35)
        last = path[-1]
        path.append(
            (
                last[0] + draws.normal(0, 14),
                last[1] + 0.7 * step * math.sin(heading),
                last[2] + step * math.cos(heading),
            )
        )
    radius = draws.log_uniform(8, 26)
    radii = [radius * draws.uniform(0.75, 1.2) for _ in path]
    loop = rough(tube(path, radii), draws.uniform(0.6, 2.5), MEDIUM)
    loop = intersection(loop, lambda p: trunk.cavity(p) * trunk.half_y + 2)
    label = canvas.new_label()
    canvas.paint(loop, "gut_wall", label)
    thickness = draws.uniform(1.0, 3.5)
    content = grown(loop, -thickness)
    canvas.paint(content, draws.choice(("gut", "stool", "fluid", "gut_wall")), label)
    if draws.chance(0.45):
        level = place[1] + draws.uniform(-0.6, 0.8) * radius
        canvas.paint(intersection(content, lambda p: p.y - level), "gas", label)
    elif draws.chance(0.3):
        canvas.paint(intersection(content, lambda p: (p.noise[FINE] + 1.0) * 3), "gas", label)


def _inside(trunk: Trunk, shape: Shape, margin: float) -> Shape:
    """The shape clipped to the cavity, ``margin`` mm away from the wall."""
    half = trunk.half_y
    return intersection(shape, lambda p: trunk.cavity(p) + margin / half)


def _paint_liver(canvas: Canvas, draws: Draws, trunk: Trunk, side: float) -> None:
    centre = (
        draws.uniform(-40, 50),
        trunk.half_y * draws.uniform(-0.3, 0.15),
        side * trunk.half_x * draws.uniform(0.4, 0.6),
    )
    radii = (
        draws.uniform(60, 100),
        trunk.half_y * draws.uniform(0.55, 0.85),
        trunk.half_x * draws.uniform(0.42, 0.7),
    )
    right = placed(star(draws, radii, draws.uniform(0.08, 0.25)), centre)
    shape = right
    if draws.chance(0.7):
        lobe = (radii[0] * 0.7, trunk.half_y * draws.uniform(0.2, 0.4), trunk.half_x * 0.6)
        left_centre = (centre[0] + 10, -trunk.half_y * 0.45, side * trunk.half_x * 0.1)
        left = placed(ellipsoid(lobe), left_centre, rotation(draws.normal(0, 0.3)))
        shape = blended(right, left)
    if draws.chance(0.6):
        notch = placed(
            star(draws, (60, trunk.half_y * 0.28, trunk.half_x * 0.25), 0.2),
            (centre[0] - 10, centre[1] + radii[1] * 0.75, centre[2] - side * radii[2] * 0.8),
        )
        shape = without(shape, notch)
    shape = _inside(trunk, rough(shape, draws.uniform(0.02, 0.1), COARSE), draws.uniform(0, 4))
    shape = rough(shape, draws.uniform(0.0, 0.03), MEDIUM)
    label = canvas.new_label()
    canvas.paint(shape, "liver", label)
    if draws.chance(0.6):
        tissue = draws.choice(("venous_blood", "blood", "lesion_dark"))
        root = (centre[0], centre[1], centre[2] - side * radii[2] * 0.5)
        paint_vessel_tree(canvas, draws, shape, root, radii[2] * 0.8, tissue)
    if draws.chance(0.4):
        paint_lesions(canvas, draws, shape, centre, radii, label)


def _paint_spleen(canvas: Canvas, draws: Draws, trunk: Trunk, side: float) -> None:
    centre = (
        draws.uniform(-30, 40),
        trunk.half_y * draws.uniform(0.1, 0.45),
        -side * trunk.half_x * draws.uniform(0.62, 0.8),
    )
    radii = (
        draws.uniform(35, 65),
        trunk.half_y * draws.uniform(0.3, 0.5),
        draws.uniform(18, 32),
    )
    turn = rotation(side * draws.uniform(-0.1, 0.7), draws.normal(0, 0.2), draws.normal(0, 0.2))
    shape = placed(star(draws, radii, draws.uniform(0.05, 0.2)), centre, turn)
    label = canvas.new_label()
    host = _inside(trunk, rough(shape, 0.06, MEDIUM), draws.uniform(0, 3))
    canvas.paint(host, "spleen", label)
    if draws.chance(0.15):
        paint_lesions(canvas, draws, host, centre, radii, label)


def _paint_kidneys(canvas: Canvas, draws: Draws, trunk: Trunk, side: float) -> None:
    """A pair, each with cortex, medulla, and a pelvis open to the middle."""
    length, depth, width = draws.uniform(42, 62), draws.uniform(22, 32), draws.uniform(20, 30)
    cortex = canvas.palette.tissue("kidney_cortex")
    medulla = canvas.palette.tissue("kidney_medulla")
    wholes = []
    for direction in (-1.0, 1.0):
        if draws.chance(0.08):
            continue
        centre = (
            draws.uniform(-25, 25),
            trunk.spine_y + draws.uniform(-22, 14),
            direction * draws.uniform(56, 76),
        )
        turn = rotation(direction * draws.uniform(-0.9, -0.1), 0.1, direction * 0.15)
        outer = placed(star(draws, (length, depth, width), 0.06), centre, turn)
        sinus = placed(
            ellipsoid((length * 0.45, depth * 0.35, width * 0.55)),
            (centre[0], centre[1] - 3, centre[2] - direction * width * 0.75),
            turn,
        )
        if draws.chance(0.5):
            fat = grown(outer, draws.uniform(0.1, 0.4))
            canvas.paint(fat, "fat", 0)
        parts = _paint_kidney(canvas, draws, outer, sinus, cortex, medulla)
        wholes += parts
        if draws.chance(0.2):
            paint_lesions(canvas, draws, outer, centre, (length, depth, width), parts[0])
    canvas.group(*wholes)


def _paint_kidney(
    canvas: Canvas, draws: Draws, outer: Shape, sinus: Shape, cortex: Tissue, medulla: Tissue
) -> list[int]:
    """Cortex, pyramids and sinus of one kidney; returns the labels of its parts."""
    label = canvas.new_label()
    parts = [label]
    body = without(outer, sinus) if draws.chance(0.8) else outer
    canvas.paint(rough(body, 0.03, MEDIUM), cortex, label)
    if draws.chance(0.7):
        pyramids = intersection(
            grown(body, -draws.uniform(0.25, 0.4)),
            lambda p: p.noise[FINE] * 0.15 - 0.05,
        )
        apart = draws.chance(0.4)
        inner = canvas.new_label() if apart else label
        canvas.paint(pyramids, medulla, inner)
        if apart:
            parts.append(inner)
            canvas.group(label, inner, whole=True)
    if draws.chance(0.7):
        core = intersection(grown(outer, -0.5), grown(sinus, 0.5))
        canvas.paint(
            rough(core, 0.2, FINE),
            draws.choice(("fat", "urine", "fat")),
            draws.choice((None, 0)),
        )
    return parts


def _paint_pancreas(canvas: Canvas, draws: Draws, trunk: Trunk, side: float) -> None:
    z, y = draws.uniform(-25, 25), trunk.spine_y - draws.uniform(38, 55)
    head = (z - 15, y + draws.uniform(-8, 12), side * draws.uniform(28, 45))
    neck = (z, y - 8, side * 5)
    tail = (z + draws.uniform(5, 25), y + draws.uniform(0, 22), -side * draws.uniform(50, 90))
    shape = tube([head, neck, tail], [draws.uniform(12, 17), 8, draws.uniform(8, 12)])
    label = canvas.new_label()
    shape = rough(rough(shape, 2.5, MEDIUM), 2.0, FINE)
    canvas.paint(shape, "pancreas", label)


def _paint_stomach(canvas: Canvas, draws: Draws, trunk: Trunk, side: float) -> None:
    fundus = (
        draws.uniform(0, 40),
        trunk.half_y * draws.uniform(-0.4, 0.1),
        -side * trunk.half_x * draws.uniform(0.35, 0.6),
    )
    antrum = (fundus[0] - 50, -trunk.half_y * 0.5, side * trunk.half_x * 0.1)
    middle = tuple((a + b) / 2 - 8 for a, b in zip(fundus, antrum, strict=True))
    radius = draws.uniform(22, 42)
    path: list[Vector] = [fundus, (middle[0], middle[1], middle[2]), antrum]
    bag = rough(tube(path, [radius, radius * 0.8, radius * 0.5]), 4, COARSE_2)
    shape = _inside(trunk, lambda p: bag(p) / 60, 2)
    label = canvas.new_label()
    canvas.paint(shape, "gut_wall", label)
    content = grown(shape, -draws.uniform(2, 6) / 60)
    canvas.paint(content, draws.choice(("gut", "fluid", "stool", "gut")), label)
    if draws.chance(0.6):
        level = fundus[1] - draws.uniform(-0.3, 0.8) * radius
        canvas.paint(intersection(content, lambda p: (p.y - level) / 60), "gas", label)


def _paint_gallbladder(canvas: Canvas, draws: Draws, trunk: Trunk, side: float) -> None:
    radius = draws.uniform(9, 18)
    centre = (
        draws.uniform(-30, 20),
        -trunk.half_y * draws.uniform(0.1, 0.5),
        side * trunk.half_x * draws.uniform(0.2, 0.5),
    )
    turn = rotation(draws.uniform(-1, 1), draws.uniform(-0.6, 0.6))
    label = canvas.new_label()
    shape = star(draws, (radius * 1.6, radius * 1.3, radius), 0.06)
    canvas.paint(placed(shape, centre, turn), "bile", label)

"""What every trunk shares: its wall, spine, ribs and what fills its cavity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from .canvas import COARSE, FINE, MEDIUM, Canvas
from .draws import Draws
from .shapes import (
    Points,
    Shape,
    Vector,
    ellipsoid,
    grown,
    half_space,
    intersection,
    placed,
    rough,
    specks,
    tube,
    union,
)

INFINITE = math.inf


@dataclass(frozen=True)
class Trunk:
    """The frame in which organs are placed.

    Parameters
    ----------
    half_y, half_x : float
        Half-axes of the cavity in mm.
    cavity, muscle : Shape
        Negative inside the cavity, and inside the muscular wall's outer surface; about -1
        on the axis and 0 on the surface.
    spine_y : float
        Where the vertebral bodies' centre lies, mm behind the middle.
    """

    half_y: float
    half_x: float
    cavity: Shape
    muscle: Shape
    spine_y: float


def paint_wall(canvas: Canvas, draws: Draws, power: float = 2.3) -> Trunk:
    """Skin, fat, the muscular wall and the fat of the cavity, from the outside inwards."""
    fat, wall = draws.log_uniform(5, 38), draws.uniform(8, 18)
    inner = draws.uniform(105, 145)
    half_x = inner + fat + wall
    half_y = inner * draws.uniform(0.6, 0.82) + fat + wall
    body = rough(ellipsoid((INFINITE, half_y, half_x), power), 0.025, COARSE)
    if canvas.palette.modality == "CT" and draws.chance(0.5):
        _paint_table(canvas, draws, half_y, half_x)
    canvas.paint(body, "skin")
    canvas.paint(_inset(body, half_y, draws.uniform(1.5, 3)), "fat")
    muscle = rough(_inset(body, half_y, fat + 2), 0.03, COARSE + 1)
    named = draws.chance(0.4)
    canvas.paint(muscle, "muscle", canvas.new_label() if named else None)
    if draws.chance(0.5):
        layers = rough(grown(muscle, -wall * 0.5 / half_y), 0.012, MEDIUM)
        canvas.paint(lambda p: layers(p).abs() - 0.7 / half_y, "fat")
    cavity = rough(grown(muscle, -wall / half_y), 0.012, MEDIUM)
    canvas.paint(cavity, "fat", 0)
    depth = half_y - fat - wall
    return Trunk(depth, inner, cavity, muscle, 0.55 * depth)


def _paint_table(canvas: Canvas, draws: Draws, half_y: float, half_x: float) -> None:
    """The scanner's table behind the body: a thin curved plate."""
    curve = draws.uniform(1.5, 4.0) * half_x
    top = half_y + draws.uniform(2, 25)
    bend = ellipsoid((INFINITE, curve, curve))
    plate = placed(bend, (0, top - curve, 0))
    thickness = draws.uniform(1.0, 3.0) / curve
    rim = intersection(lambda p: plate(p).abs() - thickness, lambda p: (top - 60 - p.y) / curve)
    canvas.paint(rim, "table")


def paint_clutter(canvas: Canvas, draws: Draws, region: Shape) -> None:
    """Small vessels, nodes and strands in fat, which are no objects."""
    for name in ("venous_blood", "gut_wall"):
        if draws.chance(0.6):
            spots = specks(FINE, draws.uniform(1.0, 2.0), 0.3)
            canvas.paint(intersection(region, spots), name)
    if draws.chance(0.5):
        level = draws.uniform(0.1, 0.3)
        strands = intersection(
            lambda p: (p.noise[MEDIUM] + 0.4 * p.noise[FINE]).abs() - level * 0.4,
            specks(COARSE + 1, draws.uniform(-0.3, 0.8)),
        )
        canvas.paint(intersection(region, strands), draws.choice(("muscle", "venous_blood")))


def _inset(shape: Shape, half: float, depth: float) -> Shape:
    return grown(shape, -depth / half)


def paint_spine(canvas: Canvas, draws: Draws, trunk: Trunk) -> None:
    """Vertebrae with discs and canal, the muscles beside them."""
    y = trunk.spine_y + draws.uniform(-5, 8)
    width, depth = draws.uniform(19, 27), draws.uniform(14, 20)
    paint_back_muscles(canvas, draws, trunk, y, depth)
    pitch, phase = draws.uniform(26, 40), draws.uniform(0, 40)
    label = canvas.new_label()
    body = placed(ellipsoid((INFINITE, depth, width), 2.6), (0, y, 0))
    canal_y = y + depth + draws.uniform(5, 9)
    arch = placed(ellipsoid((INFINITE, 15, 18)), (0, canal_y + 2, 0))
    spinous = placed(ellipsoid((INFINITE, 24, 3.5)), (0, canal_y + 22, 0))
    wings = placed(ellipsoid((INFINITE, 4.5, draws.uniform(28, 42))), (0, canal_y, 0))
    processes = _periodic(union(spinous, wings), pitch, phase, draws.uniform(-0.2, 0.5))
    bone = rough(union(body, arch, processes), 0.06, MEDIUM)
    bone = intersection(bone, grown(trunk.muscle, 0.05))
    canvas.paint(bone, "cortical_bone", label)
    marrow = grown(bone, -draws.uniform(0.035, 0.1))
    canvas.paint(marrow, "marrow", label)
    disc = canvas.new_label()
    canvas.paint(_periodic(grown(body, 0.03), pitch, phase, -0.75), "disc", disc)
    canal = canvas.new_label()
    canvas.paint(placed(ellipsoid((INFINITE, 8, 10)), (0, canal_y, 0)), "csf", canal)
    cord = canvas.new_label()
    canvas.paint(placed(ellipsoid((INFINITE, 4, 5.5)), (0, canal_y, 0)), "white_matter", cord)
    canvas.group(canal, cord)


def _periodic(shape: Shape, pitch: float, phase: float, level: float) -> Shape:
    """The shape where ``cos(2 pi z / pitch)`` lies below ``-level``: segments along z."""

    def segments(points: Points) -> torch.Tensor:
        wave = torch.cos((points.z + 0.15 * points.y + phase) * (2 * math.pi / pitch))
        return torch.maximum(shape(points), (wave + (0.0 if level > 0 else -level)) * 0.6)

    return segments


def paint_back_muscles(
    canvas: Canvas, draws: Draws, trunk: Trunk, spine_y: float, depth: float
) -> None:
    """Psoas in front of, erector muscles behind the transverse processes, in pairs."""
    psoas = draws.uniform(12, 22)
    offset = draws.uniform(34, 42)
    erector = draws.uniform(22, 34)
    pairs = []
    for side in (-1.0, 1.0):
        label = canvas.new_label()
        shape = ellipsoid((INFINITE, psoas * 1.2, psoas), 2.0)
        psoas_shape = placed(shape, (0, spine_y + 6, side * offset))
        canvas.paint(intersection(psoas_shape, trunk.muscle), "muscle", label)
        back = canvas.new_label()
        shape = ellipsoid((INFINITE, erector * 0.75, erector), 2.5)
        place = (0.0, spine_y + depth + 26, side * (erector + 5))
        shape = intersection(rough(placed(shape, place), 0.06, MEDIUM), trunk.muscle)
        canvas.paint(shape, "muscle", back)
        pairs.append((label, back))
    canvas.group(pairs[0][0], pairs[1][0])
    canvas.group(pairs[0][1], pairs[1][1])


def paint_ribs(canvas: Canvas, draws: Draws, trunk: Trunk) -> None:
    """Ribs: slanted bands in a shell just outside the cavity; each section an object."""
    pitch, slope = draws.uniform(24, 36), draws.sign() * draws.uniform(0.4, 1.6)
    half = draws.uniform(3.0, 4.8)
    level = draws.uniform(0.8, 2.2) * half
    width = draws.uniform(5.0, 8.0)

    def band(points: Points) -> torch.Tensor:
        across = trunk.cavity(points) * trunk.half_y - level
        height = points.z + slope * points.y + 3 * points.noise[COARSE]
        phase = (height / pitch).frac().abs_()
        along = (torch.minimum(phase, 1 - phase)) * pitch
        round_bar = ((across / half).square() + (along / width).square()).sqrt() - 1.0
        front = (-points.y / trunk.half_y - 0.8) * 2.0
        return torch.maximum(round_bar, front)

    label = canvas.new_label(split=True)
    canvas.paint(band, "cortical_bone", label)
    canvas.paint(grown(band, -draws.uniform(0.25, 0.45)), "marrow", label)


def paint_vessels(canvas: Canvas, draws: Draws, trunk: Trunk) -> None:
    """Aorta and vena cava in front of the spine, with branches."""
    y = trunk.spine_y - draws.uniform(24, 32)
    for side, tissue in ((1.0, "blood"), (-1.0, "venous_blood")):
        radius = draws.uniform(8, 13)
        x = side * draws.uniform(8, 18)
        label = canvas.new_label()
        flat = draws.uniform(0.7, 1.1)
        trunk_shape = placed(ellipsoid((INFINITE, radius * flat, radius)), (0, y, x))
        canvas.paint(trunk_shape, tissue, label)
        for _ in range(draws.integer(0, 2)):
            z = draws.uniform(-60, 60)
            path = [(z, y, x)]
            heading = draws.uniform(-math.pi, 0)
            for _ in range(3):
                heading += draws.normal(0, 0.4)
                last = path[-1]
                step = draws.uniform(12, 30)
                path.append(
                    (
                        last[0] + draws.normal(0, 6),
                        last[1] + step * math.sin(heading),
                        last[2] + step * math.cos(heading),
                    )
                )
            radii = [radius * s for s in (0.55, 0.45, 0.35, 0.25)]
            canvas.paint(tube(path, radii), tissue, label)


def paint_cells(
    canvas: Canvas,
    draws: Draws,
    region: Shape,
    extents: Vector,
    count: int,
    tissues: tuple[str, ...],
    gap: float,
    middle_x: float = 0.0,
    hollow: float = 0.0,
) -> list[int]:
    """Fill a region with touching bodies: an anisotropic power diagram of random seeds.

    All distances are computed before painting, once for all bodies.

    Parameters
    ----------
    region : Shape
        What is filled.
    extents : (float, float, float)
        Half-sizes in mm, along z, y, x, of the box the seeds lie in.
    gap : float
        Width in mm of the fat between neighbours; below 0 they touch.
    middle_x : float
        The x of the box's middle, mm.
    hollow : float
        Where above 0, most bodies get a wall of about this many mm and a content of gut.

    Returns
    -------
    list of int
        The objects' labels.
    """
    points, palette = canvas.points, canvas.palette
    edge = region(points) * 60.0
    distances = []
    for _ in range(count):
        z, y, x = (draws.uniform(-e, e) for e in extents)
        stretch = draws.uniforms(0.6, 1.6, 3)
        dz = (points.z - z) * stretch[0]
        dy = (points.y - y) * stretch[1]
        dx = (points.x - x - middle_x) * stretch[2]
        squared = dz.square_().add_(dy.square_()).add_(dx.square_())
        distances.append(squared.sqrt_().sub_(draws.uniform(-12, 12)))
    nearest, second = _two_smallest(distances)
    bumps = points.noise[MEDIUM] * 1.2 + gap
    labels = []
    for index, distance in enumerate(distances):
        rival = torch.where(distance <= nearest, second, nearest)
        values = torch.maximum(distance - rival + bumps, edge)
        labels.append(canvas.new_label())
        tissue = palette.tissue(tissues[index % len(tissues)])
        canvas.paint_values(values, tissue, labels[-1])
        if hollow > 0 and draws.chance(0.7):
            content = palette.tissue(draws.choice(("gut", "stool", "fluid", "gut")))
            canvas.paint_values(values + hollow, content, labels[-1])
            if draws.chance(0.3):
                level = draws.uniform(-0.8, 0.6) * extents[1]
                gas = torch.maximum(values + hollow, points.y - level)
                canvas.paint_values(gas, palette.tissue("gas"), labels[-1])
    return labels


def _two_smallest(fields: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """At each voxel the smallest and the second smallest of the fields' values."""
    first, second = torch.minimum(fields[0], fields[1]), torch.maximum(fields[0], fields[1])
    for field in fields[2:]:
        second = torch.minimum(second, torch.maximum(first, field))
        first = torch.minimum(first, field)
    return first, second


def paint_vessel_tree(
    canvas: Canvas, draws: Draws, host: Shape, root: Vector, length: float, tissue: str
) -> None:
    """Branching vessels inside an organ, which stay part of it."""
    ends = [(root, draws.uniform(-math.pi, math.pi), draws.normal(0, 0.3), 4.5)]
    fill = canvas.palette.tissue(tissue)
    shapes = []
    for _ in range(draws.integer(5, 14)):
        place, heading, lift, radius = ends.pop(0)
        step = length * draws.uniform(0.25, 0.5)
        end = (
            place[0] + step * math.sin(lift),
            place[1] + step * math.sin(heading),
            place[2] + step * math.cos(heading),
        )
        shapes.append(tube([place, end], [radius, radius * 0.75]))
        for turn in (-1, 1):
            ends.append(
                (
                    end,
                    heading + turn * draws.uniform(0.3, 0.9),
                    lift + draws.normal(0, 0.4),
                    radius * 0.75,
                )
            )
    canvas.paint(intersection(union(*shapes), lambda p: host(p) * 40.0), fill)


def below(z: float, tilt_y: float, tilt_x: float, dome: float) -> Shape:
    """What lies below a domed diaphragm at height ``z`` mm."""
    plane = half_space((1.0, tilt_y, tilt_x), z)
    return rough(plane, dome, COARSE)

"""Lesions: small bodies inside an organ, sharp or fading, plain, hollow or nested."""

from __future__ import annotations

from .canvas import FINE, MEDIUM, Canvas
from .draws import Draws
from .shapes import Shape, Vector, grown, intersection, placed, rough, star

_FILLS = ("lesion_dark", "lesion_bright", "fluid", "lesion_dark", "lesion_bright", "marrow")


def paint_lesions(
    canvas: Canvas, draws: Draws, host: Shape, around: Vector, reach: Vector, label: int
) -> None:
    """Paint one to five lesions inside an organ, grouped with it.

    Parameters
    ----------
    host : Shape
        The organ; lesions do not leave it.
    around, reach : (float, float, float)
        Middle and half-size in mm of the box in which they lie, along z, y, x.
    label : int
        The organ's label.
    """
    for _ in range(draws.integer(1, 5)):
        place = tuple(
            middle + draws.uniform(-0.7, 0.7) * half
            for middle, half in zip(around, reach, strict=True)
        )
        _paint_lesion(canvas, draws, host, (place[0], place[1], place[2]), label)


def _paint_lesion(canvas: Canvas, draws: Draws, host: Shape, place: Vector, organ: int) -> None:
    radius = draws.log_uniform(2.5, 28)
    stretch = draws.uniforms(0.65, 1.2, 2)
    radii = (radius * stretch[0], radius, radius * stretch[1])
    body = placed(star(draws, radii, draws.uniform(0.05, 0.35)), place)
    body = rough(rough(body, draws.uniform(0, 0.2), MEDIUM), draws.uniform(0, 0.12), FINE)
    shape = intersection(body, host)
    blur = draws.uniform(2, 6) if draws.chance(0.35) else 1.0
    lesion = canvas.new_label()
    name = draws.choice(_FILLS)
    host_tissue = canvas.palette.tissue(name)
    if draws.chance(0.4):
        # Barely another grey than its organ's: seen at its middle, or not at all.
        grey = canvas.palette.tissue("liver").mean
        host_tissue = host_tissue.shifted(0.6 * (grey - host_tissue.mean))
    canvas.paint(shape, host_tissue, lesion, blur)
    parts = [lesion]
    if radius > 7 and draws.chance(0.35):
        # A core of its own: necrosis in a rim, a tumour in its oedema.
        core = canvas.new_label() if draws.chance(0.6) else lesion
        inner = rough(grown(shape, -draws.uniform(0.2, 0.5)), 0.1, FINE, -1.0)
        canvas.paint(inner, draws.choice(_FILLS), core, draws.choice((1.0, 2.0)))
        parts.append(core)
        canvas.group(*parts)
    canvas.group(organ, *parts, whole=True)

"""Whether prompts lie inside a volume."""

from __future__ import annotations

from pathlib import Path

from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.types import PromptSet, SlicePrompt
from napari_sss.engine.volumes.grid import Shape3


def check_prompts(prompts: PromptSet, shape: Shape3, path: Path | None = None) -> None:
    """Refuse prompts that lie outside a volume.

    Parameters
    ----------
    prompts : PromptSet
        What to check.
    shape : (int, int, int)
        ``(Z, Y, X)`` of the volume.
    path : Path, optional
        The prompt file, for the message.

    Raises
    ------
    PromptError
        Naming the object, the slice and what lies outside.
    """
    for found in prompts.objects:
        for prompt in found.prompts:
            fault = _outside(prompt, shape)
            if fault:
                where = f"{path}: object" if path is not None else "Object"
                raise PromptError(
                    f"{where} {found.id} ({found.class_name}), "
                    f"{prompt.plane.name.lower()} slice {prompt.index}: {fault}.",
                    f"The volume is {shape[0]} x {shape[1]} x {shape[2]} (Z, Y, X); check that "
                    "the prompts belong to this volume and that x and y are not swapped.",
                    path,
                )


def _outside(prompt: SlicePrompt, shape: Shape3) -> str:
    """What of the prompt lies outside the volume, in words; empty where nothing does.

    A voxel reaches half a voxel beyond its centre, so boxes and points may too.
    """
    plane = prompt.plane
    if not 0 <= prompt.index < shape[plane.axis]:
        return f"the slices run from 0 to {shape[plane.axis] - 1}"
    width, height = shape[plane.column_axis], shape[plane.row_axis]
    box = prompt.box
    if box is not None and (
        min(box.x0, box.y0) < -0.5 or box.x1 > width + 0.5 or box.y1 > height + 0.5
    ):
        return (
            f"the box [{box.x0:g}, {box.y0:g}, {box.x1:g}, {box.y1:g}] reaches out of the "
            f"slice of {width} columns (x) and {height} rows (y)"
        )
    placed = {
        "points": [(p.x, p.y) for p in prompt.points],
        "strokes": [xy for stroke in prompt.strokes for xy in stroke.points],
        "polygons": [xy for polygon in prompt.polygons for xy in polygon.points],
    }
    for kind, positions in placed.items():
        for x, y in positions:
            if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
                return (
                    f"({x:g}, {y:g}) of the {kind} is out of the slice of {width} columns (x) "
                    f"and {height} rows (y)"
                )
    return ""

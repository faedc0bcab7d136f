"""From prompts to what a prompt file holds; the format is that of ``promptfile``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.prompt_parsing import VERSION
from napari_sss.engine.prompts.types import (
    ObjectPrompts,
    Plane,
    Polygon,
    PromptSet,
    SlicePrompt,
    Stroke,
)


def prompts_to_dict(prompts: PromptSet, folder: Path | None = None) -> dict[str, Any]:
    """The content of a prompt file, ready for ``json.dumps``.

    Parameters
    ----------
    prompts : PromptSet
        What to write.
    folder : Path, optional
        Where the file will be: the paths of masks are given relative to it. The current
        folder without it.
    """
    folder = Path(folder) if folder is not None else Path()
    data: dict[str, Any] = {"version": VERSION}
    if prompts.frame is not None:
        data["frame"] = prompts.frame
    data["objects"] = [_object_dict(found, folder) for found in prompts.objects]
    return data


def _object_dict(found: ObjectPrompts, folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = {"id": found.id, "class": found.class_name}
    if found.confidence is not None:
        data["confidence"] = round(found.confidence, 4)
    data["prompts"] = [_prompt_dict(prompt, folder) for prompt in found.prompts]
    return data


def _prompt_dict(prompt: SlicePrompt, folder: Path) -> dict[str, Any]:
    """A prompt's entry; keys with nothing to say are left out."""
    data: dict[str, Any] = {"z": prompt.index}
    if prompt.plane is not Plane.AXIAL:
        data["plane"] = prompt.plane.name.lower()
    if prompt.box is not None:
        box = prompt.box
        data["box"] = [_short(v) for v in (box.x0, box.y0, box.x1, box.y1)]
    if prompt.points:
        data["points"] = [[_short(p.x), _short(p.y), int(p.positive)] for p in prompt.points]
    lines: Mapping[str, tuple[Stroke | Polygon, ...]] = {
        "strokes": prompt.strokes,
        "polygons": prompt.polygons,
    }
    for key, group in lines.items():
        if group:
            data[key] = [
                {
                    "points": [[_short(x), _short(y)] for x, y in line.points],
                    "positive": line.positive,
                }
                for line in group
            ]
    if prompt.mask is not None:
        data["mask"] = _relative_mask(prompt.mask, folder)
    if prompt.confidence is not None:
        data["confidence"] = round(prompt.confidence, 4)
    return data


def _relative_mask(mask: Path, folder: Path) -> str:
    try:
        return mask.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError as error:
        raise PromptError(
            f"The mask {mask} lies outside the prompt file's folder {folder}.",
            "Write the prompt file beside the mask, or copy the mask there.",
            mask,
        ) from error


def _short(value: float) -> int | float:
    """Whole numbers without a fraction, others as they are."""
    value = float(value)
    return int(value) if value.is_integer() else value

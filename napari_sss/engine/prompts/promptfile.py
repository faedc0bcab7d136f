"""Prompt files: a volume's prompts as JSON.

A file holds the prompts of one volume::

    {"version": 1,
     "objects": [
       {"id": 1, "class": "kidney", "confidence": 0.9,
        "prompts": [
          {"z": 40, "box": [x0, y0, x1, y1], "points": [[x, y, 1], [x, y, 0]]}]}]}

Indices are those of SimpleITK's ``GetArrayFromImage``, ``(Z, Y, X)``, never reoriented;
whole numbers are voxel centres; a box's maxima are exclusive; a point carries 1 (belongs to
the object) or 0 (does not). Every prompt names its slice and holds at least one of ``box``,
``points``, ``strokes``, ``polygons`` and ``mask``. Optional keys:

==============  ==========  =================================================================
key             where       meaning
==============  ==========  =================================================================
``frame``       file,       frame of a 4-D volume, from 0; the same wherever it is given
                prompt
``confidence``  object,     0 to 1, where a program made the prompt
                prompt
``plane``       prompt      ``"axial"`` (default), ``"coronal"`` or ``"sagittal"``: ``z`` then
                            counts along array axis 0, 1 or 2, and ``x`` and ``y`` are the
                            column and row of that slice
``strokes``     prompt      ``[{"points": [[x, y], ...], "positive": true}]``: scribbles, one
                            point or more each; ``positive`` is true unless given
``polygons``    prompt      the same shape, three points or more: everything inside belongs,
                            or does not
``mask``        prompt      path of a label file on the volume's grid, relative to the prompt
                            file and inside its folder; non-zero voxels of the slice belong
==============  ==========  =================================================================

Keys that are not listed here are refused, so that a misspelt one is not silently lost.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import PromptError
from napari_sss.engine.prompts.prompt_bounds import check_prompts
from napari_sss.engine.prompts.prompt_parsing import prompts_from_dict
from napari_sss.engine.prompts.prompt_rendering import prompts_to_dict
from napari_sss.engine.prompts.types import PromptSet
from napari_sss.engine.volumes.atomic import write_json

__all__ = [
    "check_prompts",
    "prompts_from_dict",
    "prompts_to_dict",
    "read_prompts",
    "write_prompts",
]


def read_prompts(path: Path | str) -> PromptSet:
    """Read a prompt file.

    Parameters
    ----------
    path : Path
        The JSON file.

    Returns
    -------
    PromptSet
        The prompts; the paths of masks are absolute.

    Raises
    ------
    PromptError
        Where the file cannot be read or does not follow the format; the message names the
        file, the object and the key.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(
            f"The prompt file {path} cannot be read: {error}.",
            "Give the path of a readable JSON file in UTF-8.",
            path,
        ) from error
    try:
        data = json.loads(text, object_pairs_hook=_refuse_repeats)
    except ValueError as error:
        raise PromptError(
            f"The prompt file {path} is not valid JSON: {error}.",
            "Correct the file at that place, or export it again.",
            path,
        ) from error
    return prompts_from_dict(data, path=path)


def write_prompts(prompts: PromptSet, path: Path | str) -> None:
    """Write a prompt file; an older file at ``path`` stays whole until the new one is.

    Parameters
    ----------
    prompts : PromptSet
        What to write; masks must lie in the folder of ``path`` or below it.
    path : Path
        The JSON file.

    Raises
    ------
    PromptError
        Where a mask lies outside the file's folder.
    WriteError
        Where the file cannot be written; what was there before is untouched.
    """
    path = Path(path)
    write_json(prompts_to_dict(prompts, folder=path.parent), path)


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, unless it gives a key twice: then one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"the key {', '.join(map(repr, repeated))} is given twice")
    return found

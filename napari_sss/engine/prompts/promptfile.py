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
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from napari_sss.engine.errors import PromptError, WriteError
from napari_sss.engine.prompts._fields import Entry
from napari_sss.engine.prompts.types import (
    Box,
    ObjectPrompts,
    Plane,
    Point,
    Polygon,
    PromptSet,
    SlicePrompt,
    Stroke,
)
from napari_sss.engine.volumes.grid import Shape3

VERSION = 1


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
    text = json.dumps(prompts_to_dict(prompts, folder=path.parent), indent=2, allow_nan=False)
    beside: Path | None = None
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=".part"
        )
        beside = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes the file private to its owner; give it the usual rights instead.
        beside.chmod(path.stat().st_mode if path.exists() else 0o666 & ~_umask())
        beside.replace(path)
    except OSError as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        raise WriteError(
            f"The prompt file {path} cannot be written: {error}.",
            "Choose a folder that exists, may be written to and has space left.",
            path,
        ) from error


def prompts_from_dict(data: Any, path: Path | None = None) -> PromptSet:
    """Prompts from the content of a prompt file.

    Parameters
    ----------
    data : mapping
        What ``json.loads`` gives.
    path : Path, optional
        The file it comes from: named in messages, and masks are sought beside it. Without
        it, masks are sought in the current folder.

    Raises
    ------
    PromptError
        Where ``data`` does not follow the format.
    """
    top = Entry(data, "", path)
    top.only("version", "objects", "frame")
    version = top.whole("version")
    if version != VERSION:
        raise top.fault(
            "version",
            f"is {version}; only version {VERSION} is known",
            "Update napari-sss, or export the prompts in the older format.",
        )
    frames: dict[int, str] = {}
    if "frame" in top:
        frames[top.whole("frame")] = top.name
    objects = []
    for entry in top.entries("objects", "object"):
        objects.append(_read_object(entry, frames))
    if len(frames) > 1:
        raise top.fault("frame", f"has several values: {sorted(frames)}", "Keep one frame.")
    seen: set[int] = set()
    for found in objects:
        if found.id in seen:
            raise top.fault("objects", f"use the id {found.id} twice", "Give each its own id.")
        seen.add(found.id)
    return PromptSet(tuple(objects), frame=next(iter(frames), None))


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


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, unless it gives a key twice: then one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"the key {', '.join(map(repr, repeated))} is given twice")
    return found


def _umask() -> int:
    """The process's mask of file rights, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read_object(entry: Entry, frames: dict[int, str]) -> ObjectPrompts:
    entry.only("id", "class", "prompts", "confidence")
    number = entry.whole("id", least=1)
    entry.name = f"object {number}"
    prompts = [_read_prompt(one, frames) for one in entry.entries("prompts", "prompt")]
    if not prompts:
        raise entry.fault("prompts", "is empty", "Give the object at least one prompt.")
    return ObjectPrompts(
        id=number,
        class_name=entry.text("class"),
        prompts=tuple(prompts),
        confidence=entry.share("confidence"),
    )


def _read_prompt(entry: Entry, frames: dict[int, str]) -> SlicePrompt:
    entry.only(
        "z", "plane", "frame", "box", "points", "strokes", "polygons", "mask", "confidence"
    )
    if "frame" in entry:
        frames.setdefault(entry.whole("frame"), entry.name)
    prompt = SlicePrompt(
        index=entry.whole("z"),
        box=_read_box(entry),
        points=tuple(
            Point(x, y, positive=label == 1)
            for x, y, label in entry.number_rows("points", 3)
            if _label_is_known(entry, label)
        ),
        strokes=tuple(Stroke(*line) for line in _read_lines(entry, "strokes", least=1)),
        polygons=tuple(Polygon(*line) for line in _read_lines(entry, "polygons", least=3)),
        mask=_mask_path(entry) if "mask" in entry else None,
        plane=_read_plane(entry),
        confidence=entry.share("confidence"),
    )
    if prompt == replace(
        SlicePrompt(prompt.index), plane=prompt.plane, confidence=prompt.confidence
    ):
        raise entry.fault(
            "box", "is missing", "Give a box, points, strokes, polygons or a mask."
        )
    return prompt


def _read_box(entry: Entry) -> Box | None:
    if "box" not in entry:
        return None
    x0, y0, x1, y1 = entry.numbers("box", 4)
    if not (x0 < x1 and y0 < y1):
        raise entry.fault(
            "box",
            f"[{x0:g}, {y0:g}, {x1:g}, {y1:g}] is empty",
            "Write [x0, y0, x1, y1] with x0 < x1 and y0 < y1; the maxima are exclusive.",
        )
    return Box(x0, y0, x1, y1)


def _label_is_known(entry: Entry, label: float) -> bool:
    if label not in (0, 1):
        raise entry.fault(
            "points", f"carry the label {label:g}", "Write 1 (belongs) or 0 (does not)."
        )
    return True


def _read_lines(
    entry: Entry, key: str, least: int
) -> list[tuple[tuple[tuple[float, float], ...], bool]]:
    """``(points, positive)`` of each stroke or polygon."""
    lines = []
    for line in entry.entries(key, key.removesuffix("s"), optional=True):
        line.only("points", "positive")
        points = tuple((x, y) for x, y in line.number_rows("points", 2))
        if len(points) < least:
            raise line.fault("points", f"has {len(points)}", f"Give at least {least}.")
        lines.append((points, line.flag("positive", default=True)))
    return lines


def _read_plane(entry: Entry) -> Plane:
    name = entry.text("plane") if "plane" in entry else "axial"
    if name not in {plane.name.lower() for plane in Plane}:
        raise entry.fault("plane", f"is {name!r}", 'Write "axial", "coronal" or "sagittal".')
    return Plane[name.upper()]


def _mask_path(entry: Entry) -> Path:
    """The mask's absolute path, refused where it leaves the prompt file's folder."""
    text = entry.text("mask")
    folder = (entry.path.parent if entry.path is not None else Path()).resolve()
    windows = PureWindowsPath(text)
    absolute = PurePosixPath(text).is_absolute() or bool(windows.drive or windows.root)
    found = (folder / text).resolve()
    if absolute or ".." in windows.parts or not found.is_relative_to(folder):
        raise entry.fault(
            "mask",
            f"{text!r} leads out of the folder of the prompt file",
            "Put the mask beside the prompt file and write its name.",
        )
    if not found.is_file():
        raise entry.fault(
            "mask",
            f"{text!r} does not exist in {folder}",
            "Put the mask beside the prompt file.",
        )
    return found


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

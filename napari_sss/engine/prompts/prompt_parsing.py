"""From a prompt file's parsed JSON to prompts; the format is that of ``promptfile``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

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

VERSION = 1


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

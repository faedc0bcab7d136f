"""Whether two sets of prompts are the same to the eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from napari_sss.engine.prompts.types import SlicePrompt

DIGITS = 3
"""Decimals of a voxel that count: turning a scan's axes rounds."""


def alike(one: Sequence[SlicePrompt], other: Sequence[SlicePrompt]) -> bool:
    """Whether both prompt the same, in whatever order the slices come."""
    return _by_slice(one) == _by_slice(other)


def _by_slice(prompts: Sequence[SlicePrompt]) -> dict[Any, Any]:
    return {(p.plane, p.index): _plain(p) for p in prompts}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return tuple(_plain(getattr(value, f.name)) for f in fields(value))
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return round(value, DIGITS) if isinstance(value, float) else value

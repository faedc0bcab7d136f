"""What an act has changed, and what a case needs of its project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_sss.engine.project.records import Table

Direction = Literal["do", "undo", "redo"]


@dataclass(frozen=True)
class Applied:
    """What an act has changed, for views.

    Parameters
    ----------
    direction : {"do", "undo", "redo"}
        Which way.
    title : str
        What, in the user's words; empty where there was nothing to do.
    op : int
        Its number: it is saved once ``saved_through`` reaches it.
    seq : int
        Place in the history; later acts may join it.
    box : tuple of 3 slices, optional
        Around all voxels that changed.
    keys : frozenset of (Table, key)
        Records that changed.
    notes : tuple of str
        What the user should know.
    refused : int
        Voxels that locks or the overwrite policy kept as they were.
    """

    direction: Direction
    title: str
    op: int
    seq: int
    box: tuple[slice, slice, slice] | None = None
    keys: frozenset[tuple[Table, Any]] = frozenset()
    notes: tuple[str, ...] = ()
    refused: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        return self.box is None and not self.keys


@dataclass(frozen=True)
class Surroundings:
    """What a case needs of its project.

    Parameters
    ----------
    class_users : callable
        ``class_users(class_id)``: how many objects of a class other cases have, by name.
    keep_file : callable
        ``keep_file(path)``: a copy of a file within the project's folder.
    """

    class_users: Callable[[int], Mapping[str, int]]
    keep_file: Callable[[Path], Path]


def around(
    boxes: Sequence[tuple[slice, slice, slice] | None],
) -> tuple[slice, slice, slice] | None:
    """The smallest box around all."""
    known = [box for box in boxes if box is not None]
    if not known:
        return None
    z, y, x = (
        slice(min(b[a].start for b in known), max(b[a].stop for b in known)) for a in range(3)
    )
    return z, y, x

"""Prompts on their way from the layers to the case, and from the case to the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss._layers.prompt_edits import in_main_plane
from napari_sss._widgets.mask_stream import class_change
from napari_sss.engine.project import object_actions
from napari_sss.engine.project.applied import Applied
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.prompts.types import ObjectPrompts, SlicePrompt
from napari_sss.engine.volumes.grid import Grid

ANCHORS = Path("accepted slices")
"""Stands for the label file of accepted slices, which are given to the model as an array."""


def enter_prompts(session: CaseSession, prompts: ObjectPrompts) -> Applied:
    """Give an object of the case these prompts; a new object, and a new class, are added.

    Raises
    ------
    ProjectError
        If the object is locked, or the case is.
    """
    if prompts.id in session.state.objects:
        return session.set_prompts(prompts.id, prompts.prompts)
    change = class_change(session.state, prompts.class_name, f"Add object {prompts.id}")
    joins = None
    if isinstance(change, int):
        class_id = change
    else:
        class_id, action = change
        joins = session.act(lambda _: action).seq
    return session.act(
        lambda state: object_actions.add_object(state, prompts.id, class_id, prompts.prompts),
        joins=joins,
    )


def anchored(
    session: CaseSession, object_id: int, grid: Grid
) -> tuple[ObjectPrompts, Mapping[Path, NDArray[Any]], tuple[int, ...]]:
    """An object's prompts, with its accepted slices as masks to start from.

    Parameters
    ----------
    session : CaseSession
        The case.
    object_id : int
        The object.
    grid : Grid
        Of the scan.

    Returns
    -------
    prompts : ObjectPrompts
        As the engine takes them.
    labels : mapping
        The masks that prompts name and that are no files: (Z, Y, X) arrays of 0 and 1.
    anchors : tuple of int
        The accepted slices.
    """
    asked = in_main_plane(session.prompts(object_id))
    plane = asked.prompts[0].plane
    anchors = session.anchors(object_id, plane)
    if not anchors:
        return asked, {}, ()
    mask = np.zeros(grid.shape, dtype=np.uint8)
    slices = np.moveaxis(mask, plane.axis, 0)
    held = np.moveaxis(session.labels, plane.axis, 0)
    kept = {}
    for index in anchors:
        slices[index] = held[index] == object_id
        if slices[index].any():
            kept[index] = SlicePrompt(index, mask=ANCHORS, plane=plane)
    others = [p for p in asked.prompts if p.index not in kept]
    prompts = (*others, *kept.values())
    return replace(asked, prompts=prompts), {ANCHORS: mask}, tuple(kept)

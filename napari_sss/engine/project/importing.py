"""Existing masks into a case, by the same geometry rules as everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from napari_sss.engine.errors import VolumeError
from napari_sss.engine.project.applied import Applied
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.guard import OverwritePolicy
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region

Each = Literal["value", "part"]


def import_labels(
    session: CaseSession,
    grid: Grid,
    path: Path | str,
    classes: Mapping[int, int],
    *,
    each: Each = "value",
    policy: OverwritePolicy | None = None,
) -> Applied:
    """Read a label file and make objects of it; one act, which can be undone.

    Parameters
    ----------
    session : CaseSession
        The case.
    grid : Grid
        The case's.
    path : Path
        A label file that holds the scan's voxels, in any order of axes.
    classes : mapping
        Class id by value in the file; values that are not named are left out.
    each : {"value", "part"}
        Whether each value becomes one object, or each of its connected parts.
    policy : OverwritePolicy, optional
        What the masks may take from objects that are there.

    Raises
    ------
    GeometryError
        If the file lies on another grid.
    VolumeError
        If it cannot be read, or holds none of the values.
    """
    from napari_sss.engine.project.shaping import components
    from napari_sss.engine.volumes.writing import read_labels

    labels = read_labels(path, grid)
    found: list[tuple[int, Region]] = []
    for value, class_id in sorted(classes.items()):
        if class_id not in session.state.classes:
            raise ProjectError(f"There is no class {class_id}.", "Add the class first.")
        region = Region.of(labels == value)
        if region.mask.size:
            parts = components(region) if each == "part" else [region]
            found += [(class_id, part) for part in parts]
    if not found:
        present = ", ".join(str(int(v)) for v in np.unique(labels) if v) or "none"
        raise VolumeError(
            f"{path} holds none of the values {sorted(classes)}; it holds: {present}.",
            "Say which class each value is.",
            path,
        )
    first = session.free_id()
    regions = dict(enumerate(found, start=first))
    return session.import_objects(regions, policy)

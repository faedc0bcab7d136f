"""Existing masks into a case, by the same geometry rules as everywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class LabelValue:
    """A value of a label file.

    Parameters
    ----------
    value : int
        1 or more.
    voxels : int
        How many voxels hold it.
    name : str
        What the file's sidecar calls it; "" where there is none.
    """

    value: int
    voxels: int
    name: str = ""


def label_values(path: Path | str, grid: Grid) -> tuple[LabelValue, ...]:
    """The values of a label file that lies on a scan's grid.

    Parameters
    ----------
    path : Path
        A label file that holds the scan's voxels, in any order of axes.
    grid : Grid
        The scan's.

    Raises
    ------
    GeometryError
        If the file lies on another grid.
    VolumeError
        If it cannot be read, holds no labels, or only the background.
    """
    from napari_sss.engine.volumes.writing import read_labels

    found, counts = np.unique(read_labels(path, grid), return_counts=True)
    names = _sidecar_names(Path(path))
    values = tuple(
        LabelValue(int(value), int(count), names.get(int(value), ""))
        for value, count in zip(found, counts, strict=True)
        if value
    )
    if not values:
        raise VolumeError(
            f"{path} is empty: all its voxels are background.",
            "Choose a mask with at least one value above 0.",
            Path(path),
        )
    return values


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


def _sidecar_names(path: Path) -> dict[int, str]:
    """Class name by value as the file's own sidecar tells it; empty where none does."""
    from napari_sss.engine.volumes.writing import sidecar_path

    try:
        content = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
        if content.get("values") == "objects":
            return {int(o["id"]): str(o["class"]) for o in content["objects"]}
        return {int(value): str(name) for name, value in content["classes"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # no sidecar, or another program's

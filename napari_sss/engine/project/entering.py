"""From a scan that a viewer shows to its case in a project."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.paths import safe_name
from napari_sss.engine.volumes.volume import Volume

if TYPE_CHECKING:
    from napari_sss.engine.project.project import Project

KEPT_SCANS = "scans"
"""The folder of a project in which scans are kept that have no file of their own."""

KEPT = (
    "This image has no file of its own: a copy is kept in the project ({path}), so that what "
    "you do on it is found again."
)
CHANGED = (
    "{path} is not the scan any more that was annotated as {name}: its content has changed. "
    "It is a new case now; the former annotation is kept in the project."
)


@dataclass(frozen=True)
class Entered:
    """A scan's place in a project.

    Parameters
    ----------
    case : Case
        Its case.
    notes : tuple of str
        What the user should know.
    """

    case: Case
    notes: tuple[str, ...] = ()


def enter_scan(
    project: Project, volume: Volume, name: str = "", control: JobControl | None = None
) -> Entered:
    """The case of a scan; the scan is added to the project where it is new.

    Parameters
    ----------
    project : Project
        Where work on the scan is kept.
    volume : Volume
        As it was read, in its own axis order.
    name : str
        What a scan without a file is called.
    control : JobControl, optional
        For cancelling.

    Raises
    ------
    ReadOnlyError
        If the scan is new and the project is only read.
    WriteError
        If a scan without a file cannot be kept.
    """
    notes: list[str] = []
    path = volume.source.path
    if path is None or not path.exists():
        path, is_new = _kept(volume, project.folder / KEPT_SCANS, name)
        if is_new:
            notes.append(KEPT.format(path=path))
    else:
        name = ""
    before = {case.id for case in project.cases.select()}
    place = path.absolute()
    case = project.cases.enter(volume, path, name, control)
    if case.id not in before:
        for known in project.cases.select():
            same_reading = replace(known.reading, spacing=None) == case.reading
            if known.id in before and known.absolute_path == place and same_reading:
                notes.append(CHANGED.format(path=path, name=known.name))
    return Entered(case, tuple(notes))


def _kept(volume: Volume, folder: Path, name: str) -> tuple[Path, bool]:
    """A scan's own file in the project, named by its content, and whether it was made now."""
    from napari_sss.engine.volumes.writing import write_volume

    array = np.ascontiguousarray(volume.array)
    digest = hashlib.sha256(repr((array.dtype.str, asdict(volume.grid))).encode())
    digest.update(array.data)
    path = folder / f"{safe_name(name or 'scan')[:40]}_{digest.hexdigest()[:12]}.nrrd"
    known = next(folder.glob(f"*_{digest.hexdigest()[:12]}.nrrd"), None)
    if known is not None:
        return known, False
    folder.mkdir(parents=True, exist_ok=True)
    write_volume(replace(volume, array=array), path)
    return path, True

"""Where a case's scan is now, and whether it is still the one that was annotated."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from napari_sss.engine.errors import SSSError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.errors import CaseChangedError, CaseMissingError
from napari_sss.engine.project.fingerprint import fingerprint_of, stamp_of


class Trouble(Enum):
    """What is wrong with a case's scan; its annotation is complete all the same."""

    MISSING = "not found"
    CHANGED = "changed on disk"


def candidates(case: Case, folder: Path) -> Iterator[Path]:
    """Where the scan may be: as seen from the project's folder, then where it last was."""
    if case.relative_path is not None:
        yield Path(os.path.normpath(folder / case.relative_path))
    yield case.absolute_path


def locate(case: Case, folder: Path, control: JobControl | None = None) -> Path:
    """Find a case's scan and make sure that it has not changed.

    The files' contents are compared only where their sizes or times are others than before.

    Parameters
    ----------
    case : Case
        Which.
    folder : Path
        The project's.
    control : JobControl, optional
        For cancelling.

    Raises
    ------
    CaseMissingError
        If there is nothing at any place known.
    CaseChangedError
        If there is something else there now.
    """
    changed: Path | None = None
    for path in dict.fromkeys(candidates(case, folder)):
        if not path.exists():
            continue
        if stamp_of(path) == case.stamp or _is_same(path, case, control):
            return path
        changed = changed or path
    if changed is not None:
        raise CaseChangedError(
            f"{changed} is not the scan that was annotated as {case.name}: its content has "
            "changed.",
            "Put the former file back, or take the new one over if it has the same voxels. "
            "The annotation is kept.",
            changed,
        )
    raise CaseMissingError(
        f"The scan of {case.name} is neither at {case.absolute_path} nor beside the project.",
        "Put it back, or look for it in a folder. The annotation is kept.",
        case.absolute_path,
    )


def find_below(
    cases: Iterable[Case], root: Path, control: JobControl | None = None
) -> dict[int, Path]:
    """Find the scans of cases in a folder and those below it, by name and content.

    Returns
    -------
    dict
        The path of each case found, by its id.
    """
    control = control or JobControl()
    wanted: dict[str, list[Case]] = {}
    for case in cases:
        wanted.setdefault(case.absolute_path.name, []).append(case)
    found: dict[int, Path] = {}
    for number, (parent, folders, names) in enumerate(os.walk(root)):
        control.report("looking for scans", number)
        for name in (*folders, *names):
            for case in wanted.get(name, ()):
                path = Path(parent) / name
                if case.id not in found and _is_same(path, case, control):
                    found[case.id] = path
    return found


def _is_same(path: Path, case: Case, control: JobControl | None) -> bool:
    try:
        return fingerprint_of(path, case.reading, control) == case.fingerprint
    except (OSError, SSSError):  # unreadable, or without the series: not the scan
        if control is not None:
            control.check()
        return False

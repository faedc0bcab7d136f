"""What can go wrong with a project; the messages say what is kept, and how to go on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from napari_sss.engine.errors import InputError, WriteError


class ProjectError(InputError):
    """A project cannot be opened, or does not hold what was asked for."""


class ProjectVersionError(ProjectError):
    """The database was written by a newer version of the program."""


class ReadOnlyError(ProjectError):
    """A change was asked of a project that is open for reading only."""


class CaseMissingError(ProjectError):
    """The scan of a case is not where it was; the annotation is complete without it."""


class CaseChangedError(ProjectError):
    """The scan of a case is not the one that was annotated."""


class LockedError(ProjectError):
    """What was accepted is locked; the change would have touched it."""


class ClassInUseError(ProjectError):
    """A class cannot be removed while objects belong to it."""


class OverlapQuestion(ProjectError):  # noqa: N818 - a question to the user, not a fault
    """A change would take voxels from other objects, and the policy is to ask first.

    Parameters
    ----------
    taken : mapping
        Voxels that would be taken, by object id.
    """

    def __init__(self, taken: Mapping[int, int]) -> None:
        self.taken = dict(taken)
        named = ", ".join(f"{count} of object {i}" for i, count in sorted(taken.items()))
        super().__init__(
            f"The change would take voxels from other objects ({named}).",
            "Choose whether they keep their voxels or lose them.",
        )


class SaveError(WriteError):
    """The journal cannot be written now; everything not yet saved is kept in memory.

    Parameters
    ----------
    unsaved : int
        Actions that wait in memory.
    """

    def __init__(
        self, problem: str, remedy: str, path: Path | str | None = None, unsaved: int = 0
    ) -> None:
        super().__init__(problem, remedy, path)
        self.unsaved = unsaved

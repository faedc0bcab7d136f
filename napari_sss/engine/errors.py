"""The errors of the engine, one base with typed children.

Every message names what is wrong (the file, the value) and what the user can do about it.
"""

from __future__ import annotations

from pathlib import Path


class SSSError(Exception):
    """Base of every error that napari-sss raises on purpose.

    Parameters
    ----------
    problem : str
        What is wrong, naming the file or the value.
    remedy : str
        What the user can do about it; shown after the problem.
    path : Path, optional
        The file or folder concerned.
    """

    def __init__(self, problem: str, remedy: str = "", path: Path | str | None = None) -> None:
        self.problem = problem
        self.remedy = remedy
        self.path = Path(path) if path is not None else None
        super().__init__(f"{problem} {remedy}".strip())


class InputError(SSSError):
    """What the user gave cannot be used."""


class VolumeError(InputError):
    """A volume cannot be read, or its content cannot be used."""


class GeometryError(VolumeError):
    """Spacing, origin or direction are missing, contradictory or not representable."""


class SeriesChoiceError(VolumeError):
    """A DICOM folder holds several series and none was chosen.

    Parameters
    ----------
    series : tuple of str
        The series' identifiers, any of which can be asked for.
    """

    def __init__(
        self,
        problem: str,
        remedy: str = "",
        path: Path | str | None = None,
        series: tuple[str, ...] = (),
    ) -> None:
        super().__init__(problem, remedy, path)
        self.series = series


class PromptError(InputError):
    """A prompt or a prompt file is malformed, or lies outside the volume."""


class ConfigError(InputError):
    """A setting is unknown, or has a value out of its range."""


class WriteError(SSSError):
    """A result cannot be written; the file that was there before is untouched."""


class ModelError(SSSError):
    """A model cannot be found, verified, built or loaded."""


class DownloadError(ModelError):
    """A model's file could not be fetched or does not match its SHA-256."""


class RunError(SSSError):
    """A training cannot go on; its last sound checkpoint is kept."""


class DeviceError(SSSError):
    """The device asked for is absent, or its memory does not suffice."""


class Cancelled(SSSError):  # noqa: N818 - a request that was honoured, not a fault
    """The user cancelled the job; what was done before is kept by the caller."""

    def __init__(self) -> None:
        super().__init__("Cancelled.")

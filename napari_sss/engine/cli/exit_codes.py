"""What the program's exit code tells a script."""

from __future__ import annotations

from enum import IntEnum

from napari_sss.engine.errors import (
    Cancelled,
    DeviceError,
    InputError,
    ModelError,
    RunError,
    SSSError,
    WriteError,
)


class ExitCode(IntEnum):
    """Exit codes of ``napari-sss``; argparse's own 2 for a wrong usage fits in."""

    OK = 0
    INTERNAL_ERROR = 1
    BAD_INPUT = 2
    MODEL = 3
    WRITE = 4
    RUN = 5
    CANCELLED = 130


_CODES: tuple[tuple[type[SSSError], ExitCode], ...] = (
    (InputError, ExitCode.BAD_INPUT),
    (DeviceError, ExitCode.BAD_INPUT),  # what was asked for does not fit this machine
    (ModelError, ExitCode.MODEL),
    (WriteError, ExitCode.WRITE),
    (RunError, ExitCode.RUN),
    (Cancelled, ExitCode.CANCELLED),
)


def exit_code_of(error: SSSError) -> ExitCode:
    """The exit code that stands for ``error``."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return ExitCode.INTERNAL_ERROR

"""What can go wrong in a training, beside bad input."""

from __future__ import annotations

from napari_sss.engine.errors import InputError, RunError


class DataError(InputError):
    """The cases given cannot be trained on."""


class TrainingError(RunError):
    """A training cannot go on; what it saved before is kept."""


class DivergedError(TrainingError):
    """A loss became NaN or infinite."""


class CollapsedError(TrainingError):
    """The model has lost a class, or calls nearly everything foreground."""

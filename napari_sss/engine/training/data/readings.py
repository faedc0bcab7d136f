"""How a project's scans are read in training; without torch, for whoever prepares one."""

from __future__ import annotations

from typing import Any

from napari_sss.engine.project.cases import Reading


def reading_arguments(reading: Reading) -> tuple[tuple[str, Any], ...]:
    """Arguments of ``read_volume`` that were given for a case."""
    given = reading.arguments()
    mended = {"nan", "shear"}  # training mends rather than refuses, whatever viewing does
    return tuple((k, v) for k, v in given.items() if v is not None and k not in mended)

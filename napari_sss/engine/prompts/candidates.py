"""Candidates that are apart already: what a source of prompts may give instead of a mask."""

from __future__ import annotations

from dataclasses import dataclass

from napari_sss.engine.volumes.region import Region


@dataclass(frozen=True)
class Candidate:
    """What is taken for one object; several may touch, overlap or nest.

    Parameters
    ----------
    region : Region
        Its voxels.
    probability : float
        How surely it is an object, 0 to 1.
    """

    region: Region
    probability: float

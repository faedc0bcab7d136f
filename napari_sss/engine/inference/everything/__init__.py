"""Candidates with nobody clicking and no preset: a grid of points, linked across slices.

On slices some millimetres apart, each point of a grid is put to SAM-2 as a click, on the whole
slice and on overlapping tiles of it; the masks that the model is sure of are kept, the same
object's are thinned to one, and what lies over each other from slice to slice is one candidate.
"""

from __future__ import annotations

from napari_sss.engine.inference.everything.config import EverythingConfig
from napari_sss.engine.inference.everything.source import EverythingSource

__all__ = ["EverythingConfig", "EverythingSource"]

"""A small volume with two objects, simple enough to know every figure by heart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_sss.engine.inference.result import Segmentation, SegmentedObject
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Point, SlicePrompt
from napari_sss.engine.reports.table import Truth
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region
from napari_sss.engine.volumes.volume import Source, Volume


@pytest.fixture
def volume() -> Volume:
    """4 x 6 x 8 voxels of 1 ml each (20 x 10 x 5 mm); intensity is 100 z."""
    grid = Grid((4, 6, 8), spacing=(20.0, 10.0, 5.0))
    array = np.broadcast_to(100.0 * np.arange(4)[:, None, None], grid.shape).copy()
    return Volume(array, grid, "CT", Source(Path("/ward7/Smith_John/ct.nii.gz")))


@pytest.fixture
def segmentation(volume: Volume) -> Segmentation:
    """A liver of 2 x 2 x 3 voxels from [1, 2, 1], and a kidney of one voxel at [3, 5, 7]."""
    liver = Region((1, 2, 1), np.ones((2, 2, 3), dtype=bool))
    kidney = Region((3, 5, 7), np.ones((1, 1, 1), dtype=bool))
    liver_prompts = ObjectPrompts(
        2, "liver", (SlicePrompt(1, Box(1, 2, 4, 4), (Point(2, 3),)),), confidence=0.9
    )
    kidney_prompts = ObjectPrompts(1, "kidney", (SlicePrompt(3, Box(7, 5, 8, 6)),))
    return Segmentation(
        volume.grid,
        (
            SegmentedObject(
                liver_prompts,
                liver,
                0.9,
                "candidate",
                candidate=liver,
                # Shares the first of the liver's two slices (6 voxels) and has no other.
                sam2=Region((1, 2, 1), np.ones((1, 2, 3), dtype=bool)),
            ),
            SegmentedObject(kidney_prompts, kidney, 0.5, "sam2", sam2=kidney),
        ),
        {"kidney": 7, "liver": 3},
    )


@pytest.fixture
def truth(volume: Volume) -> Truth:
    """A true liver of slice 1 alone, two rows higher up: 2 x 3 voxels in common with ours."""
    labels = np.zeros(volume.grid.shape, dtype=np.uint8)
    labels[1, 2:6, 1:4] = 5  # 12 voxels
    return Truth(labels, {5: "true liver"})

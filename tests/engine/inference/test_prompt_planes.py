"""Prompts of every kind in every plane: answered as on the volume turned by hand.

The expected answer is that of the axial slices of the same volume with its axes moved: what
a prompt means must not depend on the axis that its slice cuts through.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_sss.engine.inference.decoding import decode_prompt
from napari_sss.engine.prompts.types import Box, Plane, Point, Polygon, SlicePrompt, Stroke
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume

MASK = Path("mask.nii.gz")
# Of 2-D extent 16 x 14 at column 30, row 20 on the slices 3 to 8 of the turned volume.
PROMPTS = {
    "box": SlicePrompt(5, box=Box(30, 20, 46, 34)),
    "points": SlicePrompt(5, points=(Point(35, 25), Point(50, 25, positive=False))),
    "stroke": SlicePrompt(5, strokes=(Stroke(((33, 22), (40, 30), (44, 32))),)),
    "lasso": SlicePrompt(5, polygons=(Polygon(((30, 20), (45, 20), (45, 33), (30, 33))),)),
    "mask": SlicePrompt(5, mask=MASK),
}


@pytest.mark.parametrize("plane", [Plane.CORONAL, Plane.SAGITTAL])
@pytest.mark.parametrize("kind", list(PROMPTS))
def test_a_prompt_means_the_same_in_every_plane(truth, make_stack, full, plane, kind):
    axes = (plane.axis, plane.row_axis, plane.column_axis)
    turned = truth.transpose(np.argsort(axes))  # axis 0 of truth is the plane's axis
    spacing = np.array([3.0, 1.0, 1.0])[np.argsort(axes)]
    stack = make_stack(
        Volume(turned.astype(np.float32), Grid(turned.shape, tuple(spacing))),
        plane,
        {MASK: turned},
    )
    axial = make_stack(
        Volume(truth.astype(np.float32), Grid(truth.shape, (3.0, 1.0, 1.0))),
        labels={MASK: truth},
    )
    answer = decode_prompt(stack, replace(PROMPTS[kind], plane=plane)).answer
    expected = decode_prompt(axial, PROMPTS[kind]).answer
    assert answer.mask.any()
    assert stack.shape == axial.shape
    np.testing.assert_array_equal(full(answer, stack.shape), full(expected, axial.shape))

"""Slices between the sections of an object, filled in by hand."""

from __future__ import annotations

import numpy as np

from napari_sss.engine.inference.everything.filling import filled
from napari_sss.engine.inference.everything.sections import Section
from napari_sss.engine.volumes.grid import Grid

SHAPE = (40, 50)


def block(index: int, y0: int, y1: int, x0: int, x1: int) -> Section:
    return Section(index, (y0, x0), np.ones((y1 - y0, x1 - x0), dtype=bool), 0.5)


def test_slices_between_are_filled():
    # Every fourth slice is looked at; each end reaches two slices further.
    sections = [block(4, 10, 20, 10, 22), block(8, 10, 20, 10, 22)]
    region = filled(sections, Grid((20, *SHAPE)), step=4)
    assert region.offset == (2, 10, 10)
    assert region.mask.shape == (9, 10, 12)
    assert region.mask.all()


def test_ends_stay_in_the_volume():
    sections = [block(1, 10, 20, 10, 22), block(5, 10, 20, 10, 22)]
    region = filled(sections, Grid((7, *SHAPE)), step=4)
    assert (region.offset[0], region.mask.shape[0]) == (0, 7)


def test_a_shrinking_object_shrinks_evenly():
    # Columns 4 to 15, two slices on columns 8 to 11. Half-way the signed distances are:
    # column 6: 3 inside the one, 2 outside the other: in; column 5: 2 inside, 3 outside: out.
    sections = [block(0, 0, 30, 4, 16), block(2, 0, 30, 8, 12)]
    region = filled(sections, Grid((3, *SHAPE)), step=1)
    assert region.offset == (0, 0, 4)
    middle = region.mask[1, 15]
    assert np.flatnonzero(middle).tolist() == list(range(2, 10))  # columns 6 to 13
    assert region.mask[2, 15].sum() == 4

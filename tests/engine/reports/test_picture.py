from __future__ import annotations

import itertools
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from napari_sss.engine.reports import picture
from napari_sss.engine.reports.colours import colour_of
from napari_sss.engine.reports.picture import segmentation_picture
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.intensity import IntensityWindow

WINDOW = IntensityWindow(0, 300)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def drawn(volume, segmentation, panel, truth=None):
    """The axes of one panel, as the picture would draw it."""
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    view = volume.grid.canonical_view()
    picture._Painter(volume, segmentation, WINDOW, view, truth).draw(axes, panel)
    return axes


def test_it_is_a_png_with_the_colours_of_the_objects(volume, segmentation, truth):
    image = pixels(segmentation_picture(volume, segmentation, WINDOW, truth=truth.labels))
    assert image.shape[0] > 400
    assert image.shape[1] > 400
    for object_id in (1, 2):
        wanted = np.round(255 * np.asarray(colour_of(object_id)))
        assert np.any(np.all(np.abs(image - wanted) < 12, axis=-1))


def test_nothing_found_is_still_a_picture_of_the_scan(volume, segmentation):
    image = pixels(segmentation_picture(volume, replace(segmentation, objects=()), WINDOW))
    assert image.max() > 100


def test_pixels_have_the_proportions_of_the_body(volume, segmentation):
    # Axial: rows of 10 mm, columns of 5 mm. Sagittal: rows of 20 mm, columns of 10 mm.
    assert drawn(volume, segmentation, picture._Panel(0, 1)).get_aspect() == 2.0
    assert drawn(volume, segmentation, picture._Panel(2, 1)).get_aspect() == 2.0
    assert drawn(volume, segmentation, picture._Panel(1, 1)).get_aspect() == 4.0


def test_a_box_encloses_its_voxels(volume, segmentation):
    """The identity direction runs z upwards, so slice 1 of 4 is seen as slice 2."""
    axes = drawn(volume, segmentation, picture._Panel(0, 2))
    (box,) = (p for p in axes.patches if isinstance(p, Rectangle))
    # Box (1, 2)-(4, 4), maxima exclusive: columns 1 to 3 and rows 2 to 3.
    assert box.get_bbox().bounds == pytest.approx((0.5, 1.5, 3.0, 2.0))


def test_prompts_follow_a_flipped_axis(volume, segmentation):
    """With x running to the right, column c of 8 is seen as column 7 - c."""
    mirrored = Grid(
        volume.grid.shape, volume.grid.spacing, direction=(-1, 0, 0, 0, 1, 0, 0, 0, 1)
    )
    axes = drawn(
        replace(volume, grid=mirrored),
        replace(segmentation, grid=mirrored),
        picture._Panel(0, 2),
    )
    (box,) = (p for p in axes.patches if isinstance(p, Rectangle))
    # Columns 1 to 3 become 4 to 6: edges 3.5 to 6.5.
    assert box.get_bbox().bounds == pytest.approx((3.5, 1.5, 3.0, 2.0))
    (point,) = (c for c in axes.collections if isinstance(c, PathCollection))
    assert point.get_offsets().tolist() == [[5.0, 3.0]]  # x = 2 becomes 7 - 2


def test_prompts_and_masks_lie_on_the_same_voxels_after_a_transposition(volume, segmentation):
    """An array stored (X, Y, Z) is shown axial all the same, prompts included."""
    # Array axes Z, Y, X run along world x, y, -z: columns of the matrix are X, Y, Z.
    turned = Grid(volume.grid.shape, direction=(0, 0, 1, 0, 1, 0, -1, 0, 0))
    assert turned.canonical_view().order == (2, 1, 0)
    asked = replace(segmentation, grid=turned)
    panel = picture._Panel(2, 1)  # across world x: the array's slice z = 1
    axes = drawn(replace(volume, grid=turned), asked, panel)
    (box,) = (p for p in axes.patches if isinstance(p, Rectangle))
    # Down is now the array's x (columns 1 to 3), across its y (rows 2 to 3).
    assert box.get_bbox().bounds == pytest.approx((1.5, 0.5, 2.0, 3.0))


def test_the_letters_say_where_the_patient_lies(volume, segmentation):
    texts = [t.get_text() for t in drawn(volume, segmentation, picture._Panel(0, 1)).texts]
    assert texts == ["axial 1", "R", "L", "A", "P"]


def test_slices_of_the_largest_objects_are_chosen(volume, segmentation):
    view = volume.grid.canonical_view()
    panels = picture._chosen_panels(volume, segmentation, view)
    # Prompted slices 1 and 3 are seen as 2 and 0. Row 2 and column 1 hold most voxels: rows 2
    # and 3 have 6 each, columns 1 to 3 have 4 each, and the first of equals is taken.
    assert [(p.axis, p.index) for p in panels] == [(0, 0), (0, 2), (1, 2), (2, 1)]


def test_colours_of_neighbouring_ids_differ():
    colours = [np.asarray(colour_of(i)) for i in range(1, 8)]
    for one, other in itertools.pairwise(colours):
        assert np.abs(one - other).max() > 0.3

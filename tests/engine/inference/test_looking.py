"""Looking at slices: regions by hand, and the order of looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sss.engine.inference import looking
from napari_sss.engine.inference.looking import Look, labelled_region, look, region_of
from napari_sss.engine.models.sss.focus import WHOLE, Focus, Window

FOCUS = Focus(y=0.0, x=0.0, side=0.5, least=0.2, typical=0.2, most=0.2)


def squares(*boxes: tuple[int, int, int, int, int], side: int = 40) -> torch.Tensor:
    """Certain probabilities (1, 3, side, side): class, rows from, to, columns from, to."""
    labels = torch.zeros(1, side, side, dtype=torch.int64)
    for cls, r0, r1, c0, c1 in boxes:
        labels[0, r0:r1, c0:c1] = cls
    return torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()


def test_a_region_by_hand():
    # Rows 4 to 12 and columns 20 to 30 of 40 pixels that show half of the slice around
    # (0.2, -0.4): their middle, row 8 and column 25, lies at -0.6 and 0.25 of the window.
    seen = Look(Window(0.2, -0.4, 0.5), np.zeros(0), squares((1, 4, 12, 20, 30)))
    region = region_of(seen)
    assert region.y == pytest.approx(0.2 - 0.6 * 0.5)
    assert region.x == pytest.approx(-0.4 + 0.25 * 0.5)
    assert region.side == pytest.approx(10 / 40 * 0.5)


def test_small_pieces_of_a_class_do_not_count_and_small_classes_do():
    large, speck, small_class = (1, 0, 10, 0, 10), (1, 30, 34, 30, 34), (2, 12, 15, 0, 3)
    seen = Look(WHOLE, np.zeros(0), squares(large, speck, small_class))
    region = region_of(seen)
    # Rows 0 to 15, columns 0 to 10: the speck has 16 of 100 pixels, less than a quarter.
    assert region == Window(
        pytest.approx(15 / 40 - 1), pytest.approx(10 / 40 - 1), pytest.approx(15 / 40)
    )
    assert region_of(Look(WHOLE, np.zeros(0), squares())) is None


def test_the_labelled_region_leaves_out_what_is_not_known():
    labels = np.zeros((2, 20, 20), dtype=np.uint8)
    labels[0, 5:10, 5:15] = 1
    labels[1, 0:2, 0:2] = 255
    region = labelled_region(labels, labels != 255)
    assert region == Window(pytest.approx(-0.25), pytest.approx(0.0), pytest.approx(0.5))
    assert labelled_region(np.zeros((1, 8, 8)), np.ones((1, 8, 8), dtype=bool)) is None


class Scene:
    """A block of class 1 somewhere on the slice, seen through any window."""

    def __init__(self, monkeypatch, y: float, x: float, side: float) -> None:
        self.block = Window(y, x, side)
        self.looks: list[Window] = []
        monkeypatch.setattr(looking, "semantic_squares", self._probabilities)

    def see(self, window: Window) -> np.ndarray:
        self.looks.append(window)
        at = np.linspace(-1, 1, 81)[:-1] + 1 / 80
        ys, xs = window.y + window.side * at, window.x + window.side * at
        rows = np.abs(ys - self.block.y) < self.block.side
        columns = np.abs(xs - self.block.x) < self.block.side
        return (rows[:, None] & columns)[None]

    def _probabilities(self, segmenter, grey, *, check):
        inside = torch.from_numpy(grey)
        return torch.stack([~inside, inside], dim=1).float()


def test_first_where_it_lay_then_closer(monkeypatch):
    scene = Scene(monkeypatch, 0.1, -0.1, 0.2)
    seen = look(None, scene.see, FOCUS)
    assert scene.looks[0] == FOCUS.first
    assert len(scene.looks) == 2  # the third would show the same
    assert seen.window.y == pytest.approx(0.1, abs=0.02)
    assert seen.window.side == pytest.approx(1.6 * 0.2, abs=0.02)


def test_what_is_cut_off_is_followed(monkeypatch):
    scene = Scene(monkeypatch, 0.6, 0.0, 0.2)  # half of it beyond the first look
    seen = look(None, scene.see, FOCUS)
    assert len(scene.looks) == 3
    assert seen.window.y == pytest.approx(0.6, abs=0.05)


def test_what_lies_elsewhere_is_looked_for_on_the_whole_slice(monkeypatch):
    scene = Scene(monkeypatch, 0.8, 0.8, 0.1)
    seen = look(None, scene.see, FOCUS)
    assert scene.looks[:2] == [FOCUS.first, WHOLE]
    assert seen.window.y == pytest.approx(0.8, abs=0.05)


def test_without_a_focus_there_is_one_look(monkeypatch):
    scene = Scene(monkeypatch, 0.0, 0.0, 0.2)
    assert look(None, scene.see, None).window == WHOLE
    assert scene.looks == [WHOLE]


def test_a_look_on_the_whole_slices():
    seen = Look(Window(0.0, 0.5, 0.5), np.zeros(0), squares((1, 0, 40, 0, 20)))
    found = seen.on_whole(80, 1)
    # The left half of the window: rows 20 to 60, columns 40 to 60 of 80.
    inside = np.zeros((80, 80), dtype=bool)
    inside[20:60, 40:60] = True
    assert ((found[0] > 0.5) == inside).all()
    assert found[0, :19].max() == 0

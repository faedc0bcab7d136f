"""What a training learns of where to look, by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from napari_sss.engine.models.sss.focus import WHOLE, Focus, Window


def test_the_first_look_holds_every_region_with_room():
    # Regions of a fifth of the side reach 0.3 around their centres with their room (a
    # quarter of the region on each side): y from -0.5 to 0.5, x from -0.3 to 0.5.
    focus = Focus.learned([Window(-0.2, 0.0, 0.2), Window(0.2, 0.2, 0.2)])
    assert (focus.y, focus.x) == pytest.approx((0.0, 0.1))
    assert focus.side == pytest.approx(1.0 / 2 + 2 * 0.03)
    assert (focus.least, focus.typical, focus.most) == (0.2, 0.2, 0.2)


def test_the_first_look_stays_on_the_slice():
    focus = Focus.learned([Window(0.8, 0.0, 0.2)])
    assert focus.y + focus.side == pytest.approx(1.0)
    assert focus.x == 0.0


@pytest.mark.parametrize(("side", "focused"), [(0.5, True), (0.6, False)])
def test_no_focus_where_little_would_be_gained(side, focused):
    # 1.6 * 1.15 * 0.5 = 0.92, and 1.10 for 0.6.
    assert (Focus.learned([Window(0, 0, side)]) is not None) is focused


def test_no_focus_where_sizes_are_those_of_lesions():
    assert Focus.learned([Window(0, 0, 0.1), Window(0, 0, 0.29)]) is not None
    assert Focus.learned([Window(0, 0, 0.1), Window(0, 0, 0.31)]) is None


def test_no_focus_without_labels():
    assert Focus.learned([]) is None


def test_a_closer_look_believes_only_sizes_seen_in_training():
    focus = Focus(y=0, x=0, side=0.8, least=0.2, typical=0.25, most=0.3)
    assert focus.closer(Window(0.1, 0.2, 0.25)) == Window(0.1, 0.2, 0.25 * 1.6)
    assert focus.closer(Window(0, 0, 0.01)).side == pytest.approx(0.8 * 0.2 * 1.6)
    assert focus.closer(Window(0, 0, 0.9)).side == pytest.approx(1.25 * 0.3 * 1.6)


def test_windows_that_show_nearly_the_same():
    window = Window(0.0, 0.0, 0.5)
    assert window.near(Window(0.04, 0.0, 0.52))  # moved by 0.02 of the slice, of 0.05
    assert not window.near(Window(0.12, 0.0, 0.5))
    assert not window.near(Window(0.0, 0.0, 0.6))


def test_a_window_and_back():
    square = torch.rand(1, 1, 64, 64)
    window = Window(0.25, -0.25, 0.5)
    part = F.grid_sample(
        square, F.affine_grid(window.theta(), [1, 1, 32, 32], False), align_corners=False
    )
    # Half the side around row 40 and column 24: rows 24 to 56, columns 8 to 40.
    torch.testing.assert_close(part[0, 0], square[0, 0, 24:56, 8:40], atol=1e-4, rtol=0)
    again = F.grid_sample(
        part, F.affine_grid(window.inverse(), [1, 1, 64, 64], False), align_corners=False
    )
    torch.testing.assert_close(
        again[0, 0, 25:55, 9:39], square[0, 0, 25:55, 9:39], atol=1e-4, rtol=0
    )
    assert float(again[0, 0, :20].abs().max()) == 0
    assert WHOLE.theta().tolist() == [[[1, 0, 0], [0, 1, 0]]]

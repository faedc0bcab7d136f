"""Where volumes' classes lie, and the views that look there."""

from __future__ import annotations

import torch

from napari_sss.engine.models.sss.focus import Focus, Window
from napari_sss.engine.training.data.sampling import SliceBatch
from napari_sss.engine.training.data.warps import (
    CLOSENESS,
    FIRST_LOOKS,
    OFF_CENTRE,
    Warp,
    WarpRange,
)
from napari_sss.engine.training.data.whereabouts import Whereabouts

FOCUS = Focus(y=0.1, x=0.0, side=0.7, least=0.2, typical=0.25, most=0.3)
REGION = Window(-0.2, 0.3, 0.2)


def batch(*numbers: int) -> SliceBatch:
    nothing = torch.zeros(len(numbers), 4, 4)
    slices = tuple((n, 0) for n in numbers)
    return SliceBatch(slices, nothing, nothing.to(torch.uint8), nothing.int())


def test_volumes_are_due_until_they_were_looked_at_and_again_with_age():
    where = Whereabouts(FOCUS, {0: REGION})
    assert where.due(batch(0, 1, 2, 1), 5, 10) == [1, 2]
    where.found(1, REGION, 5)
    where.found(2, None, 5)
    assert where.due(batch(0, 1, 2), 14, 10) == []
    assert where.due(batch(0, 1, 2), 15, 10) == [1, 2]
    assert (where.of(0), where.of(1), where.of(2)) == (REGION, REGION, None)


def test_a_look_that_finds_nothing_keeps_what_was_known():
    where = Whereabouts(FOCUS)
    where.found(1, REGION, 0)
    where.found(1, None, 50)
    assert where.of(1) == REGION


def test_nothing_is_due_without_a_focus_or_with_cached_views():
    assert Whereabouts(None).due(batch(1), 0, 1) == []
    fixed = Whereabouts(FOCUS, {0: REGION}, fixed=True)
    assert fixed.due(batch(1), 0, 1) == []
    fixed.found(1, REGION, 0)
    assert fixed.of(1) is None


def test_whereabouts_survive_a_checkpoint():
    where = Whereabouts(FOCUS, {0: REGION})
    where.found(1, REGION, 5)
    where.found(2, None, 7)
    again = Whereabouts(FOCUS, {0: REGION})
    again.restore(where.state())
    assert again.of(1) == REGION
    assert again.due(batch(1, 2), 16, 10) == [1]


def test_views_look_closely_at_the_region_or_as_first_looks():
    limits = WarpRange(flips=False, turn=0.0, focus=FOCUS)
    generator = torch.Generator().manual_seed(0)
    warp = Warp.draw(2000, limits, generator, [REGION] * 2000)
    # Without turns the diagonal is the scale times the stretch and its inverse.
    scale = (warp.theta[:, 0, 0] * warp.theta[:, 1, 1]).sqrt()
    close = scale <= CLOSENESS[1] * REGION.side + 1e-6
    assert abs(float((~close).float().mean()) - FIRST_LOOKS) < 0.03
    assert float(scale.min()) >= CLOSENESS[0] * REGION.side - 1e-6
    # The region's centre is never further from the view's than what is left of the view,
    # and a quarter of the region.
    off = (warp.theta[close, :, 2] - torch.tensor([REGION.x, REGION.y])).abs().amax(dim=1)
    assert bool((off <= scale[close] - REGION.side + OFF_CENTRE * REGION.side + 1e-6).all())


def test_where_a_region_is_not_known_views_lie_within_the_first_look():
    limits = WarpRange(flips=False, turn=0.0, focus=FOCUS)
    warp = Warp.draw(500, limits, torch.Generator().manual_seed(0), [None] * 500)
    assert abs(float(warp.theta[:, 1, 2].mean()) - FOCUS.y) < 0.05
    assert float(warp.theta[:, :, 2].std()) > 0.1


def test_a_bend_moves_image_and_labels_alike():
    limits = WarpRange(flips=False, turn=0.0, zoom=(1.0, 1.0), shift=0.0, bend=0.3)
    warp = Warp.draw(8, limits, torch.Generator().manual_seed(1))
    grey = torch.zeros(8, 64, 64)
    grey[:, 20:44, 20:44] = 1.0
    seen, labels = warp.images(grey, 32), warp.maps(grey.to(torch.uint8), 0, 32)
    assert seen.shape == labels.shape == (8, 32, 32)
    moved = [i for i in range(8) if float(warp.bend[i].abs().max()) > 0]
    assert 0 < len(moved) < 8
    straight = Warp.identity(8).images(grey, 32)
    assert all(not torch.allclose(seen[i], straight[i]) for i in moved)
    assert float(((seen > 0.5) != (labels > 0)).float().mean()) < 0.02

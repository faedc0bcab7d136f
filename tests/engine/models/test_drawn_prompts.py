"""What the drawing prompt encoder draws, checked by hand on a 64 pixel image."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from napari_sss.engine.models.drawn_prompts import DrawnPromptEncoder

# 64 pixels, drawn at a quarter: 16 cells of 4 pixels. Coordinates are pixel centres, so that
# pixel 0 begins at -0.5.
SIDE = 64


@pytest.fixture(scope="module")
def encoder() -> DrawnPromptEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DrawnPromptEncoder(32, (4, 4), (SIDE, SIDE)).eval()


@pytest.fixture
def drawn(encoder):
    """The four channels that the encoder draws for some labelled points."""
    seen: list[torch.Tensor] = []
    handle = encoder.mask_downscaling.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )

    def draw(coordinates, labels, masks=None) -> torch.Tensor:
        points = torch.tensor([coordinates], dtype=torch.float32), torch.tensor([labels])
        with torch.no_grad():
            encoder(points=points, boxes=None, masks=masks)
        return seen[-1][0]

    yield draw
    handle.remove()


def test_a_box_covers_its_cells(drawn):
    # Pixels 8..23 across are cells 2..5, pixels 4..11 down are cells 1..2.
    box = drawn([[7.5, 3.5], [23.5, 11.5]], [2, 3])[1]
    inside = box > 0
    assert inside.nonzero().amin(0).tolist() == [1, 2]
    assert inside.nonzero().amax(0).tolist() == [2, 5]
    assert set(box.unique().tolist()) == {-1.0, 1.0}


def test_a_cell_half_inside_the_box_is_half_covered(drawn):
    # From the middle of cell 2 (pixel edge 10) on: coverage 1/2 becomes 2 * 1/2 - 1 = 0.
    box = drawn([[9.5, -0.5], [23.5, 63.5]], [2, 3])[1]
    assert box[8, 1:4].tolist() == pytest.approx([-1.0, 0.0, 1.0])


def test_without_a_box_its_channel_is_empty(drawn):
    assert drawn([[20.0, 20.0]], [1])[1].abs().max() == 0


@pytest.mark.parametrize(("label", "channel", "other"), [(1, 2, 3), (0, 3, 2)])
def test_a_click_is_a_spot_on_its_own_channel(drawn, label, channel, other):
    # Pixel centre (21.5, 41.5) is the middle of cell 5 across, 10 down.
    picture = drawn([[21.5, 41.5]], [label])
    spot = picture[channel]
    assert divmod(int(spot.argmax()), 16) == (10, 5)
    assert spot.max() == pytest.approx(4.0)
    assert picture[other].abs().max() == 0


def test_a_spot_falls_off_as_a_gaussian(drawn):
    # Sigma is 0.02 of 16 cells, 0.32: a cell away it is 4 exp(-1 / (2 * 0.32^2)).
    spot = drawn([[21.5, 41.5]], [1])[2]
    expected = 4 * math.exp(-1 / (2 * 0.32**2))
    assert spot[10, 4] == pytest.approx(expected, rel=1e-4)
    assert spot[11, 5] == pytest.approx(expected, rel=1e-4)
    assert spot[12, 5] < 1e-7


def test_spots_do_not_add_up(drawn):
    one = drawn([[21.5, 41.5]], [1])[2]
    assert torch.equal(drawn([[21.5, 41.5], [21.5, 41.5]], [1, 1])[2], one)


def test_padding_points_draw_nothing(drawn):
    picture = drawn([[21.5, 41.5], [0.0, 0.0]], [1, -1])
    assert torch.equal(picture, drawn([[21.5, 41.5]], [1]))


def test_a_previous_mask_is_clamped(drawn):
    masks = torch.full((1, 1, 16, 16), 100.0)
    assert drawn([[0.0, 0.0]], [1], masks)[0].unique().tolist() == [2.0]  # 8 / 4


def test_a_mask_of_another_size_is_resampled(drawn):
    masks = torch.zeros(1, 1, 64, 64)
    masks[..., :32] = 4.0
    channel = drawn([[0.0, 0.0]], [1], masks)[0]
    torch.testing.assert_close(channel[:, :7], torch.ones(16, 7))  # 4 / 4
    torch.testing.assert_close(channel[:, 9:], torch.zeros(16, 7))


def test_masks_alone_are_a_batch_of_prompts(encoder):
    masks = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    padding = torch.zeros(3, 1, 2), -torch.ones(3, 1, dtype=torch.int32)
    with torch.no_grad():
        sparse, dense = encoder(points=None, boxes=None, masks=masks)
        _, expected = encoder(points=padding, boxes=None, masks=masks)
    assert sparse.shape == (3, 0, 32)
    assert torch.equal(dense, expected)


def test_each_object_of_a_batch_has_its_own_drawing(encoder):
    points = torch.tensor([[[20.0, 30.0]], [[50.0, 10.0]], [[0.0, 0.0]]])
    labels = torch.tensor([[1], [0], [-1]])
    with torch.no_grad():
        together = encoder(points=(points, labels), boxes=None, masks=None)[1]
        for row in range(3):
            alone = encoder(
                points=(points[row : row + 1], labels[row : row + 1]), boxes=None, masks=None
            )[1]
            torch.testing.assert_close(together[row : row + 1], alone)


@pytest.mark.parametrize("given", ["points", "boxes", "masks", "nothing"])
def test_everything_is_made_on_the_encoders_device(encoder, given):
    elsewhere = copy.deepcopy(encoder).to("meta")
    prompts = {"points": None, "boxes": None, "masks": None}
    if given == "points":
        prompts["points"] = (
            torch.zeros(2, 3, 2, device="meta"),
            torch.ones(2, 3, dtype=torch.int32, device="meta"),
        )
    elif given == "boxes":
        prompts["boxes"] = torch.zeros(2, 4, device="meta")
    elif given == "masks":
        prompts["masks"] = torch.zeros(2, 1, 16, 16, device="meta")
    sparse, dense = elsewhere(**prompts)
    assert sparse.device.type == dense.device.type == "meta"
    assert len(sparse) == len(dense) == (1 if given == "nothing" else 2)


def test_drawing_commutes_with_mirroring(drawn):
    points, labels = [[10.0, 20.0], [30.0, 50.0], [40.0, 8.0], [9.0, 9.0]], [2, 3, 1, 0]
    # Pixel centre x mirrors to 63 - x; the box's corners change places across.
    mirrored = [[63 - 30.0, 20.0], [63 - 10.0, 50.0], [63 - 40.0, 8.0], [63 - 9.0, 9.0]]
    torch.testing.assert_close(drawn(points, labels).flip(-1), drawn(mirrored, labels))


def test_without_prompts_sam2s_own_dense_embedding_stands(encoder):
    padding = torch.zeros(2, 1, 2), -torch.ones(2, 1, dtype=torch.int32)
    with torch.no_grad():
        _, dense = encoder(points=padding, boxes=None, masks=None)
    expected = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(2, -1, 4, 4)
    assert torch.equal(dense, expected)


def test_a_box_is_the_same_prompt_as_its_two_corners(encoder):
    corners = torch.tensor([[[8.0, 4.0], [23.0, 11.0]]])
    with torch.no_grad():
        as_box = encoder(points=None, boxes=corners.reshape(1, 4), masks=None)
        as_points = encoder(points=(corners, torch.tensor([[2, 3]])), boxes=None, masks=None)
    assert torch.equal(as_box[1], as_points[1])

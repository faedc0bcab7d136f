"""What the model answers to the clicks of a tile, and which answers are believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from napari_sss.engine.inference.everything.config import EverythingConfig
from napari_sss.engine.inference.everything.judging import plausible, scores_of
from napari_sss.engine.inference.everything.point_grid import Tile
from napari_sss.engine.inference.everything.sections import Section, suppress
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.models.drawn_prompts import POSITIVE
from napari_sss.engine.models.memory import move_model, run_with_fallback
from napari_sss.engine.models.sam2_model import Decoded, Features, PointPrompts

TILES_TOGETHER = 8  # encoded as one batch; cancelling waits for one such batch at most
CLICKS_TOGETHER = 64


def click_tiles(
    stack: SliceStack,
    index: int,
    tiles: Sequence[Tile],
    config: EverythingConfig,
    check: Callable[[], None] = lambda: None,
) -> list[Section]:
    """The believed masks of all tiles of a slice.

    Parameters
    ----------
    stack : SliceStack
        The slices, and the model.
    index : int
        Which slice.
    tiles : sequence of Tile
        Where to click.
    config : EverythingConfig
        Which masks are believed.
    check : callable
        Called before each batch of tiles; may raise to cancel.

    Raises
    ------
    DeviceError
        Where not even the CPU's memory suffices for one tile.
    """
    grey, side = stack.grey(index), stack.model.image_size

    def sections(some: Sequence[Tile], device: torch.device) -> list[list[Section]]:
        check()
        with stack.model.inference():
            images = torch.stack([tile.frame.cut(grey, side) for tile in some])
            features = stack.model.encode(images)
            return [
                _believed(
                    stack, index, tile, images[row : row + 1], features[row : row + 1], config
                )
                for row, tile in enumerate(some)
            ]

    found = run_with_fallback(
        sections,
        tiles,
        batch=TILES_TOGETHER,
        device=stack.model.device,
        move=partial(move_model, stack.model),
    )
    return [section for tile in found.outputs for section in tile]


def _believed(
    stack: SliceStack,
    index: int,
    tile: Tile,
    grey: Tensor,
    features: Features,
    config: EverythingConfig,
) -> list[Section]:
    """The masks of one tile that pass every test, without repeats.

    ``grey`` (1, S, S) is the tile as the model sees it, ``features`` what it makes of it.
    """
    side = stack.model.image_size
    clicks = torch.from_numpy(tile.frame.to_crop(tile.points, side))
    logits, scores = [], []
    for first in range(0, len(clicks), CLICKS_TOGETHER):
        some = clicks[first : first + CLICKS_TOGETHER]
        decoded = _answers(stack, some, features)
        passed = plausible(decoded, some, tile.frame, stack.shape, side, config)
        logits.append(decoded.logits[passed])
        scores.append(scores_of(decoded, grey)[passed])
    return _pasted(stack, index, tile, torch.cat(logits), torch.cat(scores), config.same_iou)


def _answers(stack: SliceStack, clicks: Tensor, features: Features) -> Decoded:
    """Three masks for each of N clicks (N, 2) that share one tile's features."""
    shared = features.repeated(len(clicks))
    labels = torch.full((len(clicks), 1), POSITIVE, dtype=torch.int64)
    return stack.model.decode(
        shared,
        stack.model.without_memory(shared),
        PointPrompts(clicks[:, None], labels),
        multimask=True,
    )


def _pasted(
    stack: SliceStack,
    index: int,
    tile: Tile,
    logits: Tensor,
    scores: Tensor,
    same_iou: float,
) -> list[Section]:
    """Masks (K, S/4, S/4) of a tile as sections of the slice, each object once."""
    flat = (logits > 0).flatten(1).float().cpu().numpy()
    kept = suppress(flat, scores.double().cpu().numpy(), same_iou)
    sections = []
    for row in kept:
        upsampled = stack.model.upsample(logits[row][None, None])[0, 0]
        offset, patch = tile.frame.paste(torch.sigmoid(upsampled), stack.shape)
        section = Section.of(index, offset, patch > 0.5, float(scores[row]))
        if section is not None:
            sections.append(section)
    return sections

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
from napari_sss.engine.models.sam2_model import Decoded, Features, PointPrompts, Sam2Model

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
            answers = _answers(stack.model, some, stack.model.encode(images))
            return [
                _believed(stack, index, tile, images[row : row + 1], answer, config)
                for row, (tile, answer) in enumerate(zip(some, answers, strict=True))
            ]

    found = run_with_fallback(
        sections,
        tiles,
        batch=TILES_TOGETHER,
        device=stack.model.device,
        move=partial(move_model, stack.model),
    )
    return [section for tile in found.outputs for section in tile]


def _answers(model: Sam2Model, tiles: Sequence[Tile], features: Features) -> list[Decoded]:
    """Three masks for each click, tile by tile.

    The clicks of several tiles are decoded together: a tile alone has too few to keep a
    processor busy.
    """
    clicks = torch.cat([_clicks(tile, model.image_size) for tile in tiles])
    counts = [len(tile.points) for tile in tiles]
    rows = torch.repeat_interleave(torch.arange(len(tiles)), torch.tensor(counts))
    parts: list[Decoded] = []
    for first in range(0, len(clicks), CLICKS_TOGETHER):
        chosen = slice(first, first + CLICKS_TOGETHER)
        shared = features[rows[chosen]]
        labels = torch.full((len(shared), 1), POSITIVE, dtype=torch.int64)
        prompts = PointPrompts(clicks[chosen][:, None], labels)
        parts.append(
            model.decode(shared, model.without_memory(shared), prompts, multimask=True)
        )
    logits = torch.cat([part.logits for part in parts]).split(counts)
    ious = torch.cat([part.ious for part in parts]).split(counts)
    scores = torch.cat([part.object_score for part in parts]).split(counts)
    pointers = torch.cat([part.pointers for part in parts]).split(counts)
    return [Decoded(*answer) for answer in zip(logits, ious, scores, pointers, strict=True)]


def _clicks(tile: Tile, side: int) -> Tensor:
    """A tile's points (N, 2) in pixels of the model's input."""
    return torch.from_numpy(tile.frame.to_crop(tile.points, side))


def _believed(
    stack: SliceStack,
    index: int,
    tile: Tile,
    grey: Tensor,
    answer: Decoded,
    config: EverythingConfig,
) -> list[Section]:
    """The masks of one tile (1, S, S) that pass every test, without repeats."""
    side = stack.model.image_size
    passed = plausible(answer, _clicks(tile, side), tile.frame, stack.shape, side, config)
    scores = scores_of(answer, grey)
    return _pasted(stack, index, tile, answer.logits[passed], scores[passed], config.same_iou)


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

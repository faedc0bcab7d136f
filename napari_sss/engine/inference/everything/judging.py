"""Which of the model's masks may be a whole object's, and how surely."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.everything.config import EverythingConfig
from napari_sss.engine.inference.everything.evidence import outline_evidence
from napari_sss.engine.models.sam2_model import Decoded

STABILITY_LOGIT = 1.0


def certainty(decoded: Decoded) -> Tensor:
    """What the model says for its masks, (B, M), 0 to 1: predicted IoU times stability."""
    return decoded.ious.clamp(0, 1) * stability(decoded.logits)


def scores_of(decoded: Decoded, grey: Tensor) -> Tensor:
    """How surely each mask is an object, (B, M), 0 to 1.

    The geometric mean of what the model says and of what the image says.

    Parameters
    ----------
    decoded : Decoded
        B objects with M masks each.
    grey : (B or 1, S, S) tensor
        The crops they lie in.
    """
    return (certainty(decoded) * outline_evidence(grey, decoded.logits > 0)).sqrt()


def plausible(
    decoded: Decoded,
    clicks: Tensor,
    frame: CropFrame,
    shape: tuple[int, int],
    side: int,
    config: EverythingConfig,
) -> Tensor:
    """Which masks may be a whole object's, (B, M).

    Parameters
    ----------
    decoded : Decoded
        B clicks with M masks each.
    clicks : (B, 2) tensor
        ``x, y`` in pixels of the tile.
    frame : CropFrame
        The tile.
    shape : (int, int)
        Rows and columns of the slice.
    side : int
        Of the model's input, pixels.
    config : EverythingConfig
        The limits.

    Returns
    -------
    (B, M) bool tensor
        The mask holds its click, is sure and stable, does not run out of the tile, and its
        longer side is a fitting share of the tile's.
    """
    inside = decoded.logits > 0
    shares = _longer_sides(inside)
    return (
        (decoded.ious >= config.least_iou)
        & (stability(decoded.logits) >= config.least_stability)
        & (shares >= config.object_share[0])
        & (shares <= config.object_share[1])
        & _hold(inside, clicks, side)
        & ~_run_out(inside, frame, shape)
    )


def stability(logits: Tensor) -> Tensor:
    """IoU of each mask (B, M, H, W) thresholded a little higher and a little lower."""
    tight = (logits > STABILITY_LOGIT).sum(dim=(-2, -1))
    loose = (logits > -STABILITY_LOGIT).sum(dim=(-2, -1))
    return tight / loose.clamp(min=1)


def _longer_sides(inside: Tensor) -> Tensor:
    """The longer side of each mask's box, as a share of the tile's."""

    def extent(occupied: Tensor) -> Tensor:
        count = occupied.shape[-1]
        first = occupied.float().argmax(dim=-1)
        last = count - 1 - occupied.flip(-1).float().argmax(dim=-1)
        return torch.where(occupied.any(dim=-1), last - first + 1, 0) / count

    return torch.maximum(extent(inside.any(dim=-1)), extent(inside.any(dim=-2)))


def _hold(inside: Tensor, clicks: Tensor, side: int) -> Tensor:
    """Whether each mask covers the click it answers."""
    cells = inside.shape[-1]
    places = ((clicks + 0.5) * cells / side).long().clamp(0, cells - 1).to(inside.device)
    rows = torch.arange(len(inside), device=inside.device)
    return inside[rows, :, places[:, 1], places[:, 0]]


def _run_out(inside: Tensor, frame: CropFrame, shape: tuple[int, int]) -> Tensor:
    """Whether each mask reaches a side of the tile beyond which the slice goes on."""
    out = torch.zeros(inside.shape[:2], dtype=torch.bool, device=inside.device)
    if frame.row > 0:
        out |= inside[:, :, 0].any(dim=-1)
    if frame.row + frame.rows < shape[0]:
        out |= inside[:, :, -1].any(dim=-1)
    if frame.column > 0:
        out |= inside[:, :, :, 0].any(dim=-1)
    if frame.column + frame.columns < shape[1]:
        out |= inside[:, :, :, -1].any(dim=-1)
    return out

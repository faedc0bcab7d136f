"""Class probabilities of a whole volume from a trained semantic head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sss.engine.models.sss.segmenter import Segmenter, semantic_probabilities

SLICES_AT_ONCE = 16


@torch.no_grad()
def semantic_squares(
    segmenter: Segmenter,
    grey: NDArray[Any],
    *,
    check: Callable[[], None] = lambda: None,
) -> Tensor:
    """The head's class probabilities of a stack of squares.

    Parameters
    ----------
    segmenter : Segmenter
        Put into evaluation mode for the time being.
    grey : (Z, S, S) array
        0 to 1.
    check : callable
        Called before each batch; may raise to cancel.

    Returns
    -------
    (Z, K + 1, S, S) float32 tensor
        On the CPU.
    """
    was_training = segmenter.training
    segmenter.eval()
    parts = []
    try:
        for start in range(0, len(grey), SLICES_AT_ONCE):
            check()
            images = torch.from_numpy(grey[start : start + SLICES_AT_ONCE]).float()
            with segmenter.sam2.autocast():
                logits = segmenter.classify(segmenter.enhance(segmenter.encode(images)))
            parts.append(semantic_probabilities(logits).cpu())
    finally:
        segmenter.train(was_training)
    return torch.cat(parts)

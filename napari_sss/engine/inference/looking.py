"""Looking at slices with a trained model: first where its classes lay, then closer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_sss.engine.inference.semantic import semantic_squares
from napari_sss.engine.models.sss.focus import WHOLE, Focus, Window
from napari_sss.engine.models.sss.segmenter import Segmenter
from napari_sss.engine.prompts.components import find_components

CLOSER_LOOKS = 2  # the second one where the first had more to show than was in view
PIECE = 0.25  # of a class's largest piece: smaller ones are not looked at closer


@dataclass(frozen=True)
class Look:
    """What a model makes of a window.

    Parameters
    ----------
    window : Window
        The part of the slices that is seen.
    grey : (Z, S, S) array
        What is seen, 0 to 1.
    squares : (Z, K + 1, S, S) float32 tensor
        Class probabilities, on the CPU.
    """

    window: Window
    grey: NDArray[Any]
    squares: Tensor

    def on_whole(self, side: int, place: int) -> NDArray[np.float32]:
        """A class's probabilities on the whole slices, (Z, side, side); 0 out of view."""
        values = self.squares[:, place : place + 1]
        if self.window == WHOLE and values.shape[-1] == side:
            return np.ascontiguousarray(values[:, 0].numpy())
        theta = self.window.inverse().expand(len(values), 2, 3)
        grid = F.affine_grid(theta, [len(values), 1, side, side], align_corners=False)
        sampled = F.grid_sample(values, grid, padding_mode="zeros", align_corners=False)
        return np.ascontiguousarray(sampled[:, 0].numpy())


def look(
    segmenter: Segmenter,
    see: Callable[[Window], NDArray[Any]],
    focus: Focus | None,
    check: Callable[[], None] = lambda: None,
) -> Look:
    """Look at slices: once where there is no focus, else first and then closer.

    Where the first look finds nothing the whole slices are looked at.

    Parameters
    ----------
    segmenter : Segmenter
        The model.
    see : callable
        From a window to its grey squares (Z, S, S).
    focus : Focus, optional
        What the model learned of where to look.
    check : callable
        May raise to cancel.
    """

    def seen(window: Window) -> Look:
        grey = see(window)
        return Look(window, grey, semantic_squares(segmenter, grey, check=check))

    if focus is None:
        return seen(WHOLE)
    latest = seen(focus.first)
    region = region_of(latest)
    if region is None and focus.side < 1:
        elsewhere = seen(WHOLE)
        region = region_of(elsewhere)
    for _ in range(CLOSER_LOOKS):
        if region is None or focus.closer(region).near(latest.window):
            break
        closer = seen(focus.closer(region))
        region = region_of(closer)
        if region is not None:
            latest = closer
    return latest


def region_of(look: Look) -> Window | None:
    """The square around the large pieces of every class in a look; None where it is empty."""
    found = find_components(look.squares.argmax(dim=1).numpy().astype(np.uint8))
    if not found.count:
        return None
    labels = look.squares.argmax(dim=1).numpy()
    bounds = []
    largest: dict[int, int] = {}
    for piece in found.largest_first():
        box = found.slices(int(piece))
        cls = int(labels[box][found.labels[box] == piece][0])
        voxels = int(found.voxels[piece])
        if voxels >= PIECE * largest.setdefault(cls, voxels):
            bounds.append(found.bounds[piece][1:])
    return _window(np.array(bounds), labels.shape[-1], look.window)


def labelled_region(labels: NDArray[Any], known: NDArray[np.bool_]) -> Window | None:
    """The square around everything labelled in square slices (Z, S, S)."""
    inside = (labels > 0) & known
    rows, columns = (np.flatnonzero(inside.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if not len(rows):
        return None
    bounds = np.array([[[rows[0], rows[-1] + 1], [columns[0], columns[-1] + 1]]])
    return _window(bounds, labels.shape[-1], WHOLE)


def _window(bounds: NDArray[Any], side: int, inside: Window) -> Window:
    """Around boxes (N, 2, 2) of rows and columns, in pixels of a window of ``side`` pixels."""
    first, last = bounds[:, :, 0].min(axis=0), bounds[:, :, 1].max(axis=0)
    middle = ((first + last) / side - 1) * inside.side
    return Window(
        inside.y + float(middle[0]),
        inside.x + float(middle[1]),
        float((last - first).max()) / side * inside.side,
    )

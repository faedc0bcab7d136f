"""Where a trained model looks: the part of the slices that its classes fill.

An organ that takes a quarter of a slice's side takes a sixteenth of its pixels: seen whole,
a small model is left with a few cells of its finest features for it. So a training learns
from the labels where their classes lie and how large they are. A model then looks twice: at
the part of the slices where the classes lay in training, and closer, at what it found there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

CONTEXT = 1.6  # side of a close look as a multiple of what it is to show
WORTH_IT = 1.15  # a smaller magnification is not worth a look of its own
MOVED = 0.1  # of a window's side; less needs no further look

_ROOM = 0.25  # around each labelled region in the first look, share of the region
_MARGIN = 0.03  # and share of the slice
_ALIKE = 3.0  # times the smallest region: organs differ by less
_SMALLER, _LARGER = 0.8, 1.25  # than any labelled region: what is believed of a found one


@dataclass(frozen=True)
class Window:
    """A square part of the square around a slice.

    Parameters
    ----------
    y, x : float
        Its centre, -1 to 1 over the whole square.
    side : float
        Share of the whole square's side, above 0.
    """

    y: float
    x: float
    side: float

    def near(self, other: Window) -> bool:
        """Whether another window shows nearly the same."""
        least = MOVED * min(self.side, other.side)
        far = max(abs(self.y - other.y) / 2, abs(self.x - other.x) / 2)
        return far < least and abs(self.side - other.side) < least

    def theta(self) -> Tensor:
        """(1, 2, 3): from the window to the whole square, for ``affine_grid``."""
        return torch.tensor([[[self.side, 0.0, self.x], [0.0, self.side, self.y]]])

    def inverse(self) -> Tensor:
        """(1, 2, 3): from the whole square to the window."""
        s = self.side
        return torch.tensor([[[1 / s, 0.0, -self.x / s], [0.0, 1 / s, -self.y / s]]])


WHOLE = Window(0.0, 0.0, 1.0)


class Focus(BaseModel):
    """What a training learned of where to look; stored in a trained model's card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    y: float = Field(description="Centre of the first look, -1 to 1.")
    x: float = Field(description="Centre of the first look, -1 to 1.")
    side: float = Field(gt=0, le=1, description="Side of the first look, share of the slice's.")
    least: float = Field(gt=0, le=1, description="Side of the smallest labelled region.")
    typical: float = Field(gt=0, le=1, description="Side of the median labelled region.")
    most: float = Field(gt=0, le=1, description="Side of the largest labelled region.")

    @property
    def first(self) -> Window:
        """The first look."""
        return Window(self.y, self.x, self.side)

    def closer(self, region: Window) -> Window:
        """The look at a found region; sizes never seen in training are not believed."""
        side = min(max(region.side, _SMALLER * self.least), _LARGER * self.most)
        return Window(region.y, region.x, min(1.0, CONTEXT * side))

    @classmethod
    def learned(cls, regions: Sequence[Window]) -> Focus | None:
        """From the labelled regions; None where whole slices are to be seen.

        That is where they show the regions as well, and where regions differ so much in size
        that they are scattered lesions rather than organs: a closer look would lose some.
        The first look holds every labelled region with a quarter of its side around it.
        """
        if not regions:
            return None
        sides = sorted(region.side for region in regions)
        typical = float(np.median(sides))
        if CONTEXT * typical * WORTH_IT > 1 or sides[-1] > _ALIKE * sides[0]:
            return None
        (y, tall), (x, wide) = (
            _spanned([(getattr(r, axis), (1 + 2 * _ROOM) * r.side) for r in regions])
            for axis in ("y", "x")
        )
        side = min(1.0, max(tall, wide) + 2 * _MARGIN)
        y, x = (min(max(centre, side - 1), 1 - side) for centre in (y, x))
        return cls(y=y, x=x, side=side, least=sides[0], typical=typical, most=sides[-1])


def _spanned(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Centre (-1 to 1) and length (share) of what spans several such parts."""
    first = min(centre - length for centre, length in parts)
    last = max(centre + length for centre, length in parts)
    return (first + last) / 2, (last - first) / 2

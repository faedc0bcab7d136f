"""One colour for each object id, the same wherever objects are drawn."""

from __future__ import annotations

import colorsys

Colour = tuple[float, float, float]

_GOLDEN_TURN = 0.6180339887498949


def colour_of(object_id: int) -> Colour:
    """Red, green and blue (0 to 1) of an object; neighbouring ids differ clearly in hue."""
    hue = (0.02 + _GOLDEN_TURN * (object_id - 1)) % 1.0
    return colorsys.hsv_to_rgb(hue, 0.75, 1.0)

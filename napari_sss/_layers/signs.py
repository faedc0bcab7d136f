"""How positive and negative look: told apart by colour and by shape."""

from __future__ import annotations

COLOURS = {True: "#56B4E9", False: "#D55E00"}
"""Okabe and Ito's sky blue and vermilion, told apart with every kind of colour vision."""

SYMBOLS = {True: "disc", False: "x"}
"""Of points: what belongs is a disc, what does not a cross."""

GLYPHS = {True: "+", False: "−"}
"""Written at scribbles and lassos, and on the sign's button."""

WORDS = {True: "positive", False: "negative"}


def rgba(colour: str, alpha: float = 1.0) -> tuple[float, float, float, float]:
    """Return a colour ``#rrggbb`` as four numbers, 0 to 1."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue, alpha

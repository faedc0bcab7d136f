"""Drawing prompts with the mouse.

While the button is down only a preview follows the mouse, which a light overlay draws;
the layer gets the prompt once, when the button is released. napari's own drawing makes the
shape anew at each move, which on a 512x512 slice takes longer than the hand needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

LEFT, RIGHT = 1, 2
CLICK_PIXELS = 5
"""A press that moves less than this is a click."""

TO_OBJECT = "Control"
"""Held while a box is drawn: it belongs to the object at work."""

Drag = Callable[[Any, Any], Iterator[None]]


class Stencil(Enum):
    """What the mouse draws; the value is the mode of the layer in napari."""

    POINT = "add"
    BOX = "add_rectangle"
    SCRIBBLE = "add_path"
    LASSO = "add_polygon_lasso"


@dataclass(frozen=True)
class Preview:
    """What is being drawn.

    Parameters
    ----------
    stencil : Stencil
        What it will be.
    pixels : list of (float, float)
        The way of the mouse on the canvas, ``(x, y)``.
    positive : bool
        The sign.
    """

    stencil: Stencil
    pixels: list[tuple[float, float]]
    positive: bool


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Parameters
    ----------
    stencil : Stencil
        What it is.
    way : (N, 3) array
        Where the mouse went, in the layer's coordinates: one position for a point, else from
        the press to the release.
    pixel : float
        Size of a pixel of the screen in the layer's coordinates.
    positive : bool
        The sign.
    to_object : bool
        Whether a box was asked to belong to the object at work.
    """

    stencil: Stencil
    way: NDArray[np.float64]
    pixel: float = 1.0
    positive: bool = True
    to_object: bool = False


class Drawing:
    """Follows the mouse on the prompt layers.

    The left button draws with the sign that is set, the right button with the other one.

    Attributes
    ----------
    positive : bool
        The sign of what is drawn next.
    """

    previewed = Signal(object)
    """Emitted with a :class:`Preview` while something is drawn, and with None at its end."""
    drawn = Signal(Drawn)
    """Emitted when the button is released, before any layer has changed."""

    def __init__(self) -> None:
        self.positive = True
        self._abandoned = False

    def abandon(self) -> None:
        """Forget what is being drawn."""
        self._abandoned = True
        self.previewed.emit(None)

    def take_over(self, layer: Any, *stencils: Stencil) -> None:
        """Draw in place of napari where a layer is in the modes of these stencils."""
        replace_drag(layer, {stencil.value: self._drag(stencil) for stencil in stencils})

    def _drag(self, stencil: Stencil) -> Drag:
        if stencil is Stencil.POINT:
            return self._click

        def draw(layer: Any, event: Any) -> Iterator[None]:
            return self._draw(stencil, layer, event)

        return draw

    def _click(self, layer: Any, event: Any) -> Iterator[None]:
        """Set a point where the mouse is pressed and released; a drag moves the view."""
        if not _can_draw(event):
            return
        start, positive = _pixel(event), self._sign(event)
        yield
        while event.type == "mouse_move":
            if _length([start, _pixel(event)]) < CLICK_PIXELS:
                event.handled = True
            yield
        if _length([start, _pixel(event)]) < CLICK_PIXELS:
            way = np.array([_position(layer, event)])
            self.drawn.emit(Drawn(Stencil.POINT, way, positive=positive))

    def _draw(self, stencil: Stencil, layer: Any, event: Any) -> Iterator[None]:
        if not _can_draw(event) or (stencil is Stencil.BOX and event.button != LEFT):
            return
        positive = stencil is Stencil.BOX or self._sign(event)
        self._abandoned = False
        pixels, way = [_pixel(event)], [_position(layer, event)]
        yield
        while event.type == "mouse_move":
            event.handled = True
            if not self._abandoned:
                pixels.append(_pixel(event))
                way.append(_position(layer, event))
                self.previewed.emit(Preview(stencil, pixels, positive))
            yield
        if self._abandoned:
            return
        self.previewed.emit(None)
        length = _length(pixels)
        if stencil is Stencil.SCRIBBLE or length >= CLICK_PIXELS:
            size = _length(way) / length if length else 1.0
            to_object = TO_OBJECT in event.modifiers
            self.drawn.emit(Drawn(stencil, np.array(way), size, positive, to_object))

    def _sign(self, event: Any) -> bool:
        return self.positive if event.button == LEFT else not self.positive


def replace_drag(layer: Any, ours: Mapping[str, Drag]) -> None:
    """Let callbacks of our own follow the mouse in some of a layer's modes.

    napari appends a mode's callback to the layer's when the mode is chosen; ours takes its
    place each time.
    """
    callbacks = layer.mouse_drag_callbacks

    def on_mode() -> None:
        callbacks[:] = [c for c in callbacks if c not in ours.values()]
        mode = str(layer.mode)
        if mode in ours and callbacks:
            callbacks[-1] = ours[mode]

    layer.events.mode.connect(on_mode)


def _can_draw(event: Any) -> bool:
    """Whether the mouse draws: on a slice, with one of its two buttons."""
    return event.button in (LEFT, RIGHT) and len(event.dims_displayed) == 2


def _pixel(event: Any) -> tuple[float, float]:
    return float(event.pos[0]), float(event.pos[1])


def _position(layer: Any, event: Any) -> NDArray[np.float64]:
    return np.array(layer.world_to_data(event.position)[-3:], dtype=np.float64)


def _length(points: list[Any]) -> float:
    """How far the farthest point is from the first one."""
    return max(float(np.linalg.norm(np.subtract(p, points[0]))) for p in points)

"""The intensity window and the contrast limits of the scan's layer, kept alike while linked."""

from __future__ import annotations

from typing import Any

from psygnal import Signal

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.volumes.intensity import PRESETS, IntensityWindow


class WindowLink:
    """The window that the model sees through.

    While linked, it follows the layer's contrast limits, and a window that is chosen sets
    them. Unlinked, each goes its own way: brighten the view without changing the masks.
    """

    changed = Signal(IntensityWindow)

    def __init__(self) -> None:
        self._layer: Any = None
        self._window: IntensityWindow | None = None
        self._linked = True
        self._setting = False

    @property
    def window(self) -> IntensityWindow | None:
        """The window; None while there is no layer."""
        return self._window

    @property
    def linked(self) -> bool:
        """Whether window and contrast limits follow each other."""
        return self._linked

    @linked.setter
    def linked(self, linked: bool) -> None:
        self._linked = linked
        if linked and self._layer is not None:
            self._take(_named(self._layer.contrast_limits))

    def attach(self, layer: Any) -> None:
        """Follow another layer, or none; its contrast limits become the window."""
        if self._layer is not None:
            self._layer.events.contrast_limits.disconnect(self._on_limits)
        self._layer = layer
        if layer is None:
            self._window = None
            return
        layer.events.contrast_limits.connect(self._on_limits)
        self._take(_named(layer.contrast_limits))

    def choose(self, window: IntensityWindow) -> None:
        """Use a window; while linked, look through it as well."""
        if self._linked and self._layer is not None:
            self._setting = True
            try:
                low, high = self._layer.contrast_limits_range
                self._layer.contrast_limits_range = (
                    min(low, window.low),
                    max(high, window.high),
                )
                self._layer.contrast_limits = (window.low, window.high)
            finally:
                self._setting = False
        self._take(window)

    def _on_limits(self) -> None:
        if self._linked and not self._setting:
            self._take(_named(self._layer.contrast_limits))

    def _take(self, window: IntensityWindow | None) -> None:
        if window is not None and window != self._window:
            self._window = window
            self.changed.emit(window)


def _named(limits: Any) -> IntensityWindow | None:
    """Return the window of contrast limits, by its preset's name where it is one."""
    try:
        window = IntensityWindow.from_contrast_limits(limits)
    except ConfigError:
        return None  # a constant image: no window can be made of it yet
    for preset in PRESETS.values():
        if (preset.window.low, preset.window.high) == (window.low, window.high):
            return preset.window
    return window

"""A real window with the panel, a scan whose objects are known, and a hand with a mouse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


def synthetic_ct(shape: tuple[int, int, int], objects: int, depth: float) -> Any:
    """A CT of ellipsoids of 60 HU in fat, with noise.

    Parameters
    ----------
    shape : (int, int, int)
        Of the volume.
    objects : int
        How many, side by side in the middle of the stack.
    depth : float
        Their half axis through the stack, in slices.
    """
    from napari_sss.engine.volumes.grid import Grid
    from napari_sss.engine.volumes.volume import Source, Volume

    random = np.random.default_rng(0)
    array = random.integers(-120, -80, shape, dtype=np.int16)
    across = int(np.ceil(np.sqrt(objects)))
    cell = np.array([shape[0], shape[1] / across, shape[2] / across])
    radii = np.array([depth, *(0.35 * cell[1:])])
    for number in range(objects):
        row, column = divmod(number, across)
        centre = (np.array([0.5, row + 0.5, column + 0.5])) * cell
        low = np.maximum(0, np.floor(centre - radii)).astype(int)
        high = np.minimum(shape, np.ceil(centre + radii) + 1).astype(int)
        z, y, x = np.ogrid[tuple(map(slice, low, high))]
        axes = zip((z, y, x), centre, radii, strict=True)
        inside = sum(((grid - c) / r) ** 2 for grid, c, r in axes) <= 1
        array[tuple(map(slice, low, high))][inside] += 160
    grid = Grid(shape, (1.0, 0.8, 0.8), direction=(1, 0, 0, 0, 1, 0, 0, 0, -1))
    return Volume(array, grid, "CT", Source(Path("synthetic.nii.gz")))


@dataclass(frozen=True)
class Target:
    """An object of the synthetic scan on one slice: its middle and half axes, in voxels."""

    index: int
    middle: tuple[float, float]
    radii: tuple[float, float]


def targets(
    shape: tuple[int, int, int], objects: int, depth: float, rounds: int
) -> Iterator[Target]:
    """Slices of the objects of :func:`synthetic_ct`, each time another object and slice."""
    across = int(np.ceil(np.sqrt(objects)))
    cell = np.array([shape[0], shape[1] / across, shape[2] / across])
    reach = max(0, int(0.7 * depth))
    for number in range(rounds):
        row, column = divmod(number % objects, across)
        index = shape[0] // 2 - reach + (number // objects) % (2 * reach + 1)
        offset = index - 0.5 * shape[0]
        share = float(np.sqrt(max(0.0, 1 - (offset / depth) ** 2)))
        yield Target(
            index,
            ((row + 0.5) * cell[1], (column + 0.5) * cell[2]),
            (0.35 * cell[1] * share, 0.35 * cell[2] * share),
        )


def pump_until(condition: Callable[[], bool], limit: float) -> bool:
    """Let the window work until something is true, or for so many seconds."""
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + limit
    while not condition() and time.monotonic() < deadline:
        QApplication.processEvents()
        time.sleep(0.001)
    return condition()


class Window:
    """A real viewer with the panel, clicked at places of the scan.

    Parameters
    ----------
    viewer : napari.Viewer
        Shown on a screen.
    image : napari.layers.Image
        The scan.
    """

    def __init__(self, viewer: Any, image: Any) -> None:
        self._viewer = viewer
        self._image = image
        self._canvas = viewer.window._qt_viewer.canvas
        self.drawings = 0
        self._canvas._scene_canvas.events.draw.connect(self._on_draw, position="last")

    def _on_draw(self, _: Any) -> None:
        self.drawings += 1

    def place(self, row: float, column: float) -> Any:
        """The pixel of the canvas at which a voxel of the slice in view is shown."""
        from qtpy.QtCore import QPoint

        node = self._canvas.layer_to_visual[self._image].node
        mapped = node.get_transform("visual", "canvas").map((column + 0.5, row + 0.5))
        return QPoint(round(float(mapped[0])), round(float(mapped[1])))

    def click(self, row: float, column: float, *, right: bool = False) -> None:
        """Press and release a button of the mouse."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        button = Qt.MouseButton.RightButton if right else Qt.MouseButton.LeftButton
        QTest.mouseClick(self._canvas.native, button, pos=self.place(row, column))

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Press, move and release the left button, up to the release."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        native, left = self._canvas.native, Qt.MouseButton.LeftButton
        QTest.mousePress(native, left, pos=self.place(*start))
        for share in np.linspace(0.2, 1.0, 5):
            here = [a + share * (b - a) for a, b in zip(start, stop, strict=True)]
            QTest.mouseMove(native, self.place(*here))
            pump_until(lambda: False, 0.01)

    def release(self, row: float, column: float) -> None:
        """Release the left button."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        native = self._canvas.native
        QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=self.place(row, column))

    def redraw(self) -> float:
        """Seconds that one drawing of the canvas takes."""
        began, before = time.perf_counter(), self.drawings
        self._canvas._scene_canvas.update()
        pump_until(lambda: self.drawings > before, 5)
        return time.perf_counter() - began

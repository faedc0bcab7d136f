"""A picture of a segmentation: slices of the scan with prompts and masks.

Slices are shown as radiologists look at them (patient's left on the right of the picture,
front or head up) and with the proportions of the body, whatever the voxels' axes and spacing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.inference.result import Segmentation
from napari_sss.engine.prompts.types import ObjectPrompts, SlicePrompt
from napari_sss.engine.reports.colours import colour_of
from napari_sss.engine.volumes.grid import AxisView
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EDGES = {0: ("R", "L", "A", "P"), 1: ("R", "L", "S", "I"), 2: ("A", "P", "S", "I")}
"""For a slice across the canonical axis: letters at its left, right, top and bottom."""

_PLANES = ("axial", "coronal", "sagittal")
_COLUMNS = 3
_DPI = 120
_PANEL_INCHES = 3.6
_NAMED_OBJECTS = 16  # more would make the legend larger than the slices


@dataclass(frozen=True)
class _Panel:
    """One slice of the picture: across which canonical axis, at which index."""

    axis: int
    index: int


def segmentation_picture(
    volume: Volume,
    segmentation: Segmentation,
    window: IntensityWindow,
    *,
    truth: NDArray[Any] | None = None,
    title: str = "",
) -> bytes:
    """Draw the slices on which most is to be seen.

    Parameters
    ----------
    volume : Volume
        The scan.
    segmentation : Segmentation
        Objects on the same grid; each has its own colour, its boxes and its points.
    window : IntensityWindow
        What is black and what is white.
    truth : (Z, Y, X) integer array, optional
        Its outlines are dashed.
    title : str
        Above the slices.

    Returns
    -------
    bytes
        A PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    view = volume.grid.canonical_view()
    panels = _chosen_panels(volume, segmentation, view)
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(
        figsize=(_PANEL_INCHES * min(_COLUMNS, len(panels)), _PANEL_INCHES * rows + 0.9),
        layout="constrained",
        facecolor="black",
    )
    FigureCanvasAgg(figure)
    painter = _Painter(volume, segmentation, window, view, truth)
    for number, panel in enumerate(panels, start=1):
        painter.draw(figure.add_subplot(rows, min(_COLUMNS, len(panels)), number), panel)
    if title:
        figure.suptitle(title, color="white", fontsize=11)
    _add_legend(figure, segmentation, truth is not None)
    png = BytesIO()
    figure.savefig(png, format="png", dpi=_DPI)
    return png.getvalue()


class _Painter:
    """Draws panels of one volume in the canonical view."""

    def __init__(
        self,
        volume: Volume,
        segmentation: Segmentation,
        window: IntensityWindow,
        view: AxisView,
        truth: NDArray[Any] | None,
    ) -> None:
        self._view = view
        self._grid = volume.grid.viewed(view)
        self._image = view.apply(volume.array)
        self._window = window
        self._objects = segmentation.objects
        self._instances = view.apply(segmentation.instance_mask())
        self._truth = None if truth is None else view.apply(truth)

    def draw(self, axes: Axes, panel: _Panel) -> None:
        across, down = (axis for axis in (2, 1, 0) if axis != panel.axis)
        spacing = self._grid.spacing
        grey = self._window.apply(np.take(self._image, panel.index, panel.axis))
        axes.imshow(
            grey,
            cmap="gray",
            vmin=0,
            vmax=1,
            aspect=spacing[down] / spacing[across],
            interpolation="nearest",
        )
        self._draw_masks(axes, panel)
        self._draw_truth(axes, panel)
        for segmented in self._objects:
            for prompt in segmented.prompts.prompts:
                if self._shows(panel, prompt):
                    self._draw_prompt(axes, segmented.prompts, prompt)
        _finish(axes, panel)

    def _draw_masks(self, axes: Axes, panel: _Panel) -> None:
        instances = np.take(self._instances, panel.index, panel.axis)
        overlay = np.zeros((*instances.shape, 4))
        for value in np.unique(instances[instances > 0]):
            mask = instances == value
            colour = colour_of(int(value))
            overlay[mask] = (*colour, 0.35)
            _outline(axes, mask, colour, "solid")
        axes.imshow(overlay, aspect=axes.get_aspect(), interpolation="nearest")

    def _draw_truth(self, axes: Axes, panel: _Panel) -> None:
        if self._truth is None:
            return
        labels = np.take(self._truth, panel.index, panel.axis)
        for value in np.unique(labels[labels > 0]):
            _outline(axes, labels == value, (1.0, 1.0, 1.0), "dashed")

    def _shows(self, panel: _Panel, prompt: SlicePrompt) -> bool:
        axis = self._view.order.index(prompt.plane.axis)
        return axis == panel.axis and self._seen(axis, prompt.index) == panel.index

    def _seen(self, axis: int, position: float) -> float:
        """Where a position along the source's axis is along the view's ``axis``."""
        last = self._grid.shape[axis] - 1
        return last - position if self._view.flips[axis] else position

    def _in_plane(self, prompt: SlicePrompt, x: float, y: float) -> tuple[float, float]:
        """``(across, down)`` in the panel of ``(x, y)`` in the prompt's slice."""
        column_axis = self._view.order.index(prompt.plane.column_axis)
        row_axis = self._view.order.index(prompt.plane.row_axis)
        placed = {column_axis: self._seen(column_axis, x), row_axis: self._seen(row_axis, y)}
        down, across = (placed[axis] for axis in sorted(placed))
        return across, down

    def _draw_prompt(self, axes: Axes, owner: ObjectPrompts, prompt: SlicePrompt) -> None:
        from matplotlib.patches import Rectangle

        colour = colour_of(owner.id)
        if prompt.box is not None:
            # Maxima are exclusive: the box's edges lie half a voxel outside the centres.
            one = self._in_plane(prompt, prompt.box.x0 - 0.5, prompt.box.y0 - 0.5)
            other = self._in_plane(prompt, prompt.box.x1 - 0.5, prompt.box.y1 - 0.5)
            left, top = np.minimum(one, other)
            width, height = np.abs(np.subtract(one, other))
            axes.add_patch(
                Rectangle((left, top), width, height, fill=False, edgecolor=colour, lw=1.2)
            )
        for point in prompt.points:
            axes.scatter(
                *self._in_plane(prompt, point.x, point.y),
                s=28,
                color=[colour],
                edgecolors="white",
                linewidths=0.8,
                marker="o" if point.positive else "X",
            )
        lines = [stroke.points for stroke in prompt.strokes]
        lines += [polygon.points for polygon in prompt.polygons]
        for line in lines:
            track = [self._in_plane(prompt, x, y) for x, y in line]
            axes.plot(*zip(*track, strict=True), color=colour, lw=1.2)


def _chosen_panels(
    volume: Volume, segmentation: Segmentation, view: AxisView
) -> tuple[_Panel, ...]:
    """Four axial slices with the largest objects, then one of each other plane."""
    shape = volume.grid.viewed(view).shape
    seen = view.apply(segmentation.instance_mask()) > 0
    if not seen.any():
        return tuple(_Panel(axis, size // 2) for axis, size in enumerate(shape))
    axial = _prompted_slices(segmentation, view, shape) or [int(seen.any((1, 2)).argmax())]
    panels = [_Panel(0, index) for index in sorted(axial[:4])]
    for axis in (1, 2):
        others = tuple(a for a in range(3) if a != axis)
        panels.append(_Panel(axis, int(seen.sum(axis=others).argmax())))
    return tuple(panels)


def _prompted_slices(
    segmentation: Segmentation, view: AxisView, shape: Sequence[int]
) -> list[int]:
    """Axial slices (of the view) of the best prompts, those of the largest objects first."""
    largest_first = sorted(segmentation.objects, key=lambda s: -s.region.voxels)
    found: list[int] = []
    for segmented in largest_first:
        for prompt in segmented.prompts.prompts[:1]:
            if view.order.index(prompt.plane.axis) != 0:
                continue
            index = shape[0] - 1 - prompt.index if view.flips[0] else prompt.index
            if index not in found:
                found.append(index)
    return found


def _outline(
    axes: Axes, mask: NDArray[np.bool_], colour: tuple[float, float, float], style: str
) -> None:
    """Draw the mask's border between inside and outside voxels."""
    padded = np.pad(mask.astype(np.float32), 1)
    across = np.arange(-1, mask.shape[1] + 1)
    down = np.arange(-1, mask.shape[0] + 1)
    axes.contour(
        across, down, padded, levels=[0.5], colors=[colour], linewidths=0.9, linestyles=style
    )


def _finish(axes: Axes, panel: _Panel) -> None:
    """Take the ticks away, say which slice it is and which way the patient lies."""
    axes.set_axis_off()
    axes.text(
        0.02,
        0.98,
        f"{_PLANES[panel.axis]} {panel.index}",
        transform=axes.transAxes,
        color="white",
        fontsize=9,
        va="top",
    )
    left, right, top, bottom = _EDGES[panel.axis]
    places = ((0.02, 0.5, left), (0.98, 0.5, right), (0.5, 0.97, top), (0.5, 0.03, bottom))
    for across, up, letter in places:
        axes.text(
            across,
            up,
            letter,
            transform=axes.transAxes,
            color="yellow",
            fontsize=9,
            ha="center",
            va="center",
        )


def _add_legend(figure: Figure, segmentation: Segmentation, with_truth: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    ordered = sorted(segmentation.objects, key=lambda s: s.prompts.id)
    handles: list[Any] = [
        Patch(
            color=colour_of(s.prompts.id),
            label=f"{s.prompts.id} {s.prompts.class_name} ({s.confidence:.2f})",
        )
        for s in ordered[:_NAMED_OBJECTS]
    ]
    if len(ordered) > _NAMED_OBJECTS:
        handles.append(Line2D([], [], ls="", label=f"and {len(ordered) - _NAMED_OBJECTS} more"))
    if with_truth:
        handles.append(Line2D([], [], color="white", ls="dashed", label="truth"))
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=6,
            fontsize=8,
            facecolor="black",
            edgecolor="none",
            labelcolor="white",
        )

"""Between volumes and napari's layers, without napari: arrays, keywords and metadata.

A scan is shown with its axes in the canonical order (head first, front up, the patient's
left on the right of the screen) by flips and transpositions only; its layer's metadata hold
the volume as it was read and how its axes were turned::

    layer.metadata["napari_sss"] = {"volume": Volume, "view": AxisView, "notes": (str, ...)}

Label layers made for a scan carry the same entry. It alone decides the grid they are saved
on, so that moving, renaming or duplicating a layer changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import GeometryError, VolumeError
from napari_sss.engine.volumes.grid import AxisView, Grid
from napari_sss.engine.volumes.intensity import window_for
from napari_sss.engine.volumes.volume import Volume

KEY = "napari_sss"
UNIT = "mm"

LayerData = tuple[Any, dict[str, Any], str]

_IN_MM = {
    "mm": 1.0,
    "millimeter": 1.0,
    "cm": 10.0,
    "centimeter": 10.0,
    "m": 1000.0,
    "meter": 1000.0,
    "um": 1e-3,
    "µm": 1e-3,
    "micrometer": 1e-3,
    "micron": 1e-3,
}

OBLIQUE_NOTE = (
    "This scan is oblique: it is shown along its own axes, up to {degrees:.0f} degrees off the "
    "patient's. Masks are saved exactly on it."
)


def layer_data_for(volume: Volume) -> LayerData:
    """What napari needs to show a scan.

    Parameters
    ----------
    volume : Volume
        As it was read.

    Returns
    -------
    (array, dict, "image")
        Data as a view of the volume's array, keywords of the Image layer, the layer's type.
    """
    view = volume.grid.canonical_view()
    shown = volume.viewed(view)
    window = window_for(volume)
    keywords = {
        "name": volume.source.name,
        "scale": shown.grid.spacing,
        "units": (UNIT,) * 3,
        "colormap": "gray",
        "contrast_limits": (window.low, window.high),
        "metadata": layer_metadata(volume, view),
    }
    return shown.array, keywords, "image"


def labels_data_for(labels: NDArray[Any], volume: Volume, name: str) -> LayerData:
    """What napari needs to show a label map of a scan.

    Parameters
    ----------
    labels : (Z, Y, X) integer array
        On the volume's grid, in its own axis order.
    volume : Volume
        The scan, as it was read.
    name : str
        The layer's name.

    Returns
    -------
    (array, dict, "labels")
        Data, keywords of the Labels layer, the layer's type.
    """
    view = volume.grid.canonical_view()
    keywords = {
        "name": name,
        "scale": volume.grid.viewed(view).spacing,
        "units": (UNIT,) * 3,
        "metadata": layer_metadata(volume, view),
    }
    return np.ascontiguousarray(view.apply(labels)), keywords, "labels"


def layer_metadata(volume: Volume, view: AxisView) -> dict[str, Any]:
    """The metadata of a layer that shows ``volume`` through ``view``, or its labels."""
    return {KEY: {"volume": volume, "view": view, "notes": notes_for(volume)}}


def notes_for(volume: Volume) -> tuple[str, ...]:
    """What the user should be told of a volume: the reader's notes, and that it is oblique."""
    if not volume.grid.is_oblique:
        return volume.notes
    columns = np.abs(np.asarray(volume.grid.direction).reshape(3, 3)).max(axis=0)
    degrees = float(np.rad2deg(np.arccos(np.clip(columns.min(), 0, 1))))
    return (*volume.notes, OBLIQUE_NOTE.format(degrees=max(1.0, degrees)))


def source_of(metadata: Mapping[str, Any]) -> tuple[Volume, AxisView] | None:
    """The volume that a layer's metadata hold and how it is shown; None for other layers."""
    entry = metadata.get(KEY)
    if not isinstance(entry, Mapping):
        return None
    volume, view = entry.get("volume"), entry.get("view")
    if not isinstance(volume, Volume) or not isinstance(view, AxisView):
        return None
    return volume, view


def volume_of_layer(
    metadata: Mapping[str, Any],
    data: Any,
    scale: Sequence[float],
    units: Sequence[Any] = (),
    name: str = "image",
) -> tuple[Volume, AxisView, tuple[str, ...]]:
    """The volume that an Image layer shows, whoever made the layer.

    Parameters
    ----------
    metadata, data, scale, units, name
        The layer's own.

    Returns
    -------
    volume : Volume
        In its own axis order; ``view.apply`` gives the layer's.
    view : AxisView
        From the volume's axes to the layer's.
    warnings : tuple of str
        What the user should be told, for instance that the spacing is unknown.

    Raises
    ------
    VolumeError
        If the layer holds no single-channel image of 2 or 3 axes, or NaN.
    """
    found = source_of(metadata)
    if found is not None and found[1].apply(found[0].array).shape == np.shape(data):
        return (*found, notes_for(found[0]))
    array = _plain_array(data, name)
    grid, known = _plain_grid(array, scale, units)
    warnings = [
        f"It is not known how '{name}' lies in the patient: it is taken as it is shown."
    ]
    if not known:
        warnings.append(
            f"The spacing of '{name}' is not known: 1 mm is assumed. Give it, as sizes in mm "
            "and ml depend on it."
        )
    volume = Volume(array, grid, spacing_known=known, notes=tuple(warnings))
    return volume, AxisView(), tuple(warnings)


def labels_to_source(
    array: NDArray[Any], view: AxisView, grid: Grid | None = None
) -> NDArray[Any]:
    """Labels in the axis order of the volume they were made for.

    Parameters
    ----------
    array : (Z, Y, X) array
        As the layer holds them.
    view : AxisView
        From the volume's axes to the layer's.
    grid : Grid, optional
        The volume's grid, to check the shape against.

    Raises
    ------
    GeometryError
        If the labels do not have the volume's shape.
    """
    labels = np.ascontiguousarray(view.undo(np.asarray(array)))
    if grid is not None and tuple(labels.shape) != tuple(grid.shape):
        raise GeometryError(
            f"The labels have the shape {tuple(np.shape(array))}, not that of the scan "
            "they were made for.",
            "Was the layer cropped or resampled? Save a layer of the scan's own size.",
        )
    return labels


def _plain_array(data: Any, name: str) -> NDArray[Any]:
    if not hasattr(data, "ndim") or data.ndim not in (2, 3):
        axes = getattr(data, "ndim", "several")
        raise VolumeError(
            f"'{name}' has {axes} axes; a scan has 3.",
            "Choose one frame: right-click the layer, Split Stack.",
        )
    array = np.asarray(data)
    array = array[np.newaxis] if array.ndim == 2 else array
    if array.dtype.kind not in "biuf":
        raise VolumeError(
            f"'{name}' holds values of the type {array.dtype}.",
            "Choose a layer of grey values.",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise VolumeError(f"'{name}' holds NaN or infinities.", "Replace them first.")
    return array


def _plain_grid(
    array: NDArray[Any], scale: Sequence[float], units: Sequence[Any]
) -> tuple[Grid, bool]:
    """The grid of a layer that we did not make, and whether its spacing is known.

    napari gives layers that state no units the unit pixel; their scale counts all the same
    where it is not 1 throughout.
    """
    stated = [_IN_MM.get(str(unit)) for unit in units]
    steps = [abs(float(s)) for s in scale]
    known = any(factor is not None for factor in stated) or any(step != 1 for step in steps)
    factors = ([1.0] * 3 + [factor or 1.0 for factor in stated])[-3:]
    z, y, x = (step * f for step, f in zip(([1.0] * 3 + steps)[-3:], factors, strict=True))
    return Grid((array.shape[0], array.shape[1], array.shape[2]), (z, y, x)), known

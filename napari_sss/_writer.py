"""The npe2 writer: a Labels layer as a label map on the grid of the scan it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def write_labels_layer(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Save a Labels layer.

    The grid is that of the scan which the layer's metadata hold, wherever the layer was
    moved and whatever it is called. A layer that was not made for a scan is saved with its
    own spacing and a warning, as nothing says how it lies in the patient.

    Parameters
    ----------
    path : str
        Ends in ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``; ``.nii.gz`` where it has none.
    data : (Z, Y, X) integer array
        The layer's labels.
    meta : mapping
        The layer's attributes, its ``metadata`` among them.

    Returns
    -------
    list of str
        The file written.

    Raises
    ------
    GeometryError
        If the layer no longer has the scan's shape.
    WriteError
        If the file cannot be written; an older file of that name is untouched.
    """
    from napari_sss._layers.conversion import labels_to_source, source_of
    from napari_sss.engine.volumes.writing import WRITE_SUFFIXES, write_labels

    if not path.lower().endswith(WRITE_SUFFIXES):
        path += ".nii.gz"
    found = source_of(meta.get("metadata") or {})
    if found is None:
        labels, grid = _without_scan(data, meta)
    else:
        volume, view = found
        grid = volume.grid
        labels = labels_to_source(data, view, grid)
    return [str(write_labels(labels, grid, path))]


def _without_scan(data: Any, meta: Mapping[str, Any]) -> tuple[Any, Any]:
    import warnings

    import numpy as np

    from napari_sss._layers.conversion import volume_of_layer

    name = str(meta.get("name") or "labels")
    units = meta.get("units") or ()
    units = [units] * 3 if isinstance(units, str) else units
    volume, _, _ = volume_of_layer({}, np.asarray(data), meta.get("scale") or (), units, name)
    warnings.warn(
        f"'{name}' was not made for a scan that napari-sss opened: it is saved with its own "
        "spacing, and may not lie on the scan in other programs.",
        UserWarning,
        stacklevel=3,
    )
    return volume.array, volume.grid

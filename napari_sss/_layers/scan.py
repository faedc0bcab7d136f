"""An Image layer as a scan: what the engine is given, and the way back to the file's grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from napari_sss._layers.conversion import (
    layer_metadata,
    notes_for,
    source_of,
    volume_of_layer,
)
from napari_sss.engine.errors import VolumeError
from napari_sss.engine.volumes.grid import AxisView, Vector3
from napari_sss.engine.volumes.volume import Volume

UNKNOWN_LIE = "It is not known how the patient lies in this image: it is taken as it is shown."


@dataclass(frozen=True)
class Scan:
    """A volume as a layer shows it.

    Parameters
    ----------
    source : Volume
        As it was read.
    view : AxisView
        From the source's axes to the layer's.
    oriented : bool
        Whether it is known how the patient lies.
    notes : tuple of str
        What the user should know of it.
    """

    source: Volume
    view: AxisView
    oriented: bool = True
    notes: tuple[str, ...] = ()

    @property
    def volume(self) -> Volume:
        """The scan in the frame of the layer: its indices are the layer's."""
        return self.source.viewed(self.view)

    @property
    def metadata(self) -> dict[str, Any]:
        """What layers made for this scan carry, so that they are saved on its own grid."""
        return layer_metadata(self.source, self.view)


def scan_of(layer: Any) -> Scan:
    """Return the scan that an Image layer shows.

    Raises
    ------
    VolumeError
        If the layer shows no single-channel image of 2 or 3 axes.
    """
    if layer.rgb or layer.multiscale:
        raise VolumeError(
            f"'{layer.name}' is a colour or multiscale image.",
            "Choose a layer with one grey value per voxel.",
        )
    volume, view, _ = volume_of_layer(
        layer.metadata, layer.data, layer.scale, layer.units, layer.name
    )
    if source_of(layer.metadata) is None:
        return Scan(volume, view, oriented=False, notes=(UNKNOWN_LIE,))
    return Scan(volume, view, notes=notes_for(volume))


def with_spacing(scan: Scan, spacing: Vector3) -> Scan:
    """Return the scan with a spacing given by the user (mm; the layer's Z, Y, X)."""
    original = [0.0, 0.0, 0.0]
    for shown, axis in enumerate(scan.view.order):
        original[axis] = spacing[shown]
    grid = replace(scan.source.grid, spacing=tuple(original))  # type: ignore[arg-type]
    return replace(scan, source=replace(scan.source, grid=grid, spacing_known=True))

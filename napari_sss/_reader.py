"""The npe2 reader: scans as Image layers in the radiologists' orientation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

LayerData = tuple[Any, dict[str, Any], str]
Paths = str | list[str]


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """A reader for a NIfTI, NRRD, MetaImage or DICOM file or a DICOM folder, else None.

    Parameters
    ----------
    path : str or list of str
        What was dropped or opened; a list holds the files of one stack, of which DICOM files
        are read as one series and others each as a scan.
    """
    from napari_sss.engine.volumes.reading import can_read

    paths = [path] if isinstance(path, str) else list(path)
    if not paths or not all(can_read(p) for p in paths):
        return None
    return read_layers


def read_layers(path: Paths) -> list[LayerData]:
    """The layers of one or several scans.

    What the reader has to say of a scan (several frames, no spacing, oblique, ...) is shown
    as a notification.

    Raises
    ------
    VolumeError
        If a scan cannot be read; the message says what to do.
    """
    paths = [path] if isinstance(path, str) else list(path)
    return [_layer(p) for p in _scans(paths)]


def _scans(paths: list[str]) -> list[Path]:
    """What to read: DICOM files of one folder opened together stand for their folder."""
    from napari_sss.engine.volumes.dicom_header import is_dicom

    scans: dict[Path, None] = {}
    for given in map(Path, paths):
        together = len(paths) > 1 and given.is_file() and is_dicom(given)
        scans[given.parent if together else given] = None
    return list(scans)


def _layer(path: Path) -> LayerData:
    import warnings

    from napari_sss._layers.conversion import layer_data_for, notes_for
    from napari_sss.engine.volumes.reading import read_volume

    volume = read_volume(path)
    for note in notes_for(volume):
        warnings.warn(f"{volume.source.name}: {note}", UserWarning, stacklevel=2)
    return layer_data_for(volume)

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
    as a notification. Where a folder holds several series and a window is there, it is asked
    which to open, and they come when that is answered; without a window the one with the
    most slices is taken.

    Raises
    ------
    VolumeError
        If a scan cannot be read; the message says what to do.
    """
    paths = [path] if isinstance(path, str) else list(path)
    layers = [layer for scan in _scans(paths) for layer in _layers(*scan)]
    return layers or [(None,)]  # type: ignore[list-item]  # napari's sign for "nothing now"


def _scans(paths: list[str]) -> list[tuple[Path, str | None]]:
    """What to read, and which series of it.

    DICOM files of one folder opened together stand for their series in that folder.
    """
    from napari_sss.engine.volumes.dicom_header import is_dicom
    from napari_sss.engine.volumes.reading import series_uid_of

    scans: dict[tuple[Path, str | None], None] = {}
    for given in map(Path, paths):
        together = len(paths) > 1 and given.is_file() and is_dicom(given)
        scans[(given.parent, series_uid_of(given)) if together else (given, None)] = None
    return list(scans)


def _layers(path: Path, series_uid: str | None) -> list[LayerData]:
    from napari_sss._layers.conversion import layer_data_for, notes_for
    from napari_sss.engine.errors import SeriesChoiceError
    from napari_sss.engine.volumes.reading import read_volume

    try:
        volume = read_volume(path, series_uid=series_uid)
    except SeriesChoiceError:
        if _asked_which(path):
            return []
        volume = read_volume(path, series_uid=_largest_series(path))
    for note in notes_for(volume):
        _tell(f"{volume.source.name}: {note}")
    return [layer_data_for(volume)]


def _asked_which(folder: Path) -> bool:
    """Ask in the open window which series to open; False where there is no window."""
    import sys

    napari = sys.modules.get("napari")
    viewer = napari.current_viewer() if napari is not None else None
    if viewer is None:
        return False
    from napari_sss._layers.scan_opening import opening_of
    from napari_sss.engine.volumes.contents import contents_of

    opening = opening_of(viewer)
    if opening is not None:
        opening.ask(contents_of(folder))
    return opening is not None


def _largest_series(folder: Path) -> str:
    """The series with the most slices; the user is told of the others."""
    from napari_sss.engine.volumes.reading import list_series

    series = sorted(list_series(folder), key=lambda info: -info.slices)
    _tell(
        f"{folder.name} holds {len(series)} series; the one with the most slices was opened. "
        "To open another, select some of its files and open them together. "
        + "; ".join(str(info) for info in series)
    )
    return series[0].uid


def _tell(message: str) -> None:
    """Say something to the user: napari shows warnings as notifications."""
    import warnings

    warnings.warn(message, UserWarning, stacklevel=2)

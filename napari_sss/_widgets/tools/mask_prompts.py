"""A mask that is there already as the prompt on the slice in view.

A prompt names its mask by a file. So the slice of another Labels layer is written to a file
of its own first, in the worker; a project copies it when the prompt is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path
from psygnal import Signal

from napari_sss._layers.mask_outline import outline_of
from napari_sss._layers.prompt_rows import DrawingRow
from napari_sss._layers.workspace import Workspace
from napari_sss._widgets.status import Notice, Severity
from napari_sss._widgets.worker import Job, Post, Worker
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.types import Plane, SlicePrompt
from napari_sss.engine.volumes.grid import Grid

NO_SLICE = "A mask is taken for the slice in view: F2 shows the axial slices."


@dataclass(frozen=True)
class MaskSource:
    """A Labels layer that could be a prompt.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    why_not : str
        Why it cannot be used; "" when it can.
    """

    layer: Any
    why_not: str = ""


class MaskPrompts:
    """Turns Labels layers and label files into prompts.

    Layers are looked at as they are displayed; what :meth:`read` is asked, and hands over,
    is in the frame of the scan as it was read.

    Parameters
    ----------
    workspace : Workspace
        The scan in view with its layers.
    worker : Worker
        Reads and writes files.
    keep : callable
        Returns a file's copy in the project, where there is one; called in the worker.
    folder : Path, optional
        Where masks are kept that came from layers; by default in the user's cache.
    """

    noticed = Signal(Notice)
    failed = Signal(Exception)

    def __init__(
        self,
        workspace: Workspace,
        worker: Worker,
        keep: Callable[[Path], Path] = lambda path: path,
        folder: Path | None = None,
    ) -> None:
        self._workspace = workspace
        self._worker = worker
        self._keep = keep
        self._folder = folder or user_cache_path("napari-sss", appauthor=False) / "masks"
        self._known: dict[tuple[Path, Plane, int], NDArray[np.bool_]] = {}

    def sources(self) -> list[MaskSource]:
        """Return the Labels layers of others, each with why it cannot be used."""
        from napari.layers import Labels

        current = self._workspace.current
        if current is None:
            return []
        shape = current.scan.volume.grid.shape
        return [
            MaskSource(layer, _why_not(layer, shape))
            for layer in self._workspace.viewer.layers
            if isinstance(layer, Labels) and not current.masks.is_shown_as(layer)
        ]

    def use_layer(self, layer: Any) -> None:
        """Take what a Labels layer has on the slice in view.

        Where the label that is chosen in the layer occurs there, only that counts; else
        whatever is not 0.
        """
        place = self._place()
        if place is None:
            return
        plane, index = place
        labels = np.asarray(np.take(np.asarray(layer.data), index, axis=plane.axis))
        chosen = labels == layer.selected_label
        self._use(chosen if chosen.any() else labels != 0, layer.name, plane, index)

    def use_file(self, path: Path) -> None:
        """Take what a label file has on the slice in view.

        A file with several labels is opened as a layer, in which one is chosen first.
        """
        current = self._workspace.current
        if current is None or self._place() is None:
            return
        grid = current.scan.volume.grid

        def read(control: JobControl, _: Post) -> NDArray[Any]:
            from napari_sss.engine.volumes.writing import read_labels

            control.report(f"reading {path.name}", 0)
            return read_labels(path, grid)

        self._worker.submit(
            Job(
                f"read {path.name}",
                read,
                on_done=lambda labels: self._read(labels, path),
                on_failed=self.failed.emit,
            )
        )

    def read(
        self, prompt: SlicePrompt, then: Callable[[Mapping[Path, NDArray[Any]]], None]
    ) -> None:
        """Hand over the mask that a prompt names, as labels (Z, Y, X); only its slice counts.

        At once where none is named or it is known, else when its file has been read. Prompt
        and labels are those of the scan as it was read.
        """
        current, path = self._workspace.current, prompt.mask
        if path is None or current is None:
            then({})
            return
        grid = current.scan.source.grid
        key = (path, prompt.plane, prompt.index)

        def spread(mask: NDArray[np.bool_]) -> None:
            self._known[key] = mask
            whole = np.broadcast_to(np.expand_dims(mask, prompt.plane.axis), grid.shape)
            then({path: whole})

        def read(_control: JobControl, _post: Post) -> NDArray[np.bool_]:
            from napari_sss.engine.volumes.writing import read_labels

            labels = read_labels(path, grid)
            return np.asarray(np.take(labels, prompt.index, axis=prompt.plane.axis) != 0)

        if key in self._known:
            spread(self._known[key])
            return
        self._worker.submit(
            Job(f"read {path.name}", read, on_done=spread, on_failed=self.failed.emit)
        )

    # -- inside -------------------------------------------------------------------------

    def _place(self) -> tuple[Plane, int] | None:
        current, plane = self._workspace.current, self._workspace.view.plane
        if current is None:
            return None
        if plane is None:
            self._notify(NO_SLICE)
            return None
        return plane, self._workspace.view.index(current.layer, plane)

    def _read(self, labels: NDArray[Any], path: Path) -> None:
        """Use what was read, if the scan it was read for is still in view."""
        current, place = self._workspace.current, self._place()
        if current is None or place is None or labels.shape != _shape(current):
            return
        plane, index = place
        on_slice = np.take(labels, index, axis=plane.axis)
        if np.unique(on_slice[on_slice != 0]).size > 1:
            self._open(labels, path)
        else:
            self._use(on_slice != 0, path.name, plane, index)

    def _open(self, labels: NDArray[Any], path: Path) -> None:
        image = self._workspace.image
        self._workspace.viewer.add_labels(
            labels,
            name=path.name,
            scale=image.scale[-3:],
            translate=image.translate[-3:],
            units=(image.units[-1],) * 3,
        )
        self._notify(
            f"{path.name} has several labels here: choose one in its layer, then press Mask "
            "and take the layer."
        )

    def _use(self, mask: NDArray[np.bool_], name: str, plane: Plane, index: int) -> None:
        current, key = self._workspace.current, self._workspace.key
        if current is None:
            return
        if not mask.any():
            self._notify(f"{name} has nothing on this slice: go to a slice on which it has.")
            return
        grid = current.scan.volume.grid
        file = self._folder / f"{_digest(mask, grid, plane, index)}.nii.gz"

        def write(control: JobControl, _: Post) -> tuple[Path, Any]:
            control.report("keeping the mask", 0)
            if not file.exists():
                write_slice(mask, grid, plane, index, file)
            return self._keep(file), outline_of(mask)

        def written(result: tuple[Path, Any]) -> None:
            if self._workspace.key != key or self._workspace.current is not current:
                return
            path, outline = result
            there, number = current.slice_to_source(plane, index)
            spread = np.broadcast_to(np.expand_dims(mask, plane.axis), grid.shape)
            turned = current.scan.view.undo(spread)
            self._known[path, there, number] = np.take(turned, number, axis=there.axis)
            prompts = current.prompts
            prompts.ensure().strokes.outline(path, plane, index, outline)
            prompts.add(DrawingRow(prompts.target(), plane, index, path))

        self._worker.submit(
            Job("keep a mask", write, on_done=written, on_failed=self.failed.emit)
        )

    def _notify(self, text: str) -> None:
        self.noticed.emit(Notice(Severity.INFO, text))


def write_slice(
    mask: NDArray[np.bool_], grid: Grid, plane: Plane, index: int, path: Path
) -> None:
    """Write one slice's mask as a label file on a grid, empty elsewhere."""
    from napari_sss.engine.errors import WriteError
    from napari_sss.engine.volumes.writing import write_labels

    labels = np.zeros(grid.shape, np.uint8)
    np.moveaxis(labels, plane.axis, 0)[index] = mask
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"The folder {path.parent} cannot be made: {error}.",
            "Free some space, or give yourself the right to write there.",
            path.parent,
        ) from error
    write_labels(labels, grid, path)


def _digest(mask: NDArray[np.bool_], grid: Grid, plane: Plane, index: int) -> str:
    """A name of its own for each mask on its grid, so that none is written twice."""
    text = f"{grid} {plane} {index}".encode()
    return hashlib.sha256(text + np.packbits(mask).tobytes()).hexdigest()[:24]


def _shape(current: Any) -> tuple[int, int, int]:
    shape: tuple[int, int, int] = current.scan.volume.grid.shape
    return shape


def _why_not(layer: Any, shape: tuple[int, int, int]) -> str:
    if tuple(np.shape(layer.data)) != tuple(shape):
        return "It has another size than the scan: resample it onto the scan first."
    return ""

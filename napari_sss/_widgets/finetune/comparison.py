"""A case in the viewer with the masks of both models: filled the new, outlined the old."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_sss._layers.conversion import LayerData, labels_data_for
from napari_sss._widgets.finetune.shown import GateCase
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.worker import Job, Worker
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.project import Project

NEW_NAME, OLD_NAME = "new model: {}", "model in use: {}"

OUTLINE = 2
"""Pixels of the lines that show the masks of the model in use."""


class Comparison:
    """Shows cases of the gate.

    Parameters
    ----------
    viewer : napari.Viewer
        Where they are shown.
    room : ProjectRoom
        Opens the case.
    disk : Worker
        Reads the files.
    on_failed : callable
        Told what could not be shown.
    """

    def __init__(
        self,
        viewer: Any,
        room: ProjectRoom,
        disk: Worker,
        on_failed: Callable[[Exception], None],
    ) -> None:
        self._viewer, self._room, self._disk = viewer, room, disk
        self._on_failed = on_failed
        self._waiting: tuple[int, list[LayerData]] | None = None
        self._names: list[str] = []
        room.case_changed.connect(self._on_case)

    def show(self, case: GateCase) -> None:
        """Show a case; masks of another one shown before go away."""
        project = self._room.project
        if project is None:
            return
        self._disk.submit(
            Job(
                f"compare on {case.name}",
                lambda control, _: _layers(project, case, control),
                on_done=lambda layers: self._place(case.case_id, layers),
                on_failed=self._on_failed,
            )
        )

    def _place(self, case_id: int, layers: list[LayerData]) -> None:
        self._clear()
        if self._room.case_id == case_id:
            self._add(layers)
        else:
            self._waiting = (case_id, layers)
            self._room.open_case(case_id)

    def _on_case(self) -> None:
        """The scan is there now: lay the masks over it."""
        if self._waiting is not None and self._room.case_id == self._waiting[0]:
            layers, self._waiting = self._waiting[1], None
            self._add(layers)

    def _add(self, layers: list[LayerData]) -> None:
        from napari.layers import Layer

        for data, keywords, kind in layers:
            layer = self._viewer.add_layer(Layer.create(data, keywords, kind))
            layer.contour = OUTLINE if keywords["name"].startswith(OLD_NAME[:8]) else 0
        self._names = [str(keywords["name"]) for _, keywords, _ in layers]
        if layers:
            self._go_to(layers[0][0])

    def _clear(self) -> None:
        for name in self._names:
            if name in self._viewer.layers:
                self._viewer.layers.remove(name)
        self._names = []

    def _go_to(self, labels: Any) -> None:
        """Go to the slice on which most is to be seen."""
        most = int(np.count_nonzero(labels, axis=(1, 2)).argmax())
        if self._viewer.dims.ndim == labels.ndim and self._viewer.dims.order[0] == 0:
            self._viewer.dims.set_current_step(0, most)


def _layers(project: Project, case: GateCase, control: JobControl) -> list[LayerData]:
    """Both models' masks as layers' data; called in a worker."""
    from napari_sss.engine.volumes.writing import read_labels

    control.report("reading the masks", 0)
    volume = project.cases.read(case.case_id, control)
    found = []
    masks: tuple[tuple[str, Path | None, float], ...] = (
        (NEW_NAME, case.new_file, 0.5),
        (OLD_NAME, case.old_file, 0.9),
    )
    for name, path, opacity in masks:
        if path is not None:
            labels = read_labels(path, volume.grid)
            data, keywords, kind = labels_data_for(labels, volume, name.format(case.name))
            found.append((data, keywords | {"opacity": opacity}, kind))
    return found

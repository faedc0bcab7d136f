"""What the controller needs of the layers, as a protocol: tests give a scene without napari."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.prompts.types import ObjectPrompts, Plane
from napari_sss.engine.volumes.grid import AxisView
from napari_sss.engine.volumes.volume import Volume


class Scene(Protocol):
    """The scan in view and its layers; indices are those of the scan as it was read."""

    @property
    def key(self) -> int | None:
        """Tells one open scan from another; None where there is none."""

    @property
    def volume(self) -> Volume | None:
        """The scan as it was read; None where there is none."""

    @property
    def view_of_axes(self) -> AxisView:
        """From the scan's axes to the displayed ones."""

    @property
    def problem(self) -> str:
        """Why the scan cannot be segmented yet, with the remedy; "" when it can."""

    def attach(self, session: CaseSession | None) -> None:
        """Show a case's annotation on the scan in view, or none."""

    def shown_slice(self) -> tuple[Plane, int] | None:
        """Return the slice in view; None in 3-D."""

    def prompts(self) -> tuple[ObjectPrompts, ...]:
        """Return the prompts as the layers hold them."""

    def show_prompts(
        self, objects: Sequence[ObjectPrompts], remove: Iterable[int] = ()
    ) -> None:
        """Have the layers hold these prompts and no others of these objects."""

    def reserve(self, highest_id: int) -> None:
        """Let objects that a person adds have ids above this one."""

    def colour(self, colours: Mapping[int, str]) -> None:
        """Give each object its colour."""

    def redraw(self, box: tuple[slice, slice, slice]) -> None:
        """Take note that masks in this box have changed."""

    def show_slice(self, plane: Plane, index: int) -> None:
        """Bring a slice into view."""

    def add_scan(self, layer_data: Any) -> None:
        """Open a scan, given as a reader gives it; it becomes the scan in view."""

"""What the controller needs of the layers, as a protocol: tests give a scene without napari."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from napari_sss._layers.mask_painter import Touched
from napari_sss.engine.prompts.types import ObjectPrompts, Plane
from napari_sss.engine.volumes.volume import Volume


class Scene(Protocol):
    """The scan in view and its layers; indices are those of the displayed volume."""

    @property
    def key(self) -> int | None:
        """Tells one open scan from another; None where there is none."""

    @property
    def volume(self) -> Volume | None:
        """The scan in the frame of the layers; None where there is none."""

    @property
    def problem(self) -> str:
        """Why the scan cannot be segmented yet, with the remedy; "" when it can."""

    def shown_index(self) -> int | None:
        """Return the axial slice in view, or None in another plane."""

    def labels(self) -> NDArray[Any]:
        """Return the masks layer's array (Z, Y, X) of object ids; made if needed."""

    def prompts(self) -> tuple[ObjectPrompts, ...]:
        """Return the prompts as the layers hold them."""

    def show_prompts(
        self, objects: Sequence[ObjectPrompts], remove: Iterable[int] = ()
    ) -> None:
        """Show objects' prompts, in place of those of the removed ones."""

    def rename(self, object_id: int, class_name: str) -> None:
        """Write another class at an object's prompts."""

    def redraw(self, touched: Touched) -> None:
        """Take note that masks in this box have changed."""

    def show_slice(self, plane: Plane, index: int) -> None:
        """Bring a slice into view."""

    def add_scan(self, layer_data: Any) -> None:
        """Open a scan, given as a reader gives it; it becomes the scan in view."""

    def for_export(self) -> tuple[Volume, Any]:
        """Return the scan as it was read, and ``turn(labels)`` into its own axis order."""

"""The scan in view with its layers: the controller's scene in a real viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from psygnal import Signal

from napari_sss._layers.conversion import LayerData
from napari_sss._layers.mask_painter import Touched
from napari_sss._layers.masks_layer import MasksLayer
from napari_sss._layers.plane_view import PlaneView
from napari_sss._layers.prompt_layers import PromptLayers
from napari_sss._layers.scan import Scan, scan_of, with_spacing
from napari_sss.engine.errors import SSSError
from napari_sss.engine.prompts.types import ObjectPrompts, Plane
from napari_sss.engine.volumes.grid import Vector3
from napari_sss.engine.volumes.volume import Volume


@dataclass
class OpenScan:
    """An Image layer that can be segmented, and what belongs to it."""

    layer: Any
    scan: Scan
    prompts: PromptLayers
    masks: MasksLayer


class Workspace:
    """Knows which Image layer is the scan, and keeps prompts and masks of each.

    A newly opened image becomes the scan, unless a job runs.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, or napari's proxy of it.
    """

    changed = Signal()
    """Another scan is in view, or none, or its spacing was given."""
    images_changed = Signal()
    """The images that can be chosen are others, or have other names."""
    prompted = Signal(tuple)
    """See :attr:`PromptLayers.prompted`."""
    previewed = Signal(object)
    """See :attr:`Drawing.previewed`."""
    edited = Signal(tuple)
    """See :attr:`PromptLayers.edited`."""
    removed = Signal(tuple)
    """See :attr:`PromptLayers.removed`."""
    painted = Signal(tuple)
    """See :attr:`MasksLayer.painted`."""
    refused = Signal(SSSError)
    """A layer or a prompt cannot be used."""

    def __init__(self, viewer: Any) -> None:
        self.view = PlaneView(viewer)
        self.locked: Callable[[], bool] = lambda: False
        self.why_locked: Callable[[int], str] = lambda _: ""
        self.viewer = viewer
        self._open: dict[int, OpenScan] = {}
        self._current: OpenScan | None = None
        self._problem = ""
        self._class_name = "object"
        self._positive = True
        self._listening = True
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        images = self.images()
        for image in images:
            image.events.name.connect(self._on_renamed)
        active = viewer.layers.selection.active
        if images:
            self.choose(next((i for i in images if i == active), images[-1]))

    def disconnect(self) -> None:
        """Listen to the viewer no more."""
        if not self._listening:
            return
        self._listening = False
        self.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        for image in self.images():
            image.events.name.disconnect(self._on_renamed)

    # -- which scan ---------------------------------------------------------------------

    def images(self) -> list[Any]:
        """Return the viewer's Image layers."""
        from napari.layers import Image

        return [layer for layer in self.viewer.layers if isinstance(layer, Image)]

    @property
    def current(self) -> OpenScan | None:
        """The scan in view with its layers."""
        return self._current

    @property
    def image(self) -> Any:
        """The Image layer of the scan, or None."""
        return None if self._current is None else self._current.layer

    def choose(self, layer: Any) -> None:
        """Take an Image layer, or none, for the scan."""
        self._problem = ""
        self._current = None
        if layer is not None:
            try:
                self._current = self._opened(layer)
            except SSSError as error:
                self._problem = str(error)
        self.changed.emit()

    def add_scan(self, layer_data: LayerData) -> None:
        """Open a scan, given as a reader gives it; it becomes the scan in view."""
        from napari.layers import Layer

        layer = Layer.create(*layer_data)
        self.viewer.add_layer(layer)
        if layer is not self.image:
            self.choose(layer)

    def give_spacing(self, spacing: Vector3) -> None:
        """Give the scan the spacing that its file lacks (mm; the layer's Z, Y, X)."""
        if self._current is None:
            return
        current = self._current
        current.scan = with_spacing(current.scan, spacing)
        layer = current.layer
        layer.units = ("mm",) * layer.ndim
        layer.scale = spacing[-layer.ndim :]
        if current.scan.oriented:
            layer.metadata = {**layer.metadata, **current.scan.metadata}
        current.masks.place(spacing, current.scan.metadata)
        current.prompts.place(spacing)
        self.viewer.reset_view()
        self.changed.emit()

    def _opened(self, layer: Any) -> OpenScan:
        known = self._open.get(id(layer))
        if known is not None:
            return known
        scan = scan_of(layer)
        shape = scan.volume.grid.shape
        placement = {
            "scale": (1.0, *layer.scale)[-3:],
            "translate": (0.0, *layer.translate)[-3:],
            "units": (layer.units[-1],) * 3,
        }
        prompts = PromptLayers(self.viewer, shape, placement, self._plane_of_new_points)
        prompts.class_name = self._class_name
        prompts.drawing.positive = self._positive
        prompts.why_locked = lambda object_id: self.why_locked(object_id)
        masks = MasksLayer(self.viewer, shape, placement, scan.metadata)
        prompts.prompted.connect(lambda edits: self.prompted.emit(edits))
        prompts.drawing.previewed.connect(lambda preview: self.previewed.emit(preview))
        prompts.edited.connect(lambda objects: self.edited.emit(objects))
        prompts.removed.connect(lambda ids: self.removed.emit(ids))
        masks.painted.connect(lambda ids: self.painted.emit(ids))
        masks.painted.connect(lambda ids: prompts.reserve(max(ids, default=0)))
        prompts.refused.connect(lambda error: self.refused.emit(error))
        self._open[id(layer)] = OpenScan(layer, scan, prompts, masks)
        return self._open[id(layer)]

    def _plane_of_new_points(self) -> Plane:
        return self.view.plane or Plane.AXIAL

    def _on_inserted(self, event: Any) -> None:
        from napari.layers import Image

        if isinstance(event.value, Image):
            event.value.events.name.connect(self._on_renamed)
            self.images_changed.emit()
            if not self.locked():
                self.choose(event.value)

    def _on_renamed(self) -> None:
        self.images_changed.emit()

    def _on_removed(self, event: Any) -> None:
        self._open.pop(id(event.value), None)
        self.images_changed.emit()
        if self._current is not None and event.value is self._current.layer:
            images = self.images()
            self.choose(images[-1] if images else None)

    # -- the scene ----------------------------------------------------------------------

    @property
    def key(self) -> int | None:
        """Tells one open scan from another; None where there is none."""
        if self._current is not None:
            return id(self._current.layer)
        return 0 if self._problem else None

    @property
    def volume(self) -> Volume | None:
        """The scan in the frame of the layers."""
        return None if self._current is None else self._current.scan.volume

    @property
    def problem(self) -> str:
        """Why the chosen layer cannot be segmented; "" when it can."""
        return self._problem

    def shown_index(self) -> int | None:
        """Return the axial slice in view, or None in another plane."""
        if self._current is None or self.view.plane is not Plane.AXIAL:
            return None
        depth = self._current.scan.volume.grid.shape[0]
        return min(max(self.view.index(self._current.layer, Plane.AXIAL), 0), depth - 1)

    def labels(self) -> NDArray[Any]:
        """Return the masks layer's array (Z, Y, X), making the layer if needed."""
        return self._required.masks.array()

    def prompts(self) -> tuple[ObjectPrompts, ...]:
        """Return the prompts as the layers hold them."""
        return () if self._current is None else self._current.prompts.objects

    def show_prompts(
        self, objects: Sequence[ObjectPrompts], remove: Iterable[int] = ()
    ) -> None:
        """Show objects' prompts, in place of those of the removed ones."""
        self._required.prompts.show(objects, remove)

    def rename(self, object_id: int, class_name: str) -> None:
        """Write another class at an object's prompts."""
        self._required.prompts.rename(object_id, class_name)

    def redraw(self, touched: Touched) -> None:
        """Take note that masks in this box have changed; :meth:`flush` shows it."""
        self._required.masks.touch(touched)

    def flush(self) -> bool:
        """Show what has gathered, as much as fits; return whether there is more."""
        if self._current is None:
            return False
        more_masks = self._current.masks.flush()
        return self._current.prompts.flush() or more_masks

    def show_slice(self, plane: Plane, index: int) -> None:
        """Bring a slice into view."""
        self.view.go_to(self._required.layer, plane, index)

    def select(self, object_id: int) -> None:
        """Make an object's boxes ready to be dragged."""
        self._required.prompts.select(object_id)

    def begin_object(self) -> None:
        """Let the next prompt begin a new object."""
        if self._current is not None:
            self._current.prompts.current_id = None

    def set_sign(self, positive: bool) -> None:
        """Say what the next prompts mean: this belongs to the object, or it does not."""
        self._positive = positive
        for opened in self._open.values():
            opened.prompts.drawing.positive = positive

    def name_new_objects(self, class_name: str) -> None:
        """Say what objects are called that a person adds by drawing a box."""
        self._class_name = class_name
        for opened in self._open.values():
            opened.prompts.class_name = class_name

    def draw_boxes(self) -> None:
        """Let the next drag on the image draw a box."""
        self._required.prompts.draw_boxes()

    def draw_points(self) -> None:
        """Let the next click on the image set a point."""
        self._required.prompts.draw_points()

    def for_export(self) -> tuple[Volume, Callable[[NDArray[Any]], NDArray[Any]]]:
        """Return the scan as it was read, and what turns labels into its own axis order."""
        scan = self._required.scan
        return scan.source, scan.view.undo

    @property
    def _required(self) -> OpenScan:
        if self._current is None:
            raise RuntimeError("No scan is open.")
        return self._current

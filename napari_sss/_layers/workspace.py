"""The scan in view with its layers: the controller's scene in a real viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psygnal import Signal

from napari_sss._layers.conversion import LayerData
from napari_sss._layers.masks_layer import MasksLayer
from napari_sss._layers.plane_view import PlaneView
from napari_sss._layers.prompt_edits import PromptEdit
from napari_sss._layers.prompt_layers import PromptLayers
from napari_sss._layers.prompts_alike import alike
from napari_sss._layers.scan import Scan, scan_of, with_spacing
from napari_sss._layers.view_state import restore_view, view_state
from napari_sss.engine.errors import SSSError
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.prompts.reframing import inverse_view, object_to_source
from napari_sss.engine.prompts.types import ObjectPrompts, Plane, SlicePrompt
from napari_sss.engine.volumes.grid import AxisView, Vector3
from napari_sss.engine.volumes.volume import Volume


@dataclass
class OpenScan:
    """An Image layer that can be segmented, and what belongs to it.

    The layers show it along its displayed axes; whoever asks the workspace speaks of the
    scan's own array, as it was read: that is where it is annotated.
    """

    layer: Any
    scan: Scan
    prompts: PromptLayers
    masks: MasksLayer
    session: CaseSession | None = None

    def to_source(self, prompts: ObjectPrompts) -> ObjectPrompts:
        """Prompts as the layers hold them, on the scan's own array."""
        return object_to_source(prompts, self.scan.view, self.scan.source.grid.shape)

    def to_view(self, prompts: ObjectPrompts) -> ObjectPrompts:
        """Prompts on the scan's own array, as the layers hold them."""
        shape = self.scan.volume.grid.shape
        return object_to_source(prompts, inverse_view(self.scan.view), shape)

    def edit_to_source(self, edit: PromptEdit) -> PromptEdit:
        """An edit of prompts on the layers, on the scan's own array."""
        slices = self.to_source(replace(edit.prompts, prompts=edit.slices)).prompts
        former = None if edit.former is None else self.to_source(edit.former)
        return PromptEdit(self.to_source(edit.prompts), slices, former)

    def slice_to_view(self, plane: Plane, index: int) -> tuple[Plane, int]:
        """A slice of the scan's own array, as it is displayed."""
        moved = self.to_view(ObjectPrompts(1, "-", (SlicePrompt(index, plane=plane),)))
        return moved.prompts[0].plane, moved.prompts[0].index

    def slice_to_source(self, plane: Plane, index: int) -> tuple[Plane, int]:
        """A displayed slice, on the scan's own array."""
        moved = self.to_source(ObjectPrompts(1, "-", (SlicePrompt(index, plane=plane),)))
        return moved.prompts[0].plane, moved.prompts[0].index


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
    """See :attr:`PromptLayers.prompted`; on the scan's own array."""
    previewed = Signal(object)
    """See :attr:`Drawing.previewed`."""
    edited = Signal(tuple)
    """See :attr:`PromptLayers.edited`; on the scan's own array."""
    removed = Signal(tuple)
    """See :attr:`PromptLayers.removed`."""
    painted = Signal(LabelDiff)
    """See :attr:`MasksLayer.painted`."""
    undo_asked = Signal()
    redo_asked = Signal()
    closed = Signal(int)
    """A scan was taken out of the viewer; its :attr:`key` was this."""
    lost = Signal(str)
    """A person has deleted the layer of masks of the scan in view; its name was this."""
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
        active = _bare(viewer.layers.selection.active)
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

        return [_bare(a) for a in self.viewer.layers if isinstance(a, Image)]

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
        masks = MasksLayer(self.viewer, scan.view, placement, scan.metadata)
        opened = OpenScan(layer, scan, prompts, masks)
        prompts.prompted.connect(
            lambda edits: self.prompted.emit(tuple(opened.edit_to_source(e) for e in edits))
        )
        prompts.drawing.previewed.connect(lambda preview: self.previewed.emit(preview))
        prompts.edited.connect(
            lambda objects: self.edited.emit(tuple(opened.to_source(o) for o in objects))
        )
        prompts.removed.connect(lambda ids: self.removed.emit(ids))
        prompts.refused.connect(lambda error: self.refused.emit(error))
        masks.painted.connect(lambda diff: self.painted.emit(diff))
        masks.undo_asked.connect(lambda: self.undo_asked.emit())
        masks.redo_asked.connect(lambda: self.redo_asked.emit())
        self._open[id(layer)] = opened
        return opened

    def _plane_of_new_points(self) -> Plane:
        return self.view.plane or Plane.AXIAL

    def _on_inserted(self, event: Any) -> None:
        layer = _bare(event.value)
        from napari.layers import Image

        if isinstance(layer, Image):
            layer.events.name.connect(self._on_renamed)
            self.images_changed.emit()
            if not self.locked():
                self.choose(layer)

    def _on_renamed(self) -> None:
        self.images_changed.emit()

    def _on_removed(self, event: Any) -> None:
        layer = _bare(event.value)
        gone = self._open.pop(id(layer), None)
        self.images_changed.emit()
        if gone is not None:
            gone.masks.take_away()
            self._take_away(gone.prompts.layers)
            self.closed.emit(id(layer))
        current = self._current
        if current is not None and current.masks.is_shown_as(layer):
            self.lost.emit(layer.name)
        if self._current is not None and layer is self._current.layer:
            images = self.images()
            self.choose(images[-1] if images else None)

    def _take_away(self, layers: Iterable[Any]) -> None:
        for layer in layers:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    # -- the scene ----------------------------------------------------------------------

    @property
    def key(self) -> int | None:
        """Tells one open scan from another; None where there is none."""
        if self._current is not None:
            return id(self._current.layer)
        return 0 if self._problem else None

    @property
    def volume(self) -> Volume | None:
        """The scan as it was read."""
        return None if self._current is None else self._current.scan.source

    @property
    def problem(self) -> str:
        """Why the chosen layer cannot be segmented; "" when it can."""
        return self._problem

    @property
    def view_of_axes(self) -> AxisView:
        """From the scan's axes to the displayed ones."""
        return AxisView() if self._current is None else self._current.scan.view

    def shown_slice(self) -> tuple[Plane, int] | None:
        """Return the slice in view, on the scan's own array; None in 3-D."""
        current, plane = self._current, self.view.plane
        if current is None or plane is None:
            return None
        depth = current.scan.volume.grid.shape[plane.axis]
        index = min(max(self.view.index(current.layer, plane), 0), depth - 1)
        return current.slice_to_source(plane, index)

    def displayed(self, plane: Plane, index: int) -> int:
        """Return what the slider counts for a slice of the scan's own array."""
        return self._required.slice_to_view(plane, index)[1]

    def attach(self, session: CaseSession | None) -> None:
        """Show a case's annotation on the scan in view, or none."""
        current = self._current
        if current is None or current.session is session:
            return
        current.session = session
        current.prompts.current_id = None
        current.prompts.show((), remove=[o.id for o in current.prompts.objects])
        current.masks.attach(session)
        current.masks.let_paint(session is not None and not session.read_only)

    def prompts(self) -> tuple[ObjectPrompts, ...]:
        """Return the prompts as the layers hold them, on the scan's own array."""
        current = self._current
        if current is None:
            return ()
        return tuple(current.to_source(o) for o in current.prompts.objects)

    def show_prompts(
        self, objects: Sequence[ObjectPrompts], remove: Iterable[int] = ()
    ) -> None:
        """Have the layers hold these prompts and no others of these objects.

        What they hold already stays as it is, selected or being dragged.
        """
        shown = self._required.prompts
        known = {o.id: o for o in shown.objects}
        other = []
        for o in (self._required.to_view(o) for o in objects):
            there = known.get(o.id)
            if there is None or not alike(there.prompts, o.prompts):
                other.append(o)
            elif there.class_name != o.class_name:
                shown.rename(o.id, o.class_name)
        gone = [object_id for object_id in remove if object_id in known]
        if other or gone:
            shown.show(other, gone)

    def reserve(self, highest_id: int) -> None:
        """Let objects that a person adds have ids above this one."""
        self._required.prompts.reserve(highest_id)

    def colour(self, colours: Mapping[int, str]) -> None:
        """Give each object its colour."""
        self._required.masks.colour(colours)

    def redraw(self, box: tuple[slice, slice, slice]) -> None:
        """Take note that masks in this box have changed; :meth:`flush` shows it."""
        if self._current is not None:
            self._current.masks.touch(box)

    def restore_masks(self) -> bool:
        """Put the layer of masks back that a person has deleted; return whether it was."""
        lost = self._current is not None and self._current.masks.is_lost
        if lost:
            self._required.masks.ensure()
        return lost

    def flush(self) -> bool:
        """Show what has gathered, as much as fits; return whether there is more."""
        if self._current is None:
            return False
        more_masks = self._current.masks.flush()
        return self._current.prompts.flush() or more_masks

    def view_state(self) -> dict[str, Any]:
        """Return what the viewer shows of the scan, as plain content."""
        if self._current is None:
            return {}
        return view_state(self.viewer, self.view, self._current.layer)

    def restore_view(self, state: Mapping[str, Any]) -> None:
        """Show the scan as it was."""
        if self._current is not None and state:
            restore_view(self.viewer, self.view, self._current.layer, state)

    def show_slice(self, plane: Plane, index: int) -> None:
        """Bring a slice of the scan's own array into view."""
        current = self._required
        self.view.go_to(current.layer, *current.slice_to_view(plane, index))

    def select(self, object_id: int) -> None:
        """Make an object's boxes ready to be dragged, and let the brush paint it."""
        self._required.prompts.select(object_id)
        self._required.masks.choose(object_id)

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

    @property
    def _required(self) -> OpenScan:
        if self._current is None:
            raise RuntimeError("No scan is open.")
        return self._current


def _bare(layer: Any) -> Any:
    """The layer itself: a plugin is given proxies of the viewer's, a new one each time."""
    return getattr(layer, "__wrapped__", layer)

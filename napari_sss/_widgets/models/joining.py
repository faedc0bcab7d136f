"""How the Models tab works together with the rest of the panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QTabWidget

from napari_sss._layers.workspace import Workspace
from napari_sss._widgets.cases.tab import CasesTab
from napari_sss._widgets.controller import SegmentationController
from napari_sss._widgets.models.suggested_next import SuggestedNext
from napari_sss._widgets.models.tab import ModelsTab
from napari_sss._widgets.status import PanelStatus
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.grid import AxisView


def join_panel(
    models: ModelsTab,
    tabs: QTabWidget,
    controller: SegmentationController,
    workspace: Workspace,
    show_name: Callable[[str, str], Any],
) -> None:
    """Connect the Models tab.

    Parameters
    ----------
    models : ModelsTab
        The tab.
    tabs : QTabWidget
        The panel's tabs; the Cases tab, where there is one, shows what is suggested next.
    controller : SegmentationController
        While it works for somebody, the background waits.
    workspace : Workspace
        Shows the slice that is asked for.
    show_name : callable
        ``show_name(key, title)`` shows the model in use at the head of the panel.
    """
    models.controller.in_use_changed.connect(show_name)
    pool = models.pool

    def give_way(status: PanelStatus) -> None:
        pool.set_interactive(status.busy)

    controller.status_changed.connect(give_way)
    for number in range(tabs.count()):
        cases = tabs.widget(number)
        if isinstance(cases, CasesTab):
            _add_suggestion(models, cases, workspace)


def _add_suggestion(models: ModelsTab, cases: CasesTab, workspace: Workspace) -> None:
    """Show below the case list which case is best annotated next."""

    def placed(plane: Plane, index: int) -> tuple[Plane, int]:
        scan = None if workspace.current is None else workspace.current.scan
        if scan is None:
            return plane, index
        return in_view(scan.view, scan.source.grid.shape, plane, index)

    suggested = SuggestedNext(models.pool, placed)
    suggested.slice_asked.connect(
        lambda plane, index: workspace.view.go_to(workspace.image, plane, index)
    )
    models.pool.entered.connect(lambda ids: cases.catalogue.refresh(ids))
    cases.add_below_list(suggested)


def in_view(
    view: AxisView, shape: tuple[int, int, int], plane: Plane, index: int
) -> tuple[Plane, int]:
    """A slice of a scan's own array, as the layer counts it.

    Parameters
    ----------
    view : AxisView
        From the scan's axes to the layer's.
    shape : (int, int, int)
        Of the scan's array.
    plane, index : Plane, int
        The slice in the scan's array.
    """
    shown = view.order.index(plane.axis)
    along = shape[plane.axis] - 1 - index if view.flips[shown] else index
    return Plane(shown), along

"""The Fine-tune tab in napari's window, with a real, very short training."""

from __future__ import annotations

import json

import pytest
from qtpy.QtCore import Qt

from napari_sss._widgets import panel as panel_module
from napari_sss._widgets.finetune import FinetuneTab
from napari_sss._widgets.finetune.closing import OnClose
from napari_sss._widgets.finetune.shown import Page
from napari_sss.engine.runs.lock import is_locked
from napari_sss.engine.runs.state import RunPhase

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def panel(make_napari_viewer, engine, monkeypatch, tmp_path, wait_until_done):
    monkeypatch.setattr(panel_module, "TorchEngine", lambda: engine)
    monkeypatch.setenv("NAPARI_SSS_HOME", str(tmp_path / "home"))
    viewer = make_napari_viewer(show=True)
    _, panel = viewer.window.add_plugin_dock_widget("napari-sss", "SSS")
    viewer.window.resize(1366, 768)
    wait_until_done(panel)
    yield panel
    engine.gate.set()


@pytest.fixture
def tab(panel):
    found = next(
        panel.tabs.widget(k)
        for k in range(panel.tabs.count())
        if isinstance(panel.tabs.widget(k), FinetuneTab)
    )
    panel.tabs.setCurrentWidget(found)
    return found


def test_from_accepted_cases_to_an_adopted_model(panel, tab, qtbot, make_project):
    project = make_project(accepted=4, total=5)
    controller = tab.controller

    def wait(condition, seconds=240):
        qtbot.waitUntil(condition, timeout=1000 * seconds)

    panel.room.open(project)
    wait(lambda: controller.shown.setup.overview is not None)
    assert controller.shown.page is Page.SETUP
    tab.setup.budget.own.setValue(0.1)
    tab.setup.strategy.show_key("supervised")
    wait(tab.setup.start.isEnabled)
    qtbot.mouseClick(tab.setup.start, Qt.MouseButton.LeftButton)
    wait(lambda: controller.shown.run is not None)
    folder = controller.shown.run.folder
    # Closing now would ask; the person wants to stay.
    tab.guard._ask = lambda _: (OnClose.STAY, False)
    wait(lambda: controller.active_run is not None)
    assert not panel.window().close()
    wait(lambda: not controller.shown.run.is_active, 400)
    assert controller.shown.run.state.phase is RunPhase.DONE, controller.shown.run.state
    wait(lambda: controller.shown.page is Page.GATE)
    assert not is_locked(folder)
    gate = json.loads((folder / "gate.json").read_text())
    assert set(gate["new"]) == {"scan3"}
    assert tab.gate.table.rowCount() == 2  # the class and the mean
    with qtbot.waitSignal(tab.adopted, timeout=60_000) as told:
        qtbot.mouseClick(tab.gate.adopt, Qt.MouseButton.LeftButton)
    (model,) = told.args
    assert model.card.run == folder.name
    assert model.card.scores.cases == 1
    wait(lambda: panel.controller.model.status.name == str(model.folder), 60)
    # The case is shown with the new model's mask over it.
    viewer = panel.workspace.viewer
    qtbot.mouseClick(tab.gate.show_button, Qt.MouseButton.LeftButton)
    wait(lambda: any(layer.name.startswith("new model") for layer in viewer.layers), 60)
    wait(lambda: not panel.pending, 60)

"""The Models tab as a person sees and presses it."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QInputDialog, QMessageBox

from napari_sss._widgets.models.suggested_next import SuggestedNext
from napari_sss._widgets.models.tab import CHOOSE, ModelsTab, elided
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.ranking.ranking import (
    Ranking,
    SuggestedCase,
    SuggestedSlice,
    write_ranking,
)

pytestmark = pytest.mark.gui


@pytest.fixture
def tab(opened, qtbot):
    """The tab of an open, empty project."""
    tab = ModelsTab(opened.room, opened.workers[3], opened.choice)
    qtbot.addWidget(tab)
    tab.resize(320, 560)
    tab.show()
    tab.rest = lambda: _rest(tab, opened, qtbot)
    tab.rest()
    yield tab
    tab.shut_down()


def _rest(tab, bench, qtbot):
    def calm():
        bench.deliver()
        return not tab.pending and not any(w.busy for w in bench.workers)

    qtbot.waitUntil(calm, timeout=30_000)


def click(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_an_empty_project_shows_what_to_do_and_greys_with_reasons(tab):
    assert "fine-tune" in tab.empty.text()
    assert tab.tree.key == "embedded"  # what is used is selected
    assert not tab.activate.isEnabled()
    assert tab.activate.toolTip() == "It is in use already."
    assert not tab.roll_back.isEnabled()
    assert "before" in tab.roll_back.toolTip()
    assert "BSD-3-Clause" in tab.details.toPlainText()
    assert tab.take_in.isEnabled()


def test_activate_and_roll_back_with_the_mouse(tab, opened, make_run):
    model = opened.store.add(make_run("a"), name="Heart")
    tab.rest()
    tab.tree.select_key(model.id)
    assert "not measured" in tab.details.toPlainText()
    click(tab.activate)
    tab.rest()
    assert opened.choice.trained == model.folder
    assert tab.tree.currentItem().font(0).bold()
    assert tab.roll_back.text() == "Roll back to Embedded"
    click(tab.roll_back)
    tab.rest()
    assert opened.choice.trained is None


def test_rename_and_delete_ask_first(tab, opened, make_run, monkeypatch):
    model = opened.store.add(make_run("a"), name="Heart")
    tab.rest()
    tab.tree.select_key(model.id)
    monkeypatch.setattr(QInputDialog, "getText", lambda *a, **k: ("Ventricles", True))
    click(tab.rename)
    tab.rest()
    assert tab.tree.currentItem().text(0) == "Ventricles"
    answers = iter([QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Yes])
    monkeypatch.setattr(QMessageBox, "question", lambda *a, **k: next(answers))
    click(tab.delete)
    tab.rest()
    assert opened.store.models
    click(tab.delete)
    tab.rest()
    assert opened.store.models == ()


def test_what_can_be_done_depends_on_the_kind_of_model(tab, opened, make_run):
    model = opened.store.add(make_run("a"))
    tab.rest()
    assert tab.verify.isVisible()
    assert not tab.rename.isVisible()
    tab.tree.select_key(model.id)
    assert tab.rename.isVisible()
    assert not tab.verify.isVisible()


def test_without_a_selection_the_buttons_say_so(tab):
    tab.tree.setCurrentItem(None)
    assert tab.activate.toolTip() == CHOOSE
    assert tab.details.toPlainText().strip() == CHOOSE


def test_long_names_fit_the_button():
    assert elided("Heart") == "Heart"
    assert elided("Overnight, 12 cases") == "Overnight, 12…"


def test_the_suggested_case_is_told_with_its_reason_and_slices(tab, opened, scans, qtbot):
    project = opened.room.project
    project.cases.add(scans)
    hints = (SuggestedSlice(Plane.AXIAL, 2, "opinions differ on 30 % there"),)
    cases = tuple(
        SuggestedCase(i, f"s{i - 1}", 1.0, ("It stands for 2 more cases.",), hints)
        for i in (3, 1)
    )
    write_ranking(Ranking("k", "Tiny", "", (), cases), project.folder)
    widget = SuggestedNext(tab.pool)
    qtbot.addWidget(widget)
    widget.show()
    tab.pool.look()
    tab.rest()
    assert widget.text.text() == "Next: s2. It stands for 2 more cases."
    assert "Opinions differ" in widget.text.toolTip()
    assert "Then s0" in widget.text.toolTip()
    asked = []
    opened.room.open_case = asked.append
    click(widget.open)
    assert asked == [3]

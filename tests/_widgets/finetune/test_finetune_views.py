"""The Fine-tune tab's views, with a display."""

from __future__ import annotations

from dataclasses import replace

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_sss._widgets.finetune.chart_view import ChartView
from napari_sss._widgets.finetune.closing import ClosingGuard, OnClose
from napari_sss._widgets.finetune.curves import Chart, Curve
from napari_sss._widgets.finetune.form import AdvancedForm
from napari_sss._widgets.finetune.gate_view import GateView
from napari_sss._widgets.finetune.plan import BY_TIME, SHOWN_ELSEWHERE
from napari_sss._widgets.finetune.run_view import RunView
from napari_sss._widgets.finetune.setup_view import SetupView, facts_text
from napari_sss._widgets.finetune.shown import GateCase, GateShown, RunShown, SetupShown
from napari_sss.engine.runs.overview import AcceptedCase, Overview
from napari_sss.engine.runs.split import Side
from napari_sss.engine.runs.state import RunPhase, RunState
from napari_sss.engine.runs.verdict import judged
from napari_sss.engine.training.config import TrainConfig, configured

pytestmark = pytest.mark.gui


def accepted(case_id, side, slices=9):
    return AcceptedCase(
        case_id, f"case{case_id}", f"g{case_id}", side, slices, {"organ": 8}, {"organ": 1}, True
    )


OVERVIEW = Overview(
    (*(accepted(k, Side.TRAIN) for k in (1, 2, 3)), accepted(4, Side.HELD_OUT)), 7, 70
)


@pytest.fixture
def setup_view(qtbot):
    view = SetupView(["sss", "supervised"])
    qtbot.addWidget(view)
    view.show_setup(SetupShown(OVERVIEW, starts_from="Embedded"))
    return view


def test_what_is_learned_from_is_told(setup_view):
    assert facts_text(OVERVIEW) == (
        "3 accepted cases, 27 slices; 7 unlabelled scans (70 slices). 1 case held out to judge."
    )
    cells = [setup_view.classes.item(0, column).text() for column in range(4)]
    assert cells == ["organ", "3", "24", "3"]


def test_time_is_the_first_question(setup_view, qtbot):
    assert setup_view.plan.minutes == 15
    qtbot.mouseClick(setup_view.budget.buttons.button(1), Qt.MouseButton.LeftButton)
    assert setup_view.plan.minutes == 60
    setup_view.budget.own.setValue(7)
    assert setup_view.plan.minutes == 7
    assert setup_view.budget.buttons.checkedId() == -1
    assert setup_view.plan.strategy == "sss"


def test_start_says_why_it_cannot_be_pressed(setup_view, qtbot):
    assert setup_view.start.isEnabled()
    with qtbot.waitSignal(setup_view.start_asked):
        qtbot.mouseClick(setup_view.start, Qt.MouseButton.LeftButton)
    setup_view.show_setup(SetupShown(OVERVIEW, why_not="Nothing is accepted yet."))
    assert not setup_view.start.isEnabled()
    assert setup_view.start.toolTip() == "Nothing is accepted yet."


def test_the_form_has_every_setting_and_gives_only_what_was_changed(qtbot):
    form = AdvancedForm(SHOWN_ELSEWHERE, BY_TIME)
    qtbot.addWidget(form)
    assert set(form._lines) == set(TrainConfig.model_fields) - SHOWN_ELSEWHERE
    assert form.values() == {}
    changes = {
        "batch": 4,
        "learning_rate": 5e-4,
        "zoom": (0.9, 1.2),
        "pcsw": False,
        "precision": "32-true",
        "validate_every": 25,
    }
    for name, value in changes.items():
        form.set_value(name, value)
    config = configured({"minutes": 1.0}, form.values())
    assert {name: getattr(config, name) for name in changes} == changes
    form.reset()
    assert form.values() == {}


@pytest.mark.parametrize(
    ("name", "text"), [("batch", "many"), ("ema", 3), ("zoom", "1"), ("batch", "")]
)
def test_the_form_names_what_cannot_be_used(qtbot, name, text):
    form = AdvancedForm(SHOWN_ELSEWHERE, BY_TIME)
    qtbot.addWidget(form)
    form.set_value(name, text)
    title = TrainConfig.model_fields[name].title
    assert form.problem.startswith(f"{title}:")


def test_what_can_be_done_with_a_run_follows_its_phase(qtbot, tmp_path):
    view = RunView()
    qtbot.addWidget(view)
    run = RunShown(tmp_path, "SSS, 15 min", RunState(RunPhase.TRAINING, done=5, total=10))

    def shown():
        names = ("pause", "resume", "finish", "judge", "discard", "end")
        return {name for name in names if getattr(view, name).isVisibleTo(view)}

    view.show_run(run)
    assert shown() == {"pause", "finish", "discard"}
    assert view.bar.value() == 500
    view.show_run(replace(run, asked="pausing …"))
    assert not view.pause.isEnabled()
    view.show_run(replace(run, stuck=True))
    assert "end" in shown()
    view.show_run(replace(run, state=RunState(RunPhase.PAUSED), has_model=True))
    assert shown() == {"resume", "judge", "discard"}
    died = RunState(RunPhase.DIED, problem="It was killed.", remedy="Resume it.")
    view.show_run(replace(run, state=died))
    assert shown() == {"resume", "discard"}
    assert view.problem.text() == "It was killed. Resume it."


def test_discarding_needs_a_second_press(qtbot, tmp_path):
    view = RunView()
    qtbot.addWidget(view)
    view.show_run(RunShown(tmp_path, "SSS", RunState(RunPhase.TRAINING)))
    asked = []
    view.discard_asked.connect(lambda: asked.append(1))
    qtbot.mouseClick(view.discard, Qt.MouseButton.LeftButton)
    assert asked == []
    assert view.discard.text() == "Press again"
    view.show_run(RunShown(tmp_path, "SSS", RunState(RunPhase.TRAINING, beat=2)))
    assert view.discard.text() == "Press again"
    qtbot.mouseClick(view.discard, Qt.MouseButton.LeftButton)
    assert asked == [1]
    assert view.discard.text() == "Stop and discard"
    # Without a second press it is forgotten.
    view.discard._patience.setInterval(50)
    qtbot.mouseClick(view.discard, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: view.discard.text() == "Stop and discard", timeout=5000)
    assert asked == [1]


def test_a_chart_is_drawn_with_and_without_values(qtbot):
    view = ChartView()
    qtbot.addWidget(view)
    view.resize(160, 104)
    view.show()
    empty = view.grab().toImage()
    curves = (
        Curve("labels", (1.0, 2.0, 3.0), (2.0, 1.0, 0.5), 1),
        Curve("one", (2.0,), (1.0,)),
    )
    view.show_chart(Chart("Loss", curves, logarithmic=True))
    assert view.grab().toImage() != empty
    view.show_chart(Chart("Loss", (Curve("flat", (1.0, 2.0), (0.0, 0.0)),), logarithmic=True))
    view.grab()


def gate(new, old, decision=""):
    found = judged(["organ"], {"a": {"organ": new}}, {"a": {"organ": old}})
    case = GateCase(4, "a", "held-out", 0.8, new - old, None, None)
    return GateShown(found, (case,), decision=decision)


def test_the_gate_shows_figures_and_warns(qtbot, tmp_path):
    view = GateView()
    qtbot.addWidget(view)
    run = RunShown(tmp_path, "", RunState(RunPhase.DONE), gate=gate(0.6, 0.8), has_model=True)
    view.show_gate(run)
    cells = [view.table.item(0, column).text() for column in range(4)]
    assert cells == ["organ", "0.80", "0.60", "-0.200"]
    assert "worse by 0.200" in view.warnings.text()
    assert "keep the model in use" in view.advice.text()
    asked = []
    view.adopt_asked.connect(lambda: asked.append("adopt"))
    view.case_asked.connect(asked.append)
    qtbot.mouseClick(view.adopt, Qt.MouseButton.LeftButton)  # advice is no order
    qtbot.mouseClick(view.show_button, Qt.MouseButton.LeftButton)
    assert asked == ["adopt", 0]
    view.show_gate(replace(run, gate=gate(0.6, 0.8, "kept")))
    assert not view.adopt.isVisibleTo(view)
    assert "was kept" in view.decided.text()


@pytest.fixture
def window(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    return window


def guarded(window, setting, answer=(OnClose.STAY, False), running=True):
    done = []
    guard = ClosingGuard(
        lambda: running,
        lambda: setting,
        lambda kept: done.append(("remember", kept)),
        lambda: done.append("pause"),
        lambda _: done.append("ask") or answer,
        parent=window,
    )
    guard.guard(window)
    return done


def test_closing_asks_and_can_be_taken_back(window):
    done = guarded(window, OnClose.ASK)
    assert not window.close()
    assert window.isVisible()
    assert done == ["ask"]


def test_closing_lets_the_run_go_on_and_remembers(window):
    done = guarded(window, OnClose.ASK, (OnClose.GO_ON, True))
    assert window.close()
    assert done == ["ask", ("remember", OnClose.GO_ON)]


def test_closing_pauses_without_asking_where_that_was_said(window):
    done = guarded(window, OnClose.PAUSE)
    assert window.close()
    assert done == ["pause"]


def test_closing_is_free_where_nothing_runs(window):
    done = guarded(window, OnClose.ASK, running=False)
    assert window.close()
    assert done == []

"""The Fine-tune tab's logic, without a viewer and without a training."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from napari_sss._widgets.finetune import controller as module
from napari_sss._widgets.finetune.plan import Plan
from napari_sss._widgets.finetune.shown import Page
from napari_sss._widgets.status import Severity
from napari_sss.engine.errors import WriteError
from napari_sss.engine.runs.estimate import Probe, write_probe
from napari_sss.engine.runs.request import read_request
from napari_sss.engine.runs.split import Side
from napari_sss.engine.runs.state import MachineLoad, RunPhase
from napari_sss.engine.runs.wishes import Wish, give_way_count, wish_of

PLAN = Plan(minutes=2.0)


@pytest.fixture
def running(bench, make_project, started, story):
    """A run whose process is said to be at work, and the one who writes for it."""
    bench.open(make_project())
    bench.controller.start(PLAN)
    bench.settle()
    folder = bench.controller.shown.run.folder
    tale = story(folder)
    tale.state(RunPhase.TRAINING)
    assert bench.poll().state.phase is RunPhase.TRAINING
    return tale


def test_without_a_project_it_says_what_to_do(bench):
    assert bench.controller.shown.page is Page.EMPTY


def test_what_a_run_would_learn_from(bench, make_project):
    bench.open(make_project(accepted=4, total=5))
    setup = bench.controller.shown.setup
    assert bench.controller.shown.page is Page.SETUP
    assert setup.why_not == ""
    assert setup.starts_from == "Embedded"
    assert [c.side for c in setup.overview.cases] == [*[Side.TRAIN] * 3, Side.HELD_OUT]
    (facts,) = setup.overview.classes(Side.TRAIN)
    # The object spans slices 1 and 2 of each of three cases.
    assert (facts.name, facts.cases, facts.slices, facts.objects) == ("organ", 3, 6, 3)
    assert setup.overview.pool_cases == 1


def test_nothing_accepted_cannot_start(bench, make_project, started):
    bench.open(make_project(accepted=0, total=2))
    assert "Nothing is accepted yet" in bench.controller.shown.setup.why_not
    bench.controller.start(PLAN)
    bench.settle()
    assert started == []


def test_missing_things_are_named_with_what_to_add(bench, make_project):
    bench.open(make_project(accepted=1, total=1))
    told = " ".join(a.text for a in bench.controller.shown.setup.overview.advice())
    assert "organ is on 2 slices only" in told
    assert "Accept 3 more whole cases" in told  # the fourth patient is held out
    assert "No unlabelled scan" in told


def test_a_start_fixes_data_and_settings_and_is_watched(bench, make_project, started):
    project = make_project()
    bench.open(project)
    bench.controller.start(Plan(minutes=2.0, strategy="supervised", more={"seed": 7}))
    bench.settle()
    shown = bench.controller.shown
    assert shown.page is Page.RUN
    (process,) = started
    assert process.folder == shown.run.folder == bench.controller.active_run
    request = read_request(process.folder)
    assert request.config.strategy == "supervised"
    assert (request.config.minutes, request.config.seed) == (2.0, 7)
    assert request.config.classes == {"organ": 1}
    assert request.current == "embedded"
    assert len(list((process.folder / "labels").glob("*.nii.gz"))) == 4
    assert (project / "split.json").exists()


def test_settings_that_cannot_be_used_are_said_and_leave_nothing(bench, make_project, started):
    project = make_project()
    bench.open(project)
    bench.controller.start(Plan(minutes=2.0, more={"batch": 0}))
    bench.settle()
    assert bench.controller.shown.page is Page.SETUP
    assert "batch" in bench.room.notices[-1].text
    assert not list((project / "runs").glob("*"))


def test_progress_curves_and_load_are_shown(bench, running):
    load = MachineLoad(0.9, 700.0, 0.0, 0.5)
    running.state(RunPhase.TRAINING, done=300, total=1000, seconds_left=84.0, load=load)
    for step in (2, 4):
        running.event(event="step", step=step, labelled=1 / step, unlabelled=0.1, loss=0.6)
    running.event(
        event="validation",
        step=4,
        dice=0.5,
        on="training",
        classes={"organ": 0.5},
        confident_share={"background": 0.9, "organ": 0.3},
    )
    run = bench.poll()
    assert run.state.load == load
    assert run.step == 4
    loss, dice, sure, _ = run.charts
    assert [(c.name, c.ys) for c in loss.curves] == [
        ("labels", (0.5, 0.25)),
        ("unlabelled", (0.1, 0.1)),
    ]
    assert [(c.name, c.ys) for c in dice.curves] == [("organ", (0.5,))]
    assert dice.title == "Dice, learned cases"
    assert [(c.name, c.ys) for c in sure.curves] == [("organ", (0.3,))]


@pytest.mark.parametrize(
    ("ask", "wish"),
    [("pause", Wish.PAUSE), ("finish", Wish.FINISH), ("discard", Wish.DISCARD)],
)
def test_what_is_asked_reaches_the_run(bench, running, ask, wish):
    getattr(bench.controller, ask)()
    assert bench.controller.shown.run.asked
    bench.settle()
    assert wish_of(running.folder) is wish
    # Until it is honoured it stays said.
    running.state(RunPhase.TRAINING)
    assert bench.poll().asked


def test_a_paused_run_is_resumed_by_a_new_process(bench, running, started):
    running.state(RunPhase.PAUSED)
    run = bench.poll()
    assert not run.is_active
    assert run.state.phase.can_resume
    bench.controller.resume()
    bench.settle()
    assert len(started) == 2
    assert bench.controller.shown.run.state.phase is RunPhase.QUEUED


def test_a_failure_is_told_with_its_remedy(bench, running):
    running.state(RunPhase.FAILED, problem="The disk is full.", remedy="Free some space.")
    bench.poll()
    notice = bench.room.notices[-1]
    assert notice.severity is Severity.ERROR
    assert notice.text == "The disk is full. Free some space."
    bench.poll()
    assert len(bench.room.notices) == 1


def test_what_a_killed_run_has_learned_can_be_judged(bench, running, started):
    (running.folder / "model.json").write_text("{}")
    running.state(RunPhase.FAILED, problem="gone")
    assert bench.poll().has_model
    bench.controller.resume(judge_only=True)
    bench.settle()
    assert started[-1].arguments == ("--judge-only",)


def test_a_discarded_run_leaves_the_tab_ready_for_another(bench, running):
    running.state(RunPhase.PAUSED)
    bench.poll()
    bench.controller.discard()
    bench.settle()
    assert not running.folder.exists()
    assert bench.controller.shown.page is Page.SETUP


def test_the_gate_is_shown_and_nothing_is_adopted_by_itself(bench, running, monkeypatch):
    adopted = []
    monkeypatch.setattr(
        module, "adopt", lambda *a: adopted.append(a) or SimpleNamespace(name="M")
    )
    running.gate(new=0.8, old=0.7)
    running.state(RunPhase.DONE)
    bench.poll()
    shown = bench.controller.shown
    assert shown.page is Page.GATE
    assert shown.run.gate.judgement.mean.gain == pytest.approx(0.1)
    assert adopted == []
    assert bench.room.notices[-1].severity is Severity.INFO


def test_adopting_tells_everybody_and_is_kept(bench, running, monkeypatch, make_project):
    told = []
    bench.controller.adopted.connect(told.append)
    model = SimpleNamespace(name="SSS 1", id="m0001")
    monkeypatch.setattr(module, "adopt", lambda project, folder: model)
    (running.folder / "model.json").write_text("{}")
    running.gate()
    running.state(RunPhase.DONE)
    bench.poll()
    bench.controller.adopt()
    bench.settle()
    assert told == [model]
    assert bench.controller.shown.run.gate.decision == "adopted"


def test_an_adoption_that_fails_leaves_the_question_open(bench, running, monkeypatch):
    def fail(*_):
        raise WriteError("The disk is full.", "Free some space.")

    monkeypatch.setattr(module, "adopt", fail)
    (running.folder / "model.json").write_text("{}")
    running.gate()
    running.state(RunPhase.DONE)
    bench.poll()
    bench.controller.adopt()
    bench.settle()
    assert bench.controller.shown.run.gate.decision == ""
    assert "Free some space" in bench.room.notices[-1].text


def test_keeping_the_old_one_is_remembered_by_the_next_viewer(bench, running, make_project):
    running.gate(new=0.5, old=0.7)
    running.state(RunPhase.DONE)
    bench.poll()
    bench.controller.keep_old()
    bench.settle()
    assert bench.controller.shown.run.gate.decision == "kept"
    bench.controller.new_run()
    bench.settle()
    assert bench.controller.shown.page is Page.SETUP


def test_a_viewer_that_opens_later_attaches(bench, make_project, started, story):
    from napari_sss.engine.runs.store import RunStore

    project = make_project()
    store = RunStore(project)
    folder = store.prepare(PLAN.settings("embedded"), current="embedded")
    tale = story(folder)
    tale.state(RunPhase.PAUSED)
    tale.event(event="step", step=10, labelled=0.5)
    bench.open(project)
    run = bench.poll()
    assert (run.folder, run.step, run.title) == (folder, 10, "SSS, 2:00")
    assert bench.controller.shown.page is Page.RUN
    assert bench.room.notices == []  # nothing has happened now


def test_a_case_that_differs_is_asked_for(bench, running):
    asked = []
    bench.controller.case_asked.connect(asked.append)
    running.gate()
    running.state(RunPhase.DONE)
    bench.poll()
    bench.controller.show_case(0)
    bench.controller.show_case(5)
    assert [case.name for case in asked] == ["scan3"]
    assert asked[0].new_file == running.folder / "gate/scan3_new.nii.gz"


def test_a_measurement_promises_steps_and_memory(bench, make_project, started):
    bench.open(make_project())
    bench.controller.measure(PLAN)
    bench.settle()
    assert bench.controller.shown.setup.measuring
    (process,) = started
    assert process.arguments == ("--probe",)
    probe = Probe(1.0, 0.0, 1.0, 0.0, 10, 4, 1024.0, 0.0, 0.0, 0.0, "full", "CPU")
    write_probe(probe, process.folder)
    process.code = 0
    bench.controller.poll()
    bench.settle()
    setup = bench.controller.shown.setup
    assert (setup.probe, setup.measuring) == (probe, False)
    assert PLAN.promise(probe) == "About 120 steps; 1.0 GB memory. CPU."
    bench.controller.plan_changed()
    assert bench.controller.shown.setup.probe is None


def test_a_measurement_that_fails_is_said(bench, make_project, started, story):
    bench.open(make_project())
    bench.controller.measure(PLAN)
    bench.settle()
    tale = story(started[0].folder)
    tale.state(RunPhase.FAILED, problem="The memory does not suffice.")
    started[0].code = 5
    bench.controller.poll()
    bench.settle()
    assert not bench.controller.shown.setup.measuring
    assert "memory does not suffice" in bench.room.notices[-1].text


def test_a_read_only_project_cannot_start(bench, make_project, started):
    bench.room.why_read_only = "This project is open for reading only."
    bench.open(make_project())
    assert bench.controller.shown.setup.why_not == bench.room.why_read_only


def test_a_run_on_the_same_gpu_is_told_that_the_viewer_is_busy(bench, running):
    running.state(RunPhase.TRAINING, load=MachineLoad(1.0, 900.0, 500.0, 0.5))
    bench.poll()
    for _ in range(3):  # progress comes many times a second; the sign is renewed once
        bench.controller.viewer_is_busy(True)
    bench.settle()
    assert give_way_count(running.folder) == 1
    bench.controller.viewer_is_busy(False)
    bench.settle()
    assert give_way_count(running.folder) is None


def test_a_run_on_the_cpu_keeps_its_core(bench, running):
    bench.controller.viewer_is_busy(True)
    bench.settle()
    assert give_way_count(running.folder) is None

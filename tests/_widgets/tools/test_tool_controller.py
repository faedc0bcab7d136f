"""The tools' logic without a viewer."""

from __future__ import annotations

import pytest

from napari_sss._layers.prompt_edits import edit_between
from napari_sss._layers.tool_use import Tool
from napari_sss._widgets.tools.controller import (
    NO_OBJECT,
    NO_SCAN,
    NO_SIGN,
    NO_SLICE,
    NOTHING_TO_RUN,
    ToolController,
)
from napari_sss.engine.prompts.types import ObjectPrompts, Plane, Point, SlicePrompt

FOUR = SlicePrompt(4, points=(Point(1, 2),))
SEVEN = SlicePrompt(7, points=(Point(3, 2),))
KIDNEY = ObjectPrompts(2, "kidney", (FOUR, SEVEN))


class FakeHand:
    def __init__(self):
        self.tool = Tool.LOOK
        self.on_slice = True
        self.object_id = None
        self.place = (Plane.AXIAL, 4)
        self.positive = True
        self.selected = False
        self.abandoned = 0

    def use(self, tool, positive):
        self.tool, self.positive = tool, positive

    def set_sign(self, positive):
        self.positive = positive

    def turn_selected(self):
        return self.selected

    def begin_object(self):
        self.object_id = None

    def abandon(self):
        self.abandoned += 1


class FakePrompts:
    key = 1
    shown = (KIDNEY,)

    def prompts(self):
        return self.shown


class FakeRunner:
    def __init__(self):
        self.entered, self.answered, self.propagated = [], [], []

    def prompted(self, prompts):
        self.entered.append(prompts)

    def answer(self, prompts, prompted):
        self.answered.append((prompts.id, prompted))

    def propagate(self, ids):
        self.propagated.append(list(ids))


@pytest.fixture
def hand():
    return FakeHand()


@pytest.fixture
def scene():
    return FakePrompts()


@pytest.fixture
def runner():
    return FakeRunner()


@pytest.fixture
def controller(hand, scene, runner):
    return ToolController(hand, scene, runner)


@pytest.fixture
def notices(controller):
    heard = []
    controller.noticed.connect(lambda notice: heard.append(notice.text))
    return heard


def added(prompt, former=None):
    now = ObjectPrompts(2, "kidney", (prompt,))
    return edit_between(former, now)


def test_each_prompt_is_answered_on_its_slice_alone(controller, runner):
    controller.prompted([edit_between(ObjectPrompts(2, "kidney", (FOUR,)), KIDNEY)])
    assert runner.answered == [(2, SEVEN)]


def test_switched_off_prompts_wait_until_they_are_run(controller, runner, hand):
    controller.set_run_after_each(False)
    controller.prompted([added(FOUR)])
    controller.prompted([added(SEVEN)])
    controller.prompted([added(FOUR)])
    assert runner.answered == []
    assert len(runner.entered) == 3  # nothing is lost while it waits
    assert controller.status.waiting == 2
    controller.run()
    assert runner.answered == [(2, FOUR), (2, SEVEN)]
    assert controller.status.waiting == 0


def test_switching_it_on_again_runs_what_waits(controller, runner):
    controller.set_run_after_each(False)
    controller.prompted([added(SEVEN)])
    controller.set_run_after_each(True)
    assert runner.answered == [(2, SEVEN)]


def test_run_without_anything_waiting_repeats_the_slice_in_view(controller, runner, hand):
    hand.object_id = 2
    controller.run()
    assert runner.answered == [(2, FOUR)]


def test_run_with_nothing_to_run_says_what_to_do(controller, runner, notices, hand):
    hand.object_id, hand.place = 2, (Plane.CORONAL, 4)
    assert controller.status.why_no_run == NOTHING_TO_RUN
    controller.run()
    assert notices == [NOTHING_TO_RUN]
    assert runner.answered == []


def test_a_slice_that_lost_its_last_prompt_is_entered_and_not_asked_about(controller, runner):
    left = ObjectPrompts(2, "kidney", (FOUR,))
    controller.prompted([edit_between(KIDNEY, left)])
    assert runner.answered == []
    assert runner.entered == [left]


def test_what_was_undone_since_waits_no_more(controller, runner, scene):
    controller.set_run_after_each(False)
    controller.prompted([added(FOUR)])
    scene.shown = ()
    assert controller.status.waiting == 0


def test_propagating_takes_the_object_at_work(controller, runner, notices, hand):
    controller.propagate()
    assert notices == [NO_OBJECT]
    hand.object_id = 2
    controller.propagate()
    assert runner.propagated == [[2]]


def test_propagating_waits_for_what_runs_and_answers_do_not(controller, runner, hand):
    hand.object_id = 2
    controller.set_busy("Wait for the running job, or cancel it.")
    assert controller.status.why_no_propagation.startswith("Wait")
    assert controller.status.why_no_run == ""
    controller.prompted([added(FOUR)])
    controller.propagate()
    assert runner.answered == [(2, FOUR)]
    assert runner.propagated == []


def test_a_tool_keeps_the_sign(controller, hand):
    controller.turn_sign()
    controller.take(Tool.SCRIBBLE)
    assert (hand.tool, hand.positive) == (Tool.SCRIBBLE, False)
    assert controller.status.tool is Tool.SCRIBBLE


def test_while_editing_the_sign_is_that_of_the_selected_prompts(controller, hand):
    hand.tool, hand.selected = Tool.EDIT, True
    controller.turn_sign()
    assert controller.status.positive
    hand.selected = False
    controller.turn_sign()
    assert not controller.status.positive


def test_a_new_object_begins_with_what_belongs_to_it(controller, hand):
    hand.object_id = 2
    assert controller.status.target == "kidney 2"
    controller.set_sign(False)
    controller.begin_object()
    assert (controller.status.target, controller.status.positive) == ("", True)


def test_without_a_scan_every_tool_says_why(controller, scene, notices):
    scene.key = None
    assert controller.status.why_not == dict.fromkeys(Tool, NO_SCAN)
    controller.take(Tool.BOX)
    assert notices == [NO_SCAN]


def test_in_3d_only_the_view_can_be_moved(controller, hand):
    hand.on_slice = False
    assert set(controller.status.why_not.values()) == {NO_SLICE}
    assert Tool.LOOK not in controller.status.why_not
    assert controller.status.why_no_mask == NO_SLICE


def test_a_box_has_no_sign(controller, hand):
    hand.tool = Tool.BOX
    assert controller.status.why_no_sign == NO_SIGN
    hand.tool = Tool.LASSO
    assert controller.status.why_no_sign == ""


def test_what_a_model_cannot_use_is_greyed_out_with_the_reason(controller, hand, notices):
    controller.take(Tool.SCRIBBLE)
    controller.use_model("/models/MedSAM2_latest.pt")
    assert hand.tool is Tool.LOOK  # laid down, since it would mislead the model
    assert "trained with boxes" in controller.status.why_not[Tool.POINT]
    assert Tool.BOX not in controller.status.why_not
    controller.take(Tool.SCRIBBLE)
    assert hand.tool is Tool.LOOK
    assert "scribbles mislead it" in notices[0]
    controller.use_model("sam2.1-tiny")
    assert controller.status.why_not == {}


def test_a_read_only_project_takes_no_prompts(controller, notices):
    controller.set_read_only("This project is open for reading only: another viewer has it.")
    controller.take(Tool.POINT)
    assert "reading only" in notices[0]
    assert Tool.LOOK not in controller.status.why_not


def test_laying_down_forgets_what_is_being_drawn(controller, hand):
    controller.take(Tool.LASSO)
    controller.lay_down()
    assert (hand.tool, hand.abandoned) == (Tool.LOOK, 1)


def test_another_scan_does_not_inherit_what_waits(controller, scene, runner):
    controller.scan_changed()
    controller.set_run_after_each(False)
    controller.prompted([added(FOUR)])
    scene.key = 2
    controller.scan_changed()
    assert controller.status.waiting == 0


def test_removed_objects_wait_no_more(controller):
    controller.set_run_after_each(False)
    controller.prompted([added(FOUR)])
    controller.removed([2])
    assert controller.status.waiting == 0

"""What the tools bar does: taking up tools, turning the sign, running, propagating.

No Qt: the controller knows the hand (:class:`Hand`, the layers) and who answers
(:class:`Runner`), and tells the view through a signal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from psygnal import Signal

from napari_sss._layers.prompt_edits import PromptEdit, is_empty
from napari_sss._layers.tool_use import SIGNED, Tool
from napari_sss._widgets.status import Notice, Severity
from napari_sss.engine.models.prompt_support import PromptKind, Support, prompt_support
from napari_sss.engine.prompts.types import ObjectPrompts, Plane, SlicePrompt

NO_SCAN = "Open a CT or MR volume first."
NO_SLICE = "Nothing can be drawn in 3-D: F2 shows the axial slices."
NO_SIGN = "A box has no sign: it always says where the object is."
NOTHING_TO_RUN = "There is no prompt on this slice: draw a point or a box on the object."
NO_OBJECT = "Select an object, or draw a prompt first."

KINDS = {
    Tool.POINT: PromptKind.POINT,
    Tool.BOX: PromptKind.BOX,
    Tool.SCRIBBLE: PromptKind.SCRIBBLE,
    Tool.LASSO: PromptKind.LASSO,
}


class Hand(Protocol):
    """The tool in the hand; see :class:`~napari_sss._layers.tool_use.ToolUse`."""

    @property
    def tool(self) -> Tool:
        """The tool in use."""

    @property
    def on_slice(self) -> bool:
        """Whether the viewer shows a slice."""

    @property
    def object_id(self) -> int | None:
        """The object that the next prompt belongs to; None begins one."""

    @property
    def place(self) -> tuple[Plane, int] | None:
        """Plane and slice in view."""

    def use(self, tool: Tool, positive: bool) -> None:
        """Take up a tool."""

    def set_sign(self, positive: bool) -> None:
        """Say what the next prompts mean."""

    def turn_selected(self) -> bool:
        """Turn the sign of the selected prompts; return whether there were any."""

    def begin_object(self) -> None:
        """Let the next prompt begin an object."""

    def abandon(self) -> None:
        """Forget what is being drawn."""


class Runner(Protocol):
    """Who makes masks of prompts."""

    def prompted(self, prompts: ObjectPrompts) -> None:
        """Enter the prompts that a person gave an object."""

    def answer(self, prompts: ObjectPrompts, prompted: SlicePrompt) -> None:
        """Enter them, and make the object's mask anew on one slice."""

    def propagate(self, ids: Sequence[int]) -> None:
        """Make objects anew through the stack."""


class Prompts(Protocol):
    """Where an object's prompts are found."""

    @property
    def key(self) -> int | None:
        """Tells one open scan from another; None where there is none."""

    def prompts(self) -> tuple[ObjectPrompts, ...]:
        """Return the prompts of the scan in view."""


@dataclass(frozen=True)
class ToolsStatus:
    """What the bar shows.

    Parameters
    ----------
    tool : Tool
        In use.
    positive : bool
        The sign of what is drawn next.
    run_after_each : bool
        Whether each prompt is answered at once.
    target : str
        The object that the next prompt belongs to, for instance ``"kidney 2"``; "": a new one.
    why_not : mapping
        Why a tool cannot be taken up, for those that cannot.
    how : mapping
        What the model makes of what a tool draws.
    why_no_sign, why_no_mask, why_no_run, why_no_propagation : str
        Why not, and what to do about it; "" where it can be done.
    waiting : int
        How many edited slices wait to be run.
    """

    tool: Tool = Tool.LOOK
    positive: bool = True
    run_after_each: bool = True
    target: str = ""
    why_not: Mapping[Tool, str] = field(default_factory=dict)
    how: Mapping[Tool, str] = field(default_factory=dict)
    why_no_sign: str = ""
    why_no_mask: str = ""
    why_no_run: str = ""
    why_no_propagation: str = ""
    waiting: int = 0


class ToolController:
    """The tools' logic.

    Parameters
    ----------
    hand : Hand
        The layers.
    scene : Prompts
        The prompts.
    runner : Runner
        Who answers.
    """

    changed = Signal(ToolsStatus)
    noticed = Signal(Notice)

    def __init__(self, hand: Hand, scene: Prompts, runner: Runner) -> None:
        self._hand = hand
        self._scene = scene
        self._runner = runner
        self._positive = True
        self._run_after_each = True
        self._busy = ""
        self._read_only = ""
        self._support: Mapping[PromptKind, Support] = prompt_support("")
        self._waiting: dict[tuple[int, Plane, int], None] = {}
        self._key: int | None = None

    # -- what the view shows ------------------------------------------------------------

    @property
    def status(self) -> ToolsStatus:
        """Everything the bar shows."""
        tool, why_not = self._hand.tool, self._reasons()
        return ToolsStatus(
            tool,
            self._positive,
            self._run_after_each,
            self._target(),
            why_not,
            {tool: self._support[kind].how for tool, kind in KINDS.items()},
            why_no_sign=self._why_no_sign(tool),
            why_no_mask=self._cannot_draw or self._support[PromptKind.MASK].why_not,
            why_no_run=self._cannot_change or ("" if self._to_run() else NOTHING_TO_RUN),
            why_no_propagation=self._why_no_propagation,
            waiting=len(self._prompted_at(self._waiting)),
        )

    def tell(self) -> None:
        """Say that something the bar shows may be other than it was."""
        self.changed.emit(self.status)

    def scan_changed(self) -> None:
        """Take note that another scan may be in view."""
        if self._scene.key != self._key:
            self._key = self._scene.key
            self._waiting.clear()
        self.tell()

    def use_model(self, name: str) -> None:
        """Take note of which model answers."""
        self._support = prompt_support(name)
        if self._hand.tool in KINDS and self._support[KINDS[self._hand.tool]].why_not:
            self._hand.use(Tool.LOOK, self._positive)
        self.tell()

    def set_busy(self, why: str) -> None:
        """Take note of why nothing can be propagated now; "" when it can.

        Single slices are answered all the same, between two steps of what runs.
        """
        if why != self._busy:
            self._busy = why
            self.tell()

    def set_read_only(self, why: str) -> None:
        """Take note of why nothing can be changed; "" when it can."""
        self._read_only = why
        self.tell()

    # -- what the person asks -----------------------------------------------------------

    def take(self, tool: Tool) -> None:
        """Take up a tool, if it can be."""
        reason = self._reasons().get(tool, "")
        if reason:
            self._notify(reason)
        elif self._scene.key is not None:
            self._hand.use(tool, self._positive)
        self.tell()

    def turn_sign(self) -> None:
        """Turn the sign of the selected prompts, or else of what is drawn next."""
        if self._hand.tool is Tool.EDIT and self._hand.turn_selected():
            return
        self.set_sign(not self._positive)

    def set_sign(self, positive: bool) -> None:
        """Choose the sign of what is drawn next."""
        self._positive = positive
        self._hand.set_sign(positive)
        self.tell()

    def begin_object(self) -> None:
        """Let the next prompt begin a new object, with what belongs to it."""
        self._hand.begin_object()
        self.set_sign(True)

    def set_run_after_each(self, on: bool) -> None:
        """Choose whether each prompt is answered at once."""
        self._run_after_each = on
        if on and self._waiting:
            self.run()
        self.tell()

    def run(self) -> None:
        """Answer what waits; where nothing does, the object's prompts on this slice."""
        asked = self._to_run()
        if self._cannot_change or not asked:
            self._notify(self._cannot_change or NOTHING_TO_RUN)
            return
        self._waiting.clear()
        for prompts, prompted in asked:
            self._runner.answer(prompts, prompted)
        self.tell()

    def propagate(self) -> None:
        """Make the object at work anew through the stack."""
        object_id = self._to_propagate()
        if self._why_no_propagation or object_id is None:
            self._notify(self._why_no_propagation)
            return
        self._waiting = {k: None for k in self._waiting if k[0] != object_id}
        self._runner.propagate([object_id])
        self.tell()

    def lay_down(self) -> None:
        """Forget what is being drawn, and move the view from now on."""
        self._hand.abandon()
        if self._scene.key is not None:
            self._hand.use(Tool.LOOK, self._positive)
        self.tell()

    # -- what the layers say ------------------------------------------------------------

    def prompted(self, edits: Sequence[PromptEdit]) -> None:
        """Enter what a person has prompted, and answer it at once or let it wait.

        Where the last prompt of a slice was taken away there is nothing to answer.
        """
        for edit in edits:
            asked = [prompt for prompt in edit.slices if not is_empty(prompt)]
            if not self._run_after_each or not asked:
                self._runner.prompted(edit.prompts)
                self._waiting |= {(edit.prompts.id, p.plane, p.index): None for p in asked}
                continue
            for prompt in asked:
                self._runner.answer(edit.prompts, prompt)
        self.tell()

    def removed(self, ids: Sequence[int]) -> None:
        """Take note that objects have no prompts any more."""
        self._waiting = {k: None for k in self._waiting if k[0] not in ids}
        self.tell()

    # -- reasons ------------------------------------------------------------------------

    @property
    def _cannot_change(self) -> str:
        return NO_SCAN if self._scene.key is None else self._read_only

    @property
    def _cannot_draw(self) -> str:
        return self._cannot_change or ("" if self._hand.on_slice else NO_SLICE)

    @property
    def _why_no_propagation(self) -> str:
        reason = self._cannot_change or self._busy
        return reason or (NO_OBJECT if self._to_propagate() is None else "")

    def _reasons(self) -> dict[Tool, str]:
        reasons = {}
        for tool in Tool:
            reason = NO_SCAN if self._scene.key is None else ""
            if tool is not Tool.LOOK:
                reason = self._cannot_draw
            if not reason and tool in KINDS:
                reason = self._support[KINDS[tool]].why_not
            if reason:
                reasons[tool] = reason
        return reasons

    def _why_no_sign(self, tool: Tool) -> str:
        if self._cannot_draw or tool in SIGNED:
            return self._cannot_draw
        return NO_SIGN if tool is Tool.BOX else ""

    def _to_run(self) -> list[tuple[ObjectPrompts, SlicePrompt]]:
        waiting = self._prompted_at(self._waiting)
        object_id, place = self._hand.object_id, self._hand.place
        if waiting or object_id is None or place is None:
            return waiting
        return self._prompted_at([(object_id, *place)])

    def _prompted_at(
        self, places: Iterable[tuple[int, Plane, int]]
    ) -> list[tuple[ObjectPrompts, SlicePrompt]]:
        """What is prompted at these places; what was undone since is there no more."""
        known = {o.id: o for o in self._scene.prompts()}
        return [
            (known[object_id], prompt)
            for object_id, plane, index in places
            if object_id in known
            for prompt in known[object_id].prompts
            if (prompt.plane, prompt.index) == (plane, index)
        ]

    def _target(self) -> str:
        object_id = self._hand.object_id
        names = {o.id: o.class_name for o in self._scene.prompts()}
        return "" if object_id is None else f"{names.get(object_id, 'object')} {object_id}"

    def _to_propagate(self) -> int | None:
        object_id = self._hand.object_id
        return object_id if any(o.id == object_id for o in self._scene.prompts()) else None

    def _notify(self, text: str) -> None:
        self.noticed.emit(Notice(Severity.INFO, text))

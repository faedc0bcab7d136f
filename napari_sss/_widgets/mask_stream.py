"""From the engine's events to acts on the case, in the worker.

A job's acts join each other, so that one undo takes all of them back. What a person accepts,
changes or removes while the job runs is the person's: the job leaves it alone from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_sss._widgets.worker import Post
from napari_sss.engine.inference.result import (
    Event,
    ObjectDone,
    ObjectsFound,
    Segmentation,
    SliceMask,
)
from napari_sss.engine.project import classes, mask_actions
from napari_sss.engine.project.applied import Applied
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.project.errors import OverlapQuestion, ProjectError
from napari_sss.engine.project.guard import Overwrite, OverwritePolicy
from napari_sss.engine.project.mask_actions import Making, Suggestion
from napari_sss.engine.project.records import Maker, RunRecord, Table
from napari_sss.engine.project.state import Action, AnnotationState
from napari_sss.engine.volumes.region import Region

EMPTY = Region((0, 0, 0), np.zeros((0, 0, 0), dtype=bool))


@dataclass(frozen=True)
class ObjectsBegun:
    """News: these objects are being made."""

    ids: tuple[int, ...]


@dataclass(frozen=True)
class ObjectEnded:
    """News: an object's mask is complete."""

    object_id: int


@dataclass(frozen=True)
class Overlap:
    """News: an object's mask would take voxels that are accepted; nobody has been asked."""

    object_id: int
    question: OverlapQuestion
    region: Region
    confidence: float


class _Stream:
    """What both kinds of jobs do with the case."""

    def __init__(self, session: CaseSession, post: Post, joins: int | None) -> None:
        self.session = session
        self._post = post
        self._seq = joins
        self._start = session.history.cursor
        self._thread = threading.get_ident()
        self._others = False
        self._taken: set[int] = set()
        session.changed.connect(self._on_changed)

    def close(self) -> None:
        """Listen to the case no more."""
        self.session.changed.disconnect(self._on_changed)

    def undo(self) -> None:
        """Bring the case back to what it was before the job, unless a person acted since."""
        if not self._others and self.session.is_open:
            self.session.take_back(self._start)

    def _act(self, build: Callable[[AnnotationState], Action]) -> Applied:
        applied = self.session.act(build, joins=self._seq)
        self._seq = applied.seq
        return applied

    def _mask(self, object_id: int, build: Callable[[AnnotationState], Action]) -> None:
        """Change an object's mask, unless a person has locked or removed it meanwhile."""
        if object_id in self._taken:
            return
        try:
            self._act(build)
        except OverlapQuestion:
            raise
        except ProjectError:
            self._taken.add(object_id)

    def _on_changed(self, applied: Applied) -> None:
        """Note what a person does while the job runs; called in the person's thread."""
        if threading.get_ident() == self._thread:
            return
        self._others = True
        for table, key in applied.keys:
            if table is Table.OBJECT:
                self._taken.add(key)
            elif table in (Table.SECTION, Table.PROMPT):
                self._taken.add(key.object_id)


class SuggestionStream(_Stream):
    """Enters what Auto-prompt finds.

    Parameters
    ----------
    session : CaseSession
        The case.
    post : callable
        Takes the news.
    run : RunRecord
        How the model is used.
    replaced : callable
        ``replaced(state)``: the objects that give way once others are found.
    """

    def __init__(
        self,
        session: CaseSession,
        post: Post,
        run: RunRecord,
        replaced: Callable[[AnnotationState], Sequence[int]],
    ) -> None:
        super().__init__(session, post, None)
        self._run = run
        self._replaced = replaced
        self._ids: dict[int, int] = {}

    def __call__(self, event: Event) -> None:
        """Take one of the engine's events."""
        if isinstance(event, ObjectsFound):
            self._found(event)
        elif isinstance(event, SliceMask):
            own = self._ids[event.object_id]
            mask = replace(event, object_id=own)
            self._mask(own, lambda s: mask_actions.set_slices(s, own, [mask], self._making(s)))
        elif isinstance(event, ObjectDone):
            own = self._ids[event.object_id]
            self._mask(
                own,
                lambda s: mask_actions.set_region(
                    s, own, event.region, event.confidence, self._making(s)
                ),
            )
            self._post(ObjectEnded(own))

    def finish(self, segmentation: Segmentation) -> None:
        """Enter the result as it is, whatever was streamed; the surer of two wins a voxel."""
        found = {
            self._ids[o.prompts.id]: (o.region, o.confidence) for o in segmentation.objects
        }
        mine = set(self._ids.values()) - self._taken

        def settle(state: AnnotationState) -> Action:
            there = mine & set(state.objects)
            kept = {i: mask for i, mask in found.items() if i in there}
            return mask_actions.settle(state, kept, sorted(there - set(kept)), self._run)

        self._act(settle)

    def _found(self, event: ObjectsFound) -> None:
        names = dict.fromkeys(o.class_name for o in event.objects)
        known = {name: self._class_id(name) for name in names}
        first = self.session.free_id()
        found = {}
        for k, prompts in enumerate(event.objects):
            self._ids[prompts.id] = first + k
            found[first + k] = Suggestion(
                replace(prompts, id=first + k),
                known[prompts.class_name],
                EMPTY,
                prompts.confidence,
            )
        self._post(ObjectsBegun(tuple(found)))
        self._act(lambda s: mask_actions.suggest(s, found, tuple(self._replaced(s)), self._run))

    def _class_id(self, name: str) -> int:
        """The class of this name; it is added where there is none, in the same step."""
        change = class_change(self.session.state, name, "Auto-prompt")
        if isinstance(change, int):
            return change
        self._act(lambda _: change[1])
        return change[0]

    def _making(self, state: AnnotationState) -> Making:
        policy = OverwritePolicy(others=Overwrite.KEEP, accepted=Overwrite.KEEP)
        return Making(Maker.AUTO, self._run, policy)


class ObjectStream(_Stream):
    """Enters the masks that objects get from their prompts.

    Parameters
    ----------
    session : CaseSession
        The case.
    post : callable
        Takes the news.
    making : Making
        How they come about, and what they may take.
    joins : int, optional
        The act that asked for them: one undo takes it back too.
    """

    def __init__(
        self,
        session: CaseSession,
        post: Post,
        making: Making,
        joins: int | None = None,
    ) -> None:
        super().__init__(session, post, joins)
        self._making = making
        # While slices stream in, what is accepted stays; one question is asked at the end.
        others = making.policy.others
        if others is Overwrite.ASK:
            others = Overwrite.KEEP
        self._streaming = replace(
            making, policy=OverwritePolicy(others, Overwrite.KEEP), stored=True
        )

    def __call__(self, event: Event) -> None:
        """Take one of the engine's events."""
        if isinstance(event, ObjectsFound):
            self._post(ObjectsBegun(tuple(o.id for o in event.objects)))
        elif isinstance(event, SliceMask):
            self._mask(
                event.object_id,
                lambda s: mask_actions.set_slices(s, event.object_id, [event], self._streaming),
            )
        elif isinstance(event, ObjectDone):
            self._done(event)

    def finish(self, _: Segmentation) -> None:
        """Do nothing more: each object was entered as it was done."""

    def _done(self, event: ObjectDone) -> None:
        own = event.object_id

        def enter(making: Making) -> Callable[[AnnotationState], Action]:
            return lambda s: mask_actions.set_region(
                s, own, event.region, event.confidence, making
            )

        try:
            self._mask(own, enter(self._making))
        except OverlapQuestion as question:
            kept = OverwritePolicy(self._streaming.policy.others, Overwrite.KEEP)
            self._mask(own, enter(replace(self._making, policy=kept)))
            self._post(Overlap(own, question, event.region, event.confidence))
        self._post(ObjectEnded(own))


def class_change(
    state: AnnotationState, name: str, title: str = ""
) -> int | tuple[int, Action]:
    """The id of the class of this name, or the new id and the action that adds the class.

    ``title`` is what the step is called that the action begins.
    """
    try:
        return classes.named(state.classes, name).id
    except ProjectError:
        change = classes.adding(state.classes, name, None, None)
        assert isinstance(change.key, int)
        return change.key, Action(
            "class table", title or f"Add class {name}", changes=(change,)
        )


def suggested_only(state: AnnotationState) -> tuple[int, ...]:
    """The objects that no person has touched: a new Auto-prompt may replace them."""
    touched = {
        key.object_id
        for key, section in state.sections.items()
        if section.maker is not Maker.AUTO or section.review.value != "open"
    }
    return tuple(
        object_id
        for object_id, record in state.objects.items()
        if object_id not in touched
        and record.review.value == "open"
        and not record.flags
        and not record.by_person
    )


def colours_of(state: AnnotationState) -> Mapping[int, str]:
    """The colour of each object: its class's, lighter for every other one of a class."""
    counts: dict[int, int] = {}
    colours = {}
    for object_id, record in sorted(dict(state.objects).items()):
        of_class = classes.resolved(state.classes, record.class_id)
        counts[of_class.id] = counts.get(of_class.id, -1) + 1
        colours[object_id] = lighter(of_class.colour, 0.3 * (counts[of_class.id] % 3))
    return colours


def lighter(colour: str, share: float) -> str:
    """A colour (``"#rrggbb"``) with a share of white, 0 to 1."""
    parts = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(v + (255 - v) * share):02x}" for v in parts)

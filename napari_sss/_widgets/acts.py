"""What a person decides and does to objects: undo, accept, flag, merge, paint, classes.

No Qt and no napari. Every act goes to the case at work through the room; what it changes
comes back by :attr:`ProjectRoom.session_changed`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from psygnal import Signal

from napari_sss._widgets.controller import (
    OPENING,
    SegmentationController,
    overlap_text,
)
from napari_sss._widgets.mask_stream import class_change
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.scene import Scene
from napari_sss._widgets.status import Notice, Question, Severity
from napari_sss.engine.errors import SSSError
from napari_sss.engine.project import review_actions
from napari_sss.engine.project.applied import Applied
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import OverlapQuestion
from napari_sss.engine.project.guard import Overwrite, OverwritePolicy
from napari_sss.engine.project.records import ClassRecord, Flag, Review, SectionKey
from napari_sss.engine.prompts.types import Plane

NO_CASE = "No case is open: open a scan first."

SMOOTH_MM = 1.5
"""Radius of smoothing where nothing else is said, millimetres."""


class Acts:
    """The acts of a person on the case at work.

    Parameters
    ----------
    room : ProjectRoom
        The case.
    scene : Scene
        What is in view.
    controller : SegmentationController
        Whose running job an undo has to stop first.
    """

    noticed = Signal(Notice)
    asked = Signal(Question)
    current_changed = Signal(object)
    """Emitted with the id of the object that tools and keys act on, or None."""

    def __init__(
        self, room: ProjectRoom, scene: Scene, controller: SegmentationController
    ) -> None:
        self._room = room
        self._scene = scene
        self._controller = controller
        self._current: int | None = None
        self.class_name = "object"
        """The class of what is painted with a number that no object has."""

    # -- which object -------------------------------------------------------------------

    @property
    def current(self) -> int | None:
        """The object that tools and keys act on."""
        session = self._room.session
        if session is None or self._current not in session.state.objects:
            return None
        return self._current

    def choose(self, object_id: int | None) -> None:
        """Let tools and keys act on an object."""
        if object_id != self._current:
            self._current = object_id
            self.current_changed.emit(object_id)

    def next_object(self, step: int = 1) -> None:
        """Go to the next object by number, or to the one before it, round and round."""
        rows = self._controller.objects.rows
        if rows:
            ids = [row.id for row in rows]
            here = ids.index(self._current) if self._current in ids else -min(step, 0) - 1
            self._go_to(ids[(here + step) % len(ids)])

    def next_doubt(self) -> None:
        """Go to the object that should be looked at next, on its weakest slice."""
        open_rows = [row for row in self._controller.objects.rows if row.doubt > 0]
        if not open_rows:
            self._notify("Nothing is left to look at: all objects are accepted or rejected.")
            return
        order = sorted(open_rows, key=lambda row: (-row.doubt, row.id))
        ids = [row.id for row in order]
        here = ids.index(self._current) if self._current in ids else -1
        chosen = ids[(here + 1) % len(ids)]
        self.choose(chosen)
        self._controller.show_weakest(chosen)

    def _go_to(self, object_id: int) -> None:
        self.choose(object_id)
        self._controller.show_object(object_id)

    # -- history ------------------------------------------------------------------------

    def undo(self) -> None:
        """Take the last step back; what is running is stopped first, and taken back."""
        self._controller.when_idle(self._room.undo)

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        self._controller.when_idle(self._room.redo)

    # -- decisions ----------------------------------------------------------------------

    def review(self, ids: Sequence[int], review: Review) -> None:
        """Accept, reject or reopen objects."""
        if ids:
            self._quick("review", lambda session: session.review_objects(ids, review))

    def accept(self) -> None:
        """Accept the current object: it is locked, and fine-tuning learns from it."""
        self._of_current(lambda current: self.review([current], Review.ACCEPTED))

    def reject(self) -> None:
        """Reject the current object: it loses its voxels, not its prompts."""
        self._of_current(lambda current: self.review([current], Review.REJECTED))

    def toggle_lock(self, ids: Sequence[int]) -> None:
        """Reopen objects if all are accepted, else accept them."""
        session = self._room.session
        if session is None or not ids:
            return
        reviews = {session.state.object(i).review for i in ids}
        locked = reviews == {Review.ACCEPTED}
        self.review(ids, Review.OPEN if locked else Review.ACCEPTED)

    def accept_section(self) -> None:
        """Accept the current object on the slice in view, or reopen it there."""
        shown = self._scene.shown_slice()
        if shown is None:
            self._notify("Show a slice first: in 3-D there is none to accept.")
            return
        plane, index = shown

        def act(current: int) -> None:
            key = SectionKey(current, plane, index)

            def review(session: CaseSession) -> Applied:
                made = session.state.sections.get(key)
                accepted = made is not None and made.review is Review.ACCEPTED
                after = Review.OPEN if accepted else Review.ACCEPTED
                return session.review_section(current, plane, index, after)

            self._quick("accept on slice", review)

        self._of_current(act)

    def why_locked(self, object_id: int) -> str:
        """Why an object takes no prompts now; "" where it does."""
        session = self._room.session
        if self._room.why_read_only:
            return self._room.why_read_only
        if session is None or object_id not in session.state.objects:
            return ""
        if session.state.case.review is Review.ACCEPTED:
            return "The case is accepted, and locked. 'Accept case' reopens it."
        if session.state.object(object_id).review is Review.ACCEPTED:
            return f"Object {object_id} is accepted, and locked. Its tick reopens it."
        return ""

    def accept_slice(self) -> None:
        """Accept the slice in view as a whole, or reopen it where it is accepted."""
        session, shown = self._room.session, self._scene.shown_slice()
        if session is None or shown is None:
            self._notify("Show a slice first: in 3-D there is none to accept.")
            return
        plane, index = shown

        def act(opened: CaseSession) -> Applied:
            accepted = slice_review(opened, plane, index) is Review.ACCEPTED
            after = Review.OPEN if accepted else Review.ACCEPTED
            return opened.review_slice(plane, index, after)

        self._quick("accept slice", act)

    def accept_case(self) -> None:
        """Accept the case as a whole, or reopen it where it is accepted."""

        def act(session: CaseSession) -> Applied:
            accepted = session.state.case.review is Review.ACCEPTED
            return session.review_case(Review.OPEN if accepted else Review.ACCEPTED)

        self._quick("accept case", act)

    def toggle_flag(self, ids: Sequence[int], flag: Flag) -> None:
        """Flag objects, or take the flag away where all have it."""
        session = self._room.session
        if session is None or not ids:
            return
        on = not all(flag in session.state.object(i).flags for i in ids)
        for object_id in ids:
            self._quick("flag", partial(_flagged, object_id=object_id, flag=flag, on=on))

    # -- shapes -------------------------------------------------------------------------

    def merge(self, ids: Sequence[int]) -> None:
        """Make several objects one: the current one, or the first."""
        if len(ids) < 2:
            self._notify("Select two or more objects in the table to merge them.")
            return
        into = self._current if self._current in ids else ids[0]
        assert into is not None
        self._act("merge", lambda session: session.merge(ids, into))

    def split(self, ids: Sequence[int]) -> None:
        """Make each connected part of objects an object of its own."""
        self._each("split", ids, lambda session, i: session.split(i))

    def fill_holes(self, ids: Sequence[int]) -> None:
        """Fill what objects enclose on their slices."""
        self._each("fill holes", ids, lambda session, i: session.fill_holes(i))

    def smooth(self, ids: Sequence[int]) -> None:
        """Smooth objects' surfaces."""
        volume = self._scene.volume
        if volume is not None:
            spacing = volume.grid.spacing
            self._each("smooth", ids, lambda s, i: s.smooth(i, SMOOTH_MM, spacing))

    def keep_largest(self, ids: Sequence[int]) -> None:
        """Take away all but the largest connected part of objects."""
        self._each("keep largest", ids, lambda session, i: session.keep_largest(i))

    def delete(self, ids: Sequence[int]) -> None:
        """Take objects out: voxels, prompts and rows."""
        session = self._room.session
        ids = [i for i in ids if session is not None and i in session.state.objects]
        if ids:
            self._act("delete", lambda s: s.delete(ids))

    def prompts_gone(self, ids: Sequence[int]) -> None:
        """Take note that a person has taken the last prompts of objects away.

        What a person painted or accepted stays; the other objects go with their prompts.
        """
        session = self._room.session
        if session is None:
            return
        for object_id in ids:
            if object_id not in session.state.objects:
                continue
            record = session.state.object(object_id)
            drawn = any(
                section.maker.value in ("painted", "imported")
                for _, section in session.state.sections_of(object_id)
            )
            if drawn or record.review is Review.ACCEPTED:
                self._quick("prompts", partial(_unprompted, object_id=object_id))
            else:
                self.delete([object_id])

    # -- the brush ----------------------------------------------------------------------

    def paint(self, diff: LabelDiff) -> None:
        """Take over what a brush has changed in the case's voxels; on the viewer's thread."""
        session = self._room.session
        if session is None or not diff.runs:
            return
        policy = self._room.policy
        plane = self._shown_plane()
        try:
            class_id, joins = self._class_of_painted(session, diff)
            applied = session.adopt(diff, policy, class_id=class_id, plane=plane, joins=joins)
        except OverlapQuestion as question:
            self._scene.redraw(_box_of(diff, session))
            self._ask(question, diff, plane)
        except SSSError as error:
            diff.inverse().apply(session.labels)
            self._scene.redraw(_box_of(diff, session))
            self._warn(str(error))
        else:
            if applied.refused:
                self._scene.redraw(_box_of(diff, session))
                self._notify(
                    f"{applied.refused} voxels were kept as they are: they are accepted. "
                    "Reopen the object or slice to change them."
                )

    def _ask(self, question: OverlapQuestion, diff: LabelDiff, plane: Plane) -> None:
        take_all = OverwritePolicy(Overwrite.OVERWRITE, Overwrite.OVERWRITE)

        def take() -> None:
            self._act(
                "overwrite",
                lambda s: s.paint(
                    diff, take_all, class_id=class_of(s, self.class_name), plane=plane
                ),
            )

        self.asked.emit(Question(overlap_text(question), "Take them", take))

    def _class_of_painted(
        self, session: CaseSession, diff: LabelDiff
    ) -> tuple[int | None, int | None]:
        """The class of new objects in a stroke; it is added where there is none yet."""
        if diff.ids <= set(session.state.objects):
            return None, None
        change = class_change(session.state, self.class_name, "Paint a new object")
        if isinstance(change, int):
            return change, None
        return change[0], session.act(lambda _: change[1]).seq

    def _shown_plane(self) -> Plane:
        shown = self._scene.shown_slice()
        return Plane.AXIAL if shown is None else shown[0]

    # -- classes ------------------------------------------------------------------------

    def classes(self) -> tuple[ClassRecord, ...]:
        """The classes that are offered."""
        project = self._room.project
        return () if project is None else project.classes

    def change_class(self, ids: Sequence[int], name: str) -> None:
        """Say that objects are of another class, which is added if there is none."""
        name = name.strip()
        if not ids or not name:
            return

        def act(session: CaseSession) -> Applied:
            change = class_change(session.state, name, f"Change class to {name}")
            if isinstance(change, int):
                return session.change_class(ids, change)
            class_id, adding = change
            joins = session.act(lambda _: adding).seq
            return session.act(
                lambda state: review_actions.change_class(state, ids, class_id), joins=joins
            )

        self._quick("change class", act)

    def add_class(self, name: str) -> None:
        """Add a class to the project."""
        self._quick("add class", lambda session: session.add_class(name))

    def edit_class(self, record: ClassRecord) -> None:
        """Give a class another name, colour or key."""
        self._quick("edit class", lambda session: session.edit_class(record))

    def remove_class(self, class_id: int, into: int | None = None) -> None:
        """Remove a class; where it has objects they count as ``into`` from then on."""
        self._act("remove class", lambda session: session.remove_class(class_id, into))

    def count_of_class(self, class_id: int) -> int:
        """How many objects of the case at work are of a class."""
        return sum(row.class_id == class_id for row in self._controller.objects.rows)

    # -- inside -------------------------------------------------------------------------

    def _of_current(self, do: Callable[[int], None]) -> None:
        current = self.current
        if current is None:
            self._notify("Select an object in the table first.")
        else:
            do(current)

    def _each(
        self, name: str, ids: Sequence[int], do: Callable[[CaseSession, int], Any]
    ) -> None:
        for object_id in ids:
            self._act(name, partial(_done_to, do=do, object_id=object_id))

    def _act(self, name: str, do: Callable[[CaseSession], Any]) -> None:
        if not self._refused():
            self._room.act(name, do, self._told)

    def _quick(self, name: str, do: Callable[[CaseSession], Any]) -> None:
        if not self._refused():
            self._room.act(name, do, self._told, quick=True)

    def _refused(self) -> bool:
        """Whether nothing can be done now; the person is told why."""
        why = self._room.why_read_only
        if why:
            self._warn(why)
        elif self._room.session is None:
            self._notify(OPENING if self._room.opening else NO_CASE)
        return bool(why) or self._room.session is None

    def _told(self, result: Any) -> None:
        for note in getattr(result, "notes", ()):
            self._notify(note)
        if getattr(result, "refused", 0):
            self._notify(f"{result.refused} voxels were kept: they belong to others.")

    def _notify(self, text: str) -> None:
        self.noticed.emit(Notice(Severity.INFO, text))

    def _warn(self, text: str) -> None:
        self.noticed.emit(Notice(Severity.WARNING, text))


def slice_review(session: CaseSession, plane: Plane, index: int) -> Review:
    """What a person has decided of a slice as a whole."""
    from napari_sss.engine.project.records import SliceKey

    record = session.state.slices.get(SliceKey(plane, index))
    return Review.OPEN if record is None else record.review


def class_of(session: CaseSession, name: str) -> int:
    """The class of this name, added where there is none."""
    change = class_change(session.state, name)
    if isinstance(change, int):
        return change
    session.act(lambda _: change[1])
    return change[0]


def _flagged(session: CaseSession, object_id: int, flag: Flag, on: bool) -> Applied:
    return session.set_flag(object_id, flag, on)


def _unprompted(session: CaseSession, object_id: int) -> Applied:
    return session.set_prompts(object_id, ())


def _done_to(
    session: CaseSession, do: Callable[[CaseSession, int], Any], object_id: int
) -> Any:
    return do(session, object_id)


def _box_of(diff: LabelDiff, session: CaseSession) -> tuple[slice, slice, slice]:
    box = diff.box(session.state.shape)
    return box or (slice(0, 0), slice(0, 0), slice(0, 0))

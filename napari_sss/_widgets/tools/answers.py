"""From a prompt to the mask on the screen: entering it, asking, entering what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sss._widgets.answering import Answered, Answering
from napari_sss._widgets.controller import SegmentationController
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss.engine.project.applied import Applied
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.prompts.types import ObjectPrompts, Plane, SlicePrompt

Key = tuple[int, Plane, int]

WithLabels = Callable[[Mapping[Path, NDArray[Any]]], None]
Labels = Callable[[SlicePrompt, WithLabels], None]
"""Reads the masks that a prompt names and hands them, (Z, Y, X) each, to a callable."""


class Answers:
    """Enters prompts into the case, asks for the mask of each prompted slice, and enters it.

    A prompt and the mask that answers it are one step: one undo takes back both.

    Parameters
    ----------
    controller : SegmentationController
        Enters prompts, and propagates.
    room : ProjectRoom
        The case at work.
    answering : Answering
        Who answers.
    labels : callable
        See :data:`Labels`.
    """

    kept = Signal(Answered)
    """Emitted when an answer that stands has been entered; provisional ones only show."""

    def __init__(
        self,
        controller: SegmentationController,
        room: ProjectRoom,
        answering: Answering,
        labels: Labels,
    ) -> None:
        self._controller = controller
        self._room = room
        self._answering = answering
        self._labels = labels
        self._joins: dict[Key, int] = {}
        answering.answered.connect(self.enter)

    def prompted(
        self, prompts: ObjectPrompts, then: Callable[[Applied], None] = lambda _: None
    ) -> None:
        """Enter the prompts that a person gave an object."""
        self._controller.enter(prompts, then)

    def answer(self, prompts: ObjectPrompts, prompted: SlicePrompt) -> None:
        """Enter an object's prompts, and ask for its mask on one slice."""
        self._controller.enter(prompts, lambda applied: self._ask(prompts, prompted, applied))

    def propagate(self, ids: Sequence[int]) -> None:
        """Make objects anew through the stack."""
        for object_id in ids:
            self._controller.propagate(object_id)

    def forget(self, ids: Sequence[int]) -> None:
        """Take note that objects are no more."""
        self._answering.forget(ids)

    def enter(self, answered: Answered) -> None:
        """Enter an answer, in place of what the object had on that slice."""
        mask = answered.mask
        session = self._room.session
        if session is None or mask.object_id not in session.state.objects:
            return
        key = (mask.object_id, mask.plane, mask.index)
        joins = self._joins.pop(key, None)

        def entered(applied: Applied) -> None:
            if answered.provisional:
                self._joins[key] = applied.seq
            else:
                self.kept.emit(answered)

        self._controller.enter_answer(mask, joins, entered)

    def _ask(self, prompts: ObjectPrompts, prompted: SlicePrompt, applied: Applied) -> None:
        session = self._room.session
        if session is None:
            return
        self._joins[prompts.id, prompted.plane, prompted.index] = applied.seq
        # The object as it stands on another plane is no part of the question.
        asked = replace(prompts, prompts=(prompted,))

        def ask(labels: Mapping[Path, NDArray[Any]]) -> None:
            current = _on_slice(session, prompted) == prompts.id
            given = current if current.any() else None
            self._answering.ask(asked, prompted.index, given, labels)

        self._labels(prompted, ask)


def _on_slice(session: CaseSession, prompted: SlicePrompt) -> np.ndarray:
    """The labels of a slice (rows, columns): a view, nothing is copied."""
    return session.state.slice_labels(prompted.plane, prompted.index)

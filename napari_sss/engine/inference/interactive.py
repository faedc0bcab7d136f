"""One open volume as an annotator works on it: answers to prompts at once, slices ahead.

Used in one thread. Whoever owns that thread decides what comes first: answers pass before
everything, also between the blocks of a pass that is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.inference.answers import SliceAnswer
from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.decoding import decode_in
from napari_sss.engine.inference.encode_ahead import EncodeAhead
from napari_sss.engine.inference.feature_cache import FeatureCache, content_hash
from napari_sss.engine.inference.segment import Stacks
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.inference.turns import Turns
from napari_sss.engine.inference.zoom import LARGE_INPUT, outline, positions
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.types import Plane, SlicePrompt

LEAST_SURE = 0.5  # the model's own estimate of an IoU, below which nothing is shown


@dataclass(frozen=True)
class QuickAnswer:
    """An object's mask on the slice that was prompted.

    Parameters
    ----------
    answer : SliceAnswer
        The mask.
    provisional : bool
        Whether a better one follows at once.
    """

    answer: SliceAnswer
    provisional: bool = False


class Interactive:
    """A volume, a model and a window, with everything that was worked out of them.

    Parameters
    ----------
    stacks : Stacks
        The volume's slices for the model.
    cache : FeatureCache, optional
        Where encoded slices are kept from one session to the next.
    content : str
        The volume's :func:`content_hash`, where it is known.

    Attributes
    ----------
    content : str
        The same, once it is known; else "".
    """

    def __init__(
        self, stacks: Stacks, cache: FeatureCache | None = None, content: str = ""
    ) -> None:
        self.stacks = stacks
        self.content = content
        self._cache = cache
        self._turns: dict[Plane, Turns] = {}
        self._ahead: dict[Plane, EncodeAhead] = {}
        self._plane = Plane.AXIAL

    def answers(
        self,
        prompt: SlicePrompt,
        current: NDArray[np.bool_] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[QuickAnswer]:
        """What a prompt means on its slice; the last answer is the one that counts.

        Parameters
        ----------
        prompt, current, check
            See :meth:`Turns.decode`.

        Yields
        ------
        QuickAnswer
            Where the slice is encoded and its object's crop is not, first a provisional one.

        Raises
        ------
        PromptError
            See :meth:`Turns.decode`.
        """
        stack = self.stacks.of(prompt.plane)
        turns = self._turns.setdefault(prompt.plane, Turns(stack))
        if current is None and not turns.knows(prompt):
            first = _at_first_sight(stack, prompt)
            if first is not None:
                yield QuickAnswer(first, provisional=True)
        check()
        decoded = turns.decode(prompt, current, check)
        self._of(prompt.plane).focus(decoded.frame)
        yield QuickAnswer(decoded.answer)

    def look_at(self, plane: Plane, index: int) -> None:
        """Take note of the slice in view."""
        self._plane = plane
        self._of(plane).look_at(index)

    def step(self, control: JobControl) -> bool:
        """Encode a little of what will be asked for next; return whether there is more.

        Parameters
        ----------
        control : JobControl
            Told how many slices are ready; a request to cancel breaks the step off.
        """
        if self._cache is not None:
            stacks = self.stacks
            self.content = self.content or content_hash(stacks.volume, control.check)
            stacks.keep_in(self._cache.entry(self.content, stacks.model, stacks.window))
            self._cache = None
        return self._of(self._plane).step(control)

    def _of(self, plane: Plane) -> EncodeAhead:
        if plane not in self._ahead:
            self._ahead[plane] = EncodeAhead(self.stacks.of(plane))
        return self._ahead[plane]


def _at_first_sight(stack: SliceStack, prompt: SlicePrompt) -> SliceAnswer | None:
    """What the whole slice answers, where it is encoded and looking closer takes a while.

    None too where it is doubtful or misses what was pointed at: no answer is better than a
    wrong one.
    """
    whole = CropFrame.whole(stack.shape, stack.spacing)
    places = [(x, y) for x, y, positive in positions(prompt) if positive]
    if (
        stack.model.image_size >= LARGE_INPUT
        or not places
        or outline(prompt, stack) is not None
        or not stack.is_at_hand(prompt.index, whole)
    ):
        return None
    answer = decode_in(stack, prompt, whole).answer
    if answer.iou < LEAST_SURE:
        return None
    row, column = (
        round(p) - o for p, o in zip(reversed(places[0]), answer.offset, strict=True)
    )
    rows, columns = answer.mask.shape
    hit = 0 <= row < rows and 0 <= column < columns and bool(answer.mask[row, column])
    return answer if hit else None

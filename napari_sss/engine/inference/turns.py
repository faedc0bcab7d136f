"""A slice's prompts in the turns in which a person gives them, each correcting the last answer.

The mask is a function of the prompt alone, however it came about: the turns are derived from
the prompt, and what was computed for an earlier one is only remembered. So a mask can be made
again from a file, and taking a click back brings the former mask back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_sss.engine.inference.answers import SliceAnswer, mask_as_logits
from napari_sss.engine.inference.crops import CropFrame, mask_box
from napari_sss.engine.inference.decoding import (
    DecodedSlice,
    answer_of,
    check_prompt,
    decode_in,
    decode_prompt,
    frame_for,
)
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.inference.zoom import grown
from napari_sss.engine.models.sam2_model import Decoded
from napari_sss.engine.prompts.types import Point, Polygon, SlicePrompt, Stroke

REMEMBERED = 512  # turns; each takes some 10 to 300 kB


@dataclass(frozen=True)
class _Turn:
    """What a turn gave: enough to go on from it."""

    frame: CropFrame
    decoded: Decoded


class Turns:
    """Decodes prompts turn by turn, and remembers what each gave.

    Parameters
    ----------
    stack : SliceStack
        The slices; all prompts lie in its plane.
    """

    def __init__(self, stack: SliceStack) -> None:
        self._stack = stack
        self._known: OrderedDict[SlicePrompt, _Turn] = OrderedDict()

    def decode(
        self,
        prompt: SlicePrompt,
        current: NDArray[np.bool_] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> DecodedSlice:
        """The mask that a prompt means.

        Parameters
        ----------
        prompt : SlicePrompt
            Everything the person has said of the object on this slice.
        current : (rows, columns) bool array, optional
            The object as it stands on the slice. Where it is not what the earlier turns gave
            (it was tracked or painted), it is what the prompt corrects.
        check : callable
            Called between turns and inside the encoder; may raise to cancel.

        Raises
        ------
        PromptError
            Where the prompt is empty, or says only where the object is not and there is
            nothing to take it from.
        """
        if current is not None and not current.any():
            current = None
        check_prompt(prompt, corrects=current is not None)
        turns = turns_of(prompt)
        done = next((k for k in reversed(range(len(turns))) if turns[k] in self._known), None)
        if current is not None and prompt.box is None and prompt.mask is None:
            last = None if done is None else self._known[turns[done]]
            if last is None or not self._shows(last, prompt.index, current):
                return self._remember(turns[-1], self._corrected(prompt, current))
        if done == len(turns) - 1:
            return self._again(turns[done])
        if done is None:
            done, frame = 0, frame_for(self._stack, turns[0], check)
            check()
            decoded = self._remember(turns[0], decode_in(self._stack, turns[0], frame))
        turn = self._known[turns[done]]
        for so_far in turns[done + 1 :]:
            check()
            decoded = decode_prompt(self._stack, so_far, turn.frame, turn.decoded.logits)
            self._remember(so_far, decoded)
            turn = _Turn(decoded.frame, decoded.decoded)
        return decoded

    def knows(self, prompt: SlicePrompt) -> bool:
        """Whether the prompt, or one that it goes on from, was decoded before."""
        return any(turn in self._known for turn in turns_of(prompt))

    def _corrected(self, prompt: SlicePrompt, current: NDArray[np.bool_]) -> DecodedSlice:
        """What a prompt makes of a mask that no earlier turn gave."""
        stack = self._stack
        box = mask_box(current)
        assert box is not None
        frame = grown(CropFrame.around(box, stack.spacing), prompt, stack)
        return decode_prompt(stack, prompt, frame, _as_logits(stack, current, frame))

    def _again(self, prompt: SlicePrompt) -> DecodedSlice:
        turn = self._known[prompt]
        self._known.move_to_end(prompt)
        return DecodedSlice(
            self._answer(turn, prompt.index),
            turn.frame,
            turn.decoded,
            self._stack.features(prompt.index, turn.frame),
        )

    def _shows(self, turn: _Turn, index: int, current: NDArray[np.bool_]) -> bool:
        """Whether a turn's mask is the one that stands on the slice."""
        answer = self._answer(turn, index)
        mask = np.zeros(self._stack.shape, dtype=bool)
        rows, columns = (
            slice(o, o + n) for o, n in zip(answer.offset, answer.mask.shape, strict=True)
        )
        mask[rows, columns] = answer.mask
        return bool(np.array_equal(mask, current))

    def _answer(self, turn: _Turn, index: int) -> SliceAnswer:
        return answer_of(self._stack, index, turn.frame, turn.decoded)

    def _remember(self, prompt: SlicePrompt, decoded: DecodedSlice) -> DecodedSlice:
        self._known[prompt] = _Turn(decoded.frame, decoded.decoded)
        self._known.move_to_end(prompt)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return decoded


def decode_in_turns(stack: SliceStack, prompt: SlicePrompt, frame: CropFrame) -> DecodedSlice:
    """The mask that a person's prompt means, in just this crop.

    With the former answer to go on from, four corrections of a click raised the mean Dice
    from 0.67 to 0.87, and all of them told at once to 0.77 (18 structures of the ACDC
    training list and two phantoms). What the program prompts itself was never a dialogue.
    """
    if prompt.confidence is not None:
        return decode_in(stack, prompt, frame)
    first, *others = turns_of(prompt)
    decoded = decode_in(stack, first, frame)
    for turn in others:
        decoded = decode_in(stack, turn, frame, decoded.decoded.logits)
    return decoded


def turns_of(prompt: SlicePrompt) -> list[SlicePrompt]:
    """A prompt as it grew, one more point, scribble or lasso each turn.

    First comes what outlines the object (a box or mask, else a lasso), else its first
    positive point or scribble. The last turn says the same as the prompt.
    """
    first = replace(prompt, points=(), strokes=(), polygons=(), confidence=None)
    parts: list[Point | Stroke | Polygon] = [*prompt.points, *prompt.strokes, *prompt.polygons]
    if prompt.box is None and prompt.mask is None:
        leads: list[Point | Stroke | Polygon] = [*prompt.polygons, *parts]
        lead = next((part for part in leads if part.positive), parts[0])
        parts.remove(lead)
        first = _with(first, lead)
    turns = [first]
    for part in parts:
        turns.append(_with(turns[-1], part))
    return turns


def _with(prompt: SlicePrompt, part: Point | Stroke | Polygon) -> SlicePrompt:
    """A prompt and one more thing drawn."""
    if isinstance(part, Point):
        return replace(prompt, points=(*prompt.points, part))
    if isinstance(part, Stroke):
        return replace(prompt, strokes=(*prompt.strokes, part))
    return replace(prompt, polygons=(*prompt.polygons, part))


def _as_logits(stack: SliceStack, mask: NDArray[np.bool_], frame: CropFrame) -> Tensor:
    """A slice's mask as the answer that a crop might have had."""
    # Cutting fills with 0 beyond the border, where the object is absent: so shift by one.
    signed = frame.cut(2.0 * mask.astype(np.float32), stack.model.image_size) - 1.0
    return mask_as_logits(signed, stack.model.image_size)

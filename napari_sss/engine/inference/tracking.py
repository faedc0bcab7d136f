"""From the prompted slices of an object through the stack, both ways, until it ends.

Memory stays bounded: only the slices within reach of SAM-2's memory are remembered, however
long the stack is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from napari_sss.engine.inference.answers import SliceAnswer
from napari_sss.engine.inference.crops import CropFrame, mask_box
from napari_sss.engine.inference.decoding import DecodedSlice, answer_of, decode_prompt
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.models.sam2_model import MemoryBank
from napari_sss.engine.prompts.types import Box, SlicePrompt

AHEAD = 4  # slices encoded together; cancelling waits for one such batch at most
VANISHED = 0.02  # share of the prompted area below which an object has ended


@dataclass(frozen=True)
class Prompted:
    """An object's prompted slices, decoded in one common crop."""

    frame: CropFrame
    slices: dict[int, DecodedSlice]


def decode_prompts(stack: SliceStack, prompts: tuple[SlicePrompt, ...]) -> Prompted:
    """Decode every prompted slice; the first prompt is the surest and fixes the crop.

    The crop grows where another slice's prompt needs more room, and then all are decoded
    in the larger one, because tracking needs one frame for the object.
    """
    first = decode_prompt(stack, prompts[0])
    frame = _common_frame(stack, first.frame, prompts)
    slices: dict[int, DecodedSlice] = {}
    for prompt in prompts:
        known = prompt is prompts[0] and frame == first.frame
        slices[prompt.index] = first if known else decode_prompt(stack, prompt, frame)
    return Prompted(slices[prompts[0].index].frame, slices)


def track(
    stack: SliceStack,
    prompted: Prompted,
    *,
    limits: tuple[int, int] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[SliceAnswer]:
    """The object's masks on the slices that were not prompted.

    Parameters
    ----------
    stack : SliceStack
        The slices.
    prompted : Prompted
        Its anchors; they are not changed.
    limits : (int, int), optional
        First and last slice to look at, inclusive.
    check : callable
        Called before each slice; may raise to cancel.

    Yields
    ------
    SliceAnswer
        One per slice on which the object is, outwards from the anchors.
    """
    first, last = limits or (0, len(stack) - 1)
    anchors = sorted(prompted.slices)
    bank = MemoryBank()
    with stack.model.inference():
        for index in anchors:
            slice_ = prompted.slices[index]
            bank.prompted[index] = stack.model.remember(
                slice_.features, slice_.decoded, prompted=True
            )
    start = next(iter(prompted.slices))
    for backwards in (False, True):
        bank.tracked.clear()
        stop = first - 1 if backwards else last + 1
        walk = range(start, stop, -1 if backwards else 1)[1:]
        yield from _walk(stack, prompted, bank, walk, backwards, check)


def _walk(
    stack: SliceStack,
    prompted: Prompted,
    bank: MemoryBank,
    walk: range,
    backwards: bool,
    check: Callable[[], None],
) -> Iterator[SliceAnswer]:
    frame = prompted.frame
    reach = stack.model.architecture.num_memories + 1
    start = next(iter(prompted.slices.values())).answer
    before, smallest = start, VANISHED * np.count_nonzero(start.mask)
    anchors_ahead = [i for i in prompted.slices if i in walk]
    for position, index in enumerate(walk):
        check()
        if index in prompted.slices:
            before = prompted.slices[index].answer
            anchors_ahead.remove(index)
            continue
        with stack.model.inference():
            if position % AHEAD == 0:
                ahead = walk[position : position + AHEAD]
                stack.features_of([(i, frame) for i in ahead], check)
            features = stack.features(index, frame)
            pixels = stack.model.with_memory(
                features, bank, index, backwards=backwards, slices=len(stack)
            )
            decoded = stack.model.decode(features, pixels, None).best()
            bank.tracked[index] = stack.model.remember(features, decoded, prompted=False)
            answer = answer_of(stack, index, frame, decoded)
        bank.forget_beyond(index, reach)
        if _has_ended(answer, before, smallest):
            if not anchors_ahead:
                return
            continue
        before = answer
        yield answer


def _has_ended(answer: SliceAnswer, before: SliceAnswer, smallest: float) -> bool:
    """Whether the object is gone: absent, tiny, or nowhere where it just was."""
    area = np.count_nonzero(answer.mask)
    if area == 0 or area < smallest:
        return True
    return not _overlap(answer, before)


def _overlap(a: SliceAnswer, b: SliceAnswer) -> bool:
    if a.offset == b.offset and a.mask.shape == b.mask.shape:
        return bool(np.any(a.mask & b.mask))
    box_a, box_b = mask_box(a.mask, a.offset), mask_box(b.mask, b.offset)
    if box_a is None or box_b is None:
        return False
    return (
        box_a.x0 < box_b.x1
        and box_b.x0 < box_a.x1
        and box_a.y0 < box_b.y1
        and box_b.y0 < box_a.y1
    )


def _common_frame(
    stack: SliceStack, frame: CropFrame, prompts: tuple[SlicePrompt, ...]
) -> CropFrame:
    """The first prompt's frame, enlarged to hold the boxes of all the others."""
    boxes = [p.box for p in prompts[1:] if p.box is not None]
    inside = frame.box
    if all(
        inside.x0 <= b.x0 and b.x1 <= inside.x1 and inside.y0 <= b.y0 and b.y1 <= inside.y1
        for b in boxes
    ):
        return frame
    union = Box(
        min(inside.x0, *(b.x0 for b in boxes)),
        min(inside.y0, *(b.y0 for b in boxes)),
        max(inside.x1, *(b.x1 for b in boxes)),
        max(inside.y1, *(b.y1 for b in boxes)),
    )
    return CropFrame.around(union, stack.spacing, context=1.0)

"""From the prompted slices of an object through the stack, both ways, until it ends.

Memory stays bounded: only the slices within reach of SAM-2's memory are remembered, however
long the stack is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import PromptError
from napari_sss.engine.inference.answers import SliceAnswer
from napari_sss.engine.inference.crops import CropFrame, mask_box
from napari_sss.engine.inference.decoding import (
    DecodedSlice,
    answer_of,
    check_prompt,
    decode_in,
    frame_for,
)
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.inference.zoom import grown, names_the_object
from napari_sss.engine.models.sam2_model import MemoryBank
from napari_sss.engine.prompts.types import Box, Plane, SlicePrompt
from napari_sss.engine.volumes.region import Region

VANISHED = 0.02  # share of the prompted area below which an object has ended
PARTED = 0.8  # Dice of tracked and coarse mask below which the slice is prompted anew


@dataclass(frozen=True)
class Prompted:
    """An object's prompted slices, decoded in one common crop.

    Parameters
    ----------
    frame : CropFrame
        The crop.
    slices : dict
        Slice index to answer, the surest first: the anchors of tracking.
    corrections : dict
        Slice index to prompts that say only what does not belong; they correct what
        tracking finds there.
    """

    frame: CropFrame
    slices: dict[int, DecodedSlice]
    corrections: dict[int, SlicePrompt] = field(default_factory=dict)


def decode_prompts(
    stack: SliceStack, prompts: tuple[SlicePrompt, ...], room: Box | None = None
) -> Prompted:
    """Decode every prompted slice; the first prompt is the surest and fixes the crop.

    Several prompts on one slice count as one. The crop grows where another slice's prompt,
    or the object as a whole (``room``), needs more of the slice: tracking needs one frame.

    Raises
    ------
    PromptError
        Where a prompt is empty, or none says where the object is.
    """
    merged = merged_by_slice(prompts)
    for prompt in merged:
        check_prompt(prompt, corrects=True)
    anchors = [p for p in merged if names_the_object(p)]
    if not anchors:
        raise PromptError(
            "The prompts say only where the object is not.",
            "Add a box, or a positive point, scribble or lasso.",
        )
    frame = frame_for(stack, anchors[0])
    for prompt in merged:
        frame = grown(frame, prompt, stack)
    if room is not None:
        frame = frame.holding(room, stack.spacing)
    return Prompted(
        frame,
        {p.index: decode_in(stack, p, frame) for p in anchors},
        {p.index: p for p in merged if not names_the_object(p)},
    )


def merged_by_slice(prompts: tuple[SlicePrompt, ...]) -> tuple[SlicePrompt, ...]:
    """One prompt per slice, in the order in which the slices first appear.

    Points and drawings are joined; of several boxes the one around them all is taken, as a
    single box around an object of several pieces would be.

    Raises
    ------
    PromptError
        Where one slice names two different masks.
    """
    merged: dict[int, SlicePrompt] = {}
    for prompt in prompts:
        known = merged.get(prompt.index)
        merged[prompt.index] = prompt if known is None else _joined(known, prompt)
    return tuple(merged.values())


def track(
    stack: SliceStack,
    prompted: Prompted,
    *,
    limits: tuple[int, int] | None = None,
    guide: Guide | None = None,
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
    guide : Guide, optional
        A coarse mask of the object; where tracking and it part ways, its box is a prompt.
    check : callable
        Called before each slice; may raise to cancel.

    Yields
    ------
    SliceAnswer
        One per slice on which the object is, outwards from the surest anchor.
    """
    first, last = limits or (0, len(stack) - 1)
    first, last = max(first, 0), min(last, len(stack) - 1)
    start = next(iter(prompted.slices))
    memory = _Memory(stack, prompted, guide)
    for backwards, walk in (
        (False, range(max(start + 1, first), last + 1)),
        (True, range(min(start - 1, last), first - 1, -1)),
    ):
        memory.forget_tracked()
        yield from _walk(stack, prompted, memory, walk, backwards, check)


def correct_alone(stack: SliceStack, prompted: Prompted) -> Iterator[SliceAnswer]:
    """Masks of the slices that are only corrected, seen from the anchors without a walk."""
    for index in prompted.corrections:
        memory = _Memory(stack, prompted)
        yield memory.answer(index, backwards=index < next(iter(prompted.slices)))


@dataclass(frozen=True)
class Guide:
    """A coarse mask of the object that tracking may hold itself against.

    Parameters
    ----------
    region : Region
        The coarse mask.
    plane : Plane
        The plane of the slices that are tracked.
    """

    region: Region
    plane: Plane

    def disagreement(self, answer: SliceAnswer) -> Box | None:
        """The coarse mask's box on a slice where it and the answer part ways, else None.

        Where the coarse mask has nothing the answer stands: the object may reach further.
        """
        plane, region = self.plane, self.region
        position = answer.index - region.offset[plane.axis]
        if not 0 <= position < region.mask.shape[plane.axis]:
            return None
        coarse = np.take(region.mask, position, axis=plane.axis)
        offset = (region.offset[plane.row_axis], region.offset[plane.column_axis])
        box = mask_box(coarse, offset)
        if box is None or _dice(coarse, offset, answer) >= PARTED:
            return None
        return box


class _Memory:
    """What is known of an object while its stack is walked."""

    def __init__(
        self, stack: SliceStack, prompted: Prompted, guide: Guide | None = None
    ) -> None:
        self._stack, self._prompted, self._guide = stack, prompted, guide
        self._bank = MemoryBank()
        model = stack.model
        for index, slice_ in prompted.slices.items():
            features = stack.features(index, prompted.frame)
            with model.inference():
                self._bank.prompted[index] = model.remember(
                    features, slice_.decoded, prompted=True
                )

    def forget_tracked(self) -> None:
        """Keep the prompted slices alone, to set out in the other direction."""
        self._bank.tracked.clear()

    def answer(self, index: int, *, backwards: bool) -> SliceAnswer:
        """The object on a slice that has no anchor; it is remembered."""
        stack, model, frame = self._stack, self._stack.model, self._prompted.frame
        features = stack.features(index, frame)
        with model.inference():
            pixels = model.with_memory(
                features, self._bank, index, backwards=backwards, slices=len(stack)
            )
            decoded = model.decode(
                features, pixels, None, multimask=model.architecture.multimask_tracking
            ).best()
            correction = self._prompted.corrections.get(index)
            if correction is not None:
                decoded = decode_in(stack, correction, frame, decoded.logits, pixels).decoded
            elif self._guide is not None:
                seen = answer_of(stack, index, frame, decoded)
                box = self._guide.disagreement(seen)
                if box is not None:
                    prompt = SlicePrompt(index, box=box, plane=stack.plane)
                    decoded = decode_in(stack, prompt, frame, None, pixels).decoded
            known = self._bank.tracked if correction is None else self._bank.prompted
            known[index] = model.remember(features, decoded, prompted=correction is not None)
            answer = answer_of(stack, index, frame, decoded)
        self._bank.forget_beyond(index, model.memory_reach)
        return answer


def _walk(
    stack: SliceStack,
    prompted: Prompted,
    memory: _Memory,
    walk: range,
    backwards: bool,
    check: Callable[[], None],
) -> Iterator[SliceAnswer]:
    """One direction, until the object has ended and no anchor lies ahead."""
    before = next(iter(prompted.slices.values())).answer
    smallest = VANISHED * np.count_nonzero(before.mask)
    anchors_ahead = {i for i in prompted.slices if i in walk}
    ready = 0
    for position, index in enumerate(walk):
        check()
        if index in prompted.slices:
            before = prompted.slices[index].answer
            anchors_ahead.discard(index)
            continue
        if position >= ready:
            ahead = walk[position : position + stack.encoded_together]
            stack.features_of([(i, prompted.frame) for i in ahead], check)
            ready = position + len(ahead)
        answer = memory.answer(index, backwards=backwards)
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


def _dice(coarse: NDArray[np.bool_], offset: tuple[int, int], answer: SliceAnswer) -> float:
    """Dice of a coarse mask's patch with an answer, each at its own place in the slice."""
    mask = answer.mask
    rows, columns = (
        (max(a, b), min(a + m, b + n))
        for a, m, b, n in zip(offset, coarse.shape, answer.offset, mask.shape, strict=True)
    )
    common = 0
    if rows[0] < rows[1] and columns[0] < columns[1]:
        first, second = (
            patch[rows[0] - o[0] : rows[1] - o[0], columns[0] - o[1] : columns[1] - o[1]]
            for patch, o in ((coarse, offset), (mask, answer.offset))
        )
        common = int(np.count_nonzero(first & second))
    return 2.0 * common / (np.count_nonzero(coarse) + np.count_nonzero(mask))


def _overlap(a: SliceAnswer, b: SliceAnswer) -> bool:
    """Whether two answers of one crop share a voxel's place."""
    return bool(np.any(a.mask & b.mask))


def _joined(one: SlicePrompt, other: SlicePrompt) -> SlicePrompt:
    """Two prompts of an object on the same slice, as one."""
    masks = {p.mask for p in (one, other) if p.mask is not None}
    if len(masks) > 1:
        raise PromptError(
            f"Slice {one.index} has two masks as prompts: {', '.join(map(str, masks))}.",
            "Put them into one file.",
        )
    return replace(
        one,
        box=_around_both(one.box, other.box),
        points=one.points + other.points,
        strokes=one.strokes + other.strokes,
        polygons=one.polygons + other.polygons,
        mask=next(iter(masks), None),
    )


def _around_both(one: Box | None, other: Box | None) -> Box | None:
    if one is None or other is None:
        return one or other
    return Box(
        min(one.x0, other.x0),
        min(one.y0, other.y0),
        max(one.x1, other.x1),
        max(one.y1, other.y1),
    )

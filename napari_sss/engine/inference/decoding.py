"""Decoding prompts on one slice, with the zoom that makes a small model see well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_sss.engine.errors import PromptError
from napari_sss.engine.inference.answers import (
    MASK_LOGIT,
    SliceAnswer,
    as_points,
    drawn_mask,
    mask_as_logits,
    side_by_side,
)
from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.inference.zoom import find_frame, grown, names_the_object
from napari_sss.engine.models.sam2_model import Decoded, Features, PointPrompts
from napari_sss.engine.prompts.types import SlicePrompt


@dataclass(frozen=True)
class DecodedSlice:
    """A decoded slice with what propagation and further clicks need.

    Parameters
    ----------
    answer : SliceAnswer
        The mask in the slice's voxels.
    frame : CropFrame
        The crop in which it was decoded.
    decoded : Decoded
        Raw logits in the crop.
    features : Features
        The crop's features.
    """

    answer: SliceAnswer
    frame: CropFrame
    decoded: Decoded
    features: Features


def decode_prompt(
    stack: SliceStack,
    prompt: SlicePrompt,
    frame: CropFrame | None = None,
    previous: Tensor | None = None,
) -> DecodedSlice:
    """The mask that a prompt means.

    Parameters
    ----------
    stack : SliceStack
        The slices; its plane is the prompt's.
    prompt : SlicePrompt
        Box, points, scribbles, lassos or mask on one slice.
    frame : CropFrame, optional
        The object's crop where it is fixed already; it grows where the prompt needs more
        room. By default it is found.
    previous : (1, 1, S/4, S/4) tensor, optional
        Logits of the answer before the latest click, in ``frame``.

    Raises
    ------
    PromptError
        Where the prompt is empty, or says only where the object is not and there is no
        previous answer.
    """
    check_prompt(prompt, corrects=previous is not None)
    if frame is None:
        return decode_in(stack, prompt, frame_for(stack, prompt))
    wanted = grown(frame, prompt, stack)
    if previous is not None and wanted != frame:
        previous = _carried(stack, previous, frame, wanted)
    return decode_in(stack, prompt, wanted, previous)


def frame_for(
    stack: SliceStack, prompt: SlicePrompt, check: Callable[[], None] = lambda: None
) -> CropFrame:
    """The crop in which a prompt's object is seen best.

    Parameters
    ----------
    stack, prompt
        See :func:`decode_prompt`.
    check : callable
        Called between the steps of encoding; may raise to cancel.
    """

    def answers(frames: list[CropFrame]) -> list[SliceAnswer]:
        return _decode_clicks(stack, prompt, frames, check)

    return find_frame(stack, prompt, answers)


def _decode_clicks(
    stack: SliceStack,
    prompt: SlicePrompt,
    frames: list[CropFrame],
    check: Callable[[], None],
) -> list[SliceAnswer]:
    """What the clicks and scribbles of a prompt mean in each of several crops."""
    model = stack.model
    points = side_by_side([as_points(prompt, frame, model.image_size) for frame in frames])

    def decode() -> list[SliceAnswer]:
        features = stack.features_of([(prompt.index, frame) for frame in frames], check)
        with model.inference():
            decoded = model.decode(
                features,
                model.without_memory(features),
                points,
                multimask=_is_ambiguous(points),
            ).best()
        return [
            answer_of(stack, prompt.index, frame, decoded, row)
            for row, frame in enumerate(frames)
        ]

    return stack.carry_on(decode)


def decode_in(
    stack: SliceStack,
    prompt: SlicePrompt,
    frame: CropFrame,
    previous: Tensor | None = None,
    pixels: Tensor | None = None,
) -> DecodedSlice:
    """The mask that a prompt means, in just this crop.

    Parameters
    ----------
    stack, prompt, frame, previous
        See :func:`decode_prompt`.
    pixels : (1, C, S/16, S/16) tensor, optional
        Features informed by neighbouring slices; by default the slice stands alone.
    """
    model = stack.model
    points = as_points(prompt, frame, model.image_size)
    drawn = _drawn(stack, prompt, frame)
    adopts = drawn is not None and points is None and previous is None and _adopts_masks(stack)

    def decode() -> DecodedSlice:
        features = stack.features(prompt.index, frame)
        with model.inference():
            if drawn is not None and adopts:
                decoded = model.adopt(features, (drawn > 0).float()[None, None])
            else:
                mask = _mask_prompt(drawn, previous, model.image_size)
                decoded = model.decode(
                    features,
                    model.without_memory(features) if pixels is None else pixels,
                    points,
                    None if mask is None else mask.to(model.device),
                    multimask=mask is None and _is_ambiguous(points),
                ).best()
        if names_the_object(prompt):
            # Whoever prompts a slice says that the object is there.
            decoded = replace(decoded, object_score=decoded.object_score.clamp(min=1.0))
        answer = answer_of(stack, prompt.index, frame, decoded)
        return DecodedSlice(answer, frame, decoded, features)

    return stack.carry_on(decode)


def answer_of(
    stack: SliceStack, index: int, frame: CropFrame, decoded: Decoded, row: int = 0
) -> SliceAnswer:
    """One object's decoded mask as an answer in the slice's voxels."""
    logits = stack.model.upsample(decoded.logits[row : row + 1])[0, 0]
    offset, patch = frame.paste(torch.sigmoid(logits), stack.shape)
    return SliceAnswer(
        index,
        offset,
        patch,
        float(decoded.ious[row, 0].clamp(0, 1)),
        float(decoded.object_score[row, 0].sigmoid()),
    )


def check_prompt(prompt: SlicePrompt, *, corrects: bool = False) -> None:
    """Refuse a prompt that means nothing.

    Parameters
    ----------
    prompt : SlicePrompt
        What to check.
    corrects : bool
        Whether there is an answer already, so that it may say only what does not belong.

    Raises
    ------
    PromptError
        Naming the slice.
    """
    box, where = prompt.box, f"on {prompt.plane.name.lower()} slice {prompt.index}"
    if box is not None and not (box.width > 0 and box.height > 0):
        raise PromptError(f"The box {where} is empty.", "Draw it around the object.")
    drawn = (*prompt.points, *prompt.strokes, *prompt.polygons)
    if not drawn and box is None and prompt.mask is None:
        raise PromptError(
            f"The prompt {where} is empty.",
            "Give it a box, a point, a scribble, a lasso or a mask.",
        )
    if not corrects and not names_the_object(prompt):
        raise PromptError(
            f"The prompt {where} says only where the object is not.",
            "Add a box, or a positive point, scribble or lasso.",
        )


def _is_ambiguous(points: PointPrompts | None) -> bool:
    """Whether the prompt is a single click, which may mean a part or the whole."""
    return points is not None and points.labels.shape[1] == 1


def _adopts_masks(stack: SliceStack) -> bool:
    """Whether the model takes a mask as it is, as the official ones were trained to."""
    return not stack.model.architecture.drawn_prompts


def _drawn(stack: SliceStack, prompt: SlicePrompt, frame: CropFrame) -> Tensor | None:
    """The prompt's mask and lassos in the crop (S, S), -1 to 1."""
    given = None if prompt.mask is None else stack.labelled(prompt.mask, prompt.index)
    drawn = drawn_mask(prompt, stack.shape, given)
    return None if drawn is None else frame.cut(drawn, stack.model.image_size)


def _mask_prompt(drawn: Tensor | None, previous: Tensor | None, side: int) -> Tensor | None:
    """The mask to start from: the previous answer, and what was drawn over it."""
    if drawn is None:
        return previous
    logits = mask_as_logits(drawn, side)
    if previous is None:
        return logits
    previous = previous.float().cpu()
    return torch.where(logits.abs() > MASK_LOGIT / 2, logits, previous)


def _carried(
    stack: SliceStack, previous: Tensor, frame: CropFrame, wanted: CropFrame
) -> Tensor:
    """Logits of one crop as those of another; absent where the first did not look."""
    model = stack.model
    offset, patch = frame.paste(model.upsample(previous)[0, 0], stack.shape)
    whole = np.zeros(stack.shape, dtype=np.float32)
    rows, columns = (slice(o, o + n) for o, n in zip(offset, patch.shape, strict=True))
    whole[rows, columns] = patch + MASK_LOGIT
    # Cutting fills with 0 beyond the border, which then means absence too.
    moved = wanted.cut(whole, model.image_size) - MASK_LOGIT
    return mask_as_logits(moved / MASK_LOGIT, model.image_size)

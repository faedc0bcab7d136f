"""Decoding prompts on one slice, with the zoom that makes a small model see well."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_sss.engine.errors import PromptError
from napari_sss.engine.inference.answers import (
    SliceAnswer,
    as_points,
    drawn_mask,
    mask_as_logits,
)
from napari_sss.engine.inference.crops import CropFrame, mask_box
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.models.sam2_model import Decoded, Features, PointPrompts
from napari_sss.engine.prompts.types import Box, Polygon, SlicePrompt, Stroke

ZOOM_STEPS = 3  # at most so many crops between the whole slice and the object
ZOOM_ENOUGH = 0.75  # a crop this near to the wanted one is not taken again


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
        Box, points, scribbles or lasso on one slice.
    frame : CropFrame, optional
        The object's crop where it is fixed already; by default it is found.
    previous : (1, 1, S/4, S/4) tensor, optional
        Logits of the answer before the latest click, in the same crop.

    Raises
    ------
    PromptError
        Where the prompt is empty or names no positive place.
    """
    with stack.model.inference():
        if frame is None:
            frame = _find_frame(stack, prompt)
            previous = None
        elif not _holds_all(frame, prompt):
            frame = _grown(frame, prompt, stack)
            previous = None
        return _decode_in(stack, prompt, frame, previous)


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


def _decode_in(
    stack: SliceStack, prompt: SlicePrompt, frame: CropFrame, previous: Tensor | None
) -> DecodedSlice:
    side = stack.model.image_size
    features = stack.features(prompt.index, frame)
    points = as_points(prompt, frame, side)
    mask = previous
    drawn = drawn_mask(prompt, stack.shape)
    if drawn is not None:
        mask = mask_as_logits(frame.cut(drawn, side), side)
    if points is None and mask is None:
        raise PromptError(
            f"The prompt on slice {prompt.index} is empty.",
            "Give it a box, a point, a scribble, a lasso or a mask.",
        )
    decoded = stack.model.decode(
        features,
        stack.model.without_memory(features),
        points,
        mask,
        multimask=mask is None and _is_ambiguous(points),
    ).best()
    # Whoever prompts a slice says that the object is there.
    present = replace(decoded, object_score=decoded.object_score.clamp(min=1.0))
    return DecodedSlice(
        answer_of(stack, prompt.index, frame, present), frame, present, features
    )


def _is_ambiguous(points: PointPrompts | None) -> bool:
    """Whether the prompt is a single click, which may mean a part or the whole."""
    return points is not None and points.labels.shape[1] == 1


def _find_frame(stack: SliceStack, prompt: SlicePrompt) -> CropFrame:
    """The crop for a first prompt: around a box, or from the whole slice inwards."""
    if prompt.box is not None:
        return CropFrame.around(prompt.box, stack.spacing)
    extent = _drawn_extent(prompt)
    if extent is not None:
        return CropFrame.around(extent, stack.spacing)
    frame = CropFrame.whole(stack.shape, stack.spacing)
    for _ in range(ZOOM_STEPS):
        answer = _decode_in(stack, prompt, frame, None).answer
        found = mask_box(answer.mask, answer.offset)
        if found is None:
            found = _shrunk(frame, prompt)
        wanted = _grown(CropFrame.around(found, stack.spacing), prompt, stack)
        if wanted.rows > ZOOM_ENOUGH * frame.rows:
            break
        frame = wanted
    return frame


def _shrunk(frame: CropFrame, prompt: SlicePrompt) -> Box:
    """Where nothing was found: the third of the frame around the first click."""
    x, y = _positions(prompt)[0]
    half_x, half_y = frame.columns / 6, frame.rows / 6
    return Box(x - half_x, y - half_y, x + half_x, y + half_y)


def _drawn_extent(prompt: SlicePrompt) -> Box | None:
    """The box around scribbles and lassos that are positive; None without any."""
    drawn = [p for s in _drawings(prompt) if s.positive for p in s.points]
    if not drawn:
        return None
    xs, ys = [p[0] for p in drawn], [p[1] for p in drawn]
    return Box(min(xs), min(ys), max(xs) + 1, max(ys) + 1)


def _positions(prompt: SlicePrompt) -> list[tuple[float, float]]:
    positions = [(p.x, p.y) for p in prompt.points]
    positions += [p for s in _drawings(prompt) for p in s.points]
    return positions


def _drawings(prompt: SlicePrompt) -> list[Stroke | Polygon]:
    return [*prompt.strokes, *prompt.polygons]


def _holds_all(frame: CropFrame, prompt: SlicePrompt) -> bool:
    return all(frame.holds(x, y) for x, y in _positions(prompt))


def _grown(frame: CropFrame, prompt: SlicePrompt, stack: SliceStack) -> CropFrame:
    """The frame, enlarged where a prompt lies outside it."""
    if _holds_all(frame, prompt):
        return frame
    box, positions = frame.box, _positions(prompt)
    xs, ys = [p[0] for p in positions], [p[1] for p in positions]
    union = Box(
        min(box.x0, *xs), min(box.y0, *ys), max(box.x1, *(x + 1 for x in xs)),
        max(box.y1, *(y + 1 for y in ys)),
    )  # fmt: skip
    return CropFrame.around(union, stack.spacing, context=1.15)

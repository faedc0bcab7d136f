"""Which crop a prompt is decoded in: around what is outlined, or at the scale that suits."""

from __future__ import annotations

import math
from collections.abc import Callable

from napari_sss.engine.inference.answers import SliceAnswer
from napari_sss.engine.inference.crops import CropFrame, mask_box
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.prompts.types import Box, Polygon, SlicePrompt, Stroke

# Sides of the crops in which a click is tried. The model itself says which it sees best in:
# choosing by its own estimate found 1.7 times the overlap that zooming in step by step did.
# Each costs an encoding. On 69 slices of the ACDC training list (right ventricle, myocardium,
# left ventricle) and 15 structures of two phantoms one click gave mean Dice 0.59, 0.32, 0.76
# and 0.70 with 24, 40, 64, 100, 160 and 250 mm; 0.66, 0.37, 0.78 and 0.70 with these three;
# 0.65, 0.37, 0.74 and 0.69 with 40 and 100 mm; 0.35, 0.19, 0.37 and 0.38 without any.
CLICK_SCALES_MM = (40.0, 100.0, 250.0)
# Between crops of like estimates, one that frames its answer as training did is preferred.
FRAMING_WEIGHT = 0.03
GROWTH_CONTEXT = 1.25  # of a crop that had to grow: what made it grow stays off its rim
LARGE_INPUT = 512  # pixels; a model with such an input sees small things in a whole slice

DecodeAll = Callable[[list[CropFrame]], list[SliceAnswer]]


def find_frame(stack: SliceStack, prompt: SlicePrompt, decode: DecodeAll) -> CropFrame:
    """The crop for an object's first prompt.

    Parameters
    ----------
    stack : SliceStack
        The slices.
    prompt : SlicePrompt
        Box, lasso or mask give the object's size; clicks and scribbles only its place.
    decode : callable
        What the model answers to the prompt in each of several crops.
    """
    whole = CropFrame.whole(stack.shape, stack.spacing)
    if stack.model.image_size >= LARGE_INPUT:
        return whole
    outlined = outline(prompt, stack)
    if outlined is not None:
        return grown(CropFrame.around(outlined, stack.spacing), prompt, stack)
    frames = [
        frame
        for frame in (_around_first_click(prompt, side, stack) for side in CLICK_SCALES_MM)
        if frame.rows < whole.rows and frame.columns < whole.columns
    ]
    frames = list(dict.fromkeys(grown(frame, prompt, stack) for frame in frames))
    best: tuple[float, CropFrame] | None = None
    for frame, answer in zip([*frames, whole], decode([*frames, whole]), strict=True):
        found = mask_box(answer.mask, answer.offset)
        if found is None:
            continue
        wanted = grown(CropFrame.around(found, stack.spacing), prompt, stack)
        score = answer.iou - FRAMING_WEIGHT * abs(math.log(frame.rows / wanted.rows))
        if best is None or score > best[0]:
            best = score, wanted
    return frames[0] if best is None and frames else whole if best is None else best[1]


def grown(frame: CropFrame, prompt: SlicePrompt, stack: SliceStack) -> CropFrame:
    """The frame, enlarged where it does not hold all that a prompt says of the object.

    What is negative needs no room: where the crop does not look, the object is absent.
    """
    outlined = outline(prompt, stack)
    places = [Box(x, y, x + 1, y + 1) for x, y, positive in positions(prompt) if positive]
    if all(frame.holds(b.x0, b.y0) for b in places) and (
        outlined is None or frame.covers(outlined)
    ):
        return frame
    needed = [frame.box, *places] + ([outlined] if outlined is not None else [])
    return CropFrame.around(_union(needed), stack.spacing, context=GROWTH_CONTEXT)


def outline(prompt: SlicePrompt, stack: SliceStack) -> Box | None:
    """The box around everything that shows the object's size; None without any."""
    boxes = [prompt.box] if prompt.box is not None else []
    for polygon in prompt.polygons:
        if polygon.positive:
            xs, ys = zip(*polygon.points, strict=True)
            boxes.append(Box(min(xs), min(ys), max(xs) + 1, max(ys) + 1))
    if prompt.mask is not None:
        labelled = mask_box(stack.labelled(prompt.mask, prompt.index))
        if labelled is not None:
            boxes.append(labelled)
    return _union(boxes) if boxes else None


def positions(prompt: SlicePrompt) -> list[tuple[float, float, bool]]:
    """``(x, y, positive)`` of everything clicked or drawn, the positive ones first."""
    places = [(p.x, p.y, p.positive) for p in prompt.points]
    drawings: list[Stroke | Polygon] = [*prompt.strokes, *prompt.polygons]
    for drawing in drawings:
        places += [(x, y, drawing.positive) for x, y in drawing.points]
    return sorted(places, key=lambda place: not place[2])


def names_the_object(prompt: SlicePrompt) -> bool:
    """Whether a prompt says where the object is, not only where it is not."""
    if prompt.box is not None or prompt.mask is not None:
        return True
    return any(positive for _, _, positive in positions(prompt))


def _around_first_click(prompt: SlicePrompt, side_mm: float, stack: SliceStack) -> CropFrame:
    """The square of this side around the first positive place."""
    x, y, _ = positions(prompt)[0]
    half_x, half_y = (side_mm / 2 / mm for mm in reversed(stack.spacing))
    box = Box(x - half_x, y - half_y, x + half_x, y + half_y)
    return CropFrame.around(box, stack.spacing, context=1.0)


def _union(boxes: list[Box]) -> Box:
    return Box(
        min(b.x0 for b in boxes),
        min(b.y0 for b in boxes),
        max(b.x1 for b in boxes),
        max(b.y1 for b in boxes),
    )

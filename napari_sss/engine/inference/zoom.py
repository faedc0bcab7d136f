"""Which crop a prompt is decoded in: around what is outlined, or from the whole inwards."""

from __future__ import annotations

from collections.abc import Callable

from napari_sss.engine.inference.answers import SliceAnswer
from napari_sss.engine.inference.crops import CropFrame, mask_box
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.prompts.types import Box, Polygon, SlicePrompt, Stroke

ZOOM_STEPS = 3  # at most so many crops between the whole slice and the object
ZOOM_ENOUGH = 0.75  # a crop this near to the wanted one is not taken again
GROWTH_CONTEXT = 1.25  # of a crop that had to grow: what made it grow stays off its rim

Decode = Callable[[CropFrame], SliceAnswer]


def find_frame(stack: SliceStack, prompt: SlicePrompt, decode: Decode) -> CropFrame:
    """The crop for an object's first prompt.

    Parameters
    ----------
    stack : SliceStack
        The slices.
    prompt : SlicePrompt
        Box, lasso or mask give the object's size; clicks and scribbles only its place.
    decode : callable
        What the model answers to the prompt in a crop.
    """
    outlined = outline(prompt, stack)
    if outlined is not None:
        return grown(CropFrame.around(outlined, stack.spacing), prompt, stack)
    frame = CropFrame.whole(stack.shape, stack.spacing)
    for _ in range(ZOOM_STEPS):
        answer = decode(frame)
        found = mask_box(answer.mask, answer.offset)
        if found is None:
            found = _around_first_click(frame, prompt)
        wanted = grown(CropFrame.around(found, stack.spacing), prompt, stack)
        if wanted.rows > ZOOM_ENOUGH * frame.rows:
            break
        frame = wanted
    return frame


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


def _around_first_click(frame: CropFrame, prompt: SlicePrompt) -> Box:
    """Where nothing was found: the third of the frame around the first positive place."""
    x, y, _ = positions(prompt)[0]
    half_x, half_y = frame.columns / 6, frame.rows / 6
    return Box(x - half_x, y - half_y, x + half_x, y + half_y)


def _union(boxes: list[Box]) -> Box:
    return Box(
        min(b.x0 for b in boxes),
        min(b.y0 for b in boxes),
        max(b.x1 for b in boxes),
        max(b.y1 for b in boxes),
    )

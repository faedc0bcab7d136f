"""Every mask once more, by its box and in a crop of its own.

A click in a tile, or a patch of even grey, says where an object may be; the model knows an
object best by its box, where it fills the model's input. A true object answers to its box
with the mask that the box came from, so the agreement of the two is evidence as well. Of the
two outlines the one stays that follows the image's edges more closely: a strong model's own,
while a small one is often the better judge than draughtsman.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.everything.evidence import outline_evidence
from napari_sss.engine.inference.everything.judging import certainty
from napari_sss.engine.inference.everything.sections import Section, flattened, overlaps
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.models.drawn_prompts import BOX_FIRST_CORNER, BOX_LAST_CORNER
from napari_sss.engine.models.memory import move_model, run_with_fallback
from napari_sss.engine.models.sam2_model import PointPrompts

CROPS_TOGETHER = 8  # encoded as one batch; cancelling waits for one such batch at most


def refine(
    stack: SliceStack, sections: Sequence[Section], check: Callable[[], None] = lambda: None
) -> list[Section]:
    """Each section judged anew, without those in whose box the model sees nothing.

    Parameters
    ----------
    stack : SliceStack
        The slices, and the model.
    sections : sequence of Section
        All of one slice.
    check : callable
        Called before each batch; may raise to cancel.

    Returns
    -------
    list of Section
        With the outline that follows the image better. The score is the root of predicted
        IoU, stability, evidence of the outline and IoU of the two outlines, multiplied.

    Raises
    ------
    DeviceError
        Where not even the CPU's memory suffices for one crop.
    """

    def work(some: Sequence[Section], device: torch.device) -> list[Section | None]:
        check()
        return _again(stack, some)

    found = run_with_fallback(
        work,
        sections,
        batch=CROPS_TOGETHER,
        device=stack.model.device,
        move=partial(move_model, stack.model),
    )
    return [section for section in found.outputs if section is not None]


def _again(stack: SliceStack, sections: Sequence[Section]) -> list[Section | None]:
    """One batch of sections; None for those of which nothing is left."""
    model, side = stack.model, stack.model.image_size
    grey = stack.grey(sections[0].index)
    frames = [CropFrame.around(s.box, stack.spacing) for s in sections]
    with model.inference():
        images = torch.stack([frame.cut(grey, side) for frame in frames])
        features = model.encode(images)
        decoded = model.decode(
            features, model.without_memory(features), _boxes(sections, frames, side)
        ).best()
        sure = certainty(decoded)[:, 0].cpu()
        drawn = outline_evidence(images, decoded.logits > 0)[:, 0].cpu()
        given = outline_evidence(images, _in_crops(sections, frames, stack))[:, 0]
        probabilities = torch.sigmoid(model.upsample(decoded.logits))
    found: list[Section | None] = []
    for row, (section, frame) in enumerate(zip(sections, frames, strict=True)):
        offset, patch = frame.paste(probabilities[row, 0], stack.shape)
        answer = Section.of(section.index, offset, patch > 0.5, 0.0)
        if answer is not None:
            evidence = float(sure[row] * torch.maximum(drawn[row], given[row]))
            score = (evidence * agreement(section, answer, stack.shape)) ** 0.5
            answer = (answer if drawn[row] >= given[row] else section).scored(score)
        found.append(answer)
    return found


def _in_crops(
    sections: Sequence[Section], frames: Sequence[CropFrame], stack: SliceStack
) -> Tensor:
    """Sections as (B, 1, S/4, S/4) masks of their crops."""
    side = stack.model.image_size // 4
    masks = []
    for section, frame in zip(sections, frames, strict=True):
        canvas = np.zeros(stack.shape, dtype=bool)
        section.paint(canvas)
        masks.append(frame.cut(canvas.astype(np.float32), side) > 0.5)
    return torch.stack(masks)[:, None]


def _boxes(sections: Sequence[Section], frames: Sequence[CropFrame], side: int) -> PointPrompts:
    """The sections' boxes as SAM-2's labelled corners."""
    corners = [
        torch.from_numpy(
            frame.to_crop(
                # Box edges lie half a voxel outside the centres of its outermost voxels.
                np.array([[s.box.x0, s.box.y0], [s.box.x1, s.box.y1]]) - 0.5,
                side,
            )
        )
        for s, frame in zip(sections, frames, strict=True)
    ]
    labels = torch.tensor([BOX_FIRST_CORNER, BOX_LAST_CORNER])
    return PointPrompts(torch.stack(corners), labels.expand(len(corners), 2))


def agreement(first: Section, second: Section, shape: tuple[int, int]) -> float:
    """IoU of two sections of a slice, 0 to 1."""
    common, union = overlaps(flattened([first], shape), flattened([second], shape))
    return float(common[0, 0] / union[0, 0])

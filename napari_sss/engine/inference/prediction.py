"""What a trained model makes of a volume: the head alone, or fused with SAM-2's masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from napari_sss.engine.inference.looking import Look, look
from napari_sss.engine.inference.object_boxes import prompts_of
from napari_sss.engine.inference.semantic import SLICES_AT_ONCE
from napari_sss.engine.inference.squares import SliceGeometry
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.sss.focus import Focus
from napari_sss.engine.models.sss.segmenter import Segmenter, prompted_probabilities
from napari_sss.engine.models.sss.trained import TrainedModel
from napari_sss.engine.prompts.pcsw import PcswConfig, pcsw
from napari_sss.engine.volumes.grid import Grid, Vector3
from napari_sss.engine.volumes.intensity import window_for
from napari_sss.engine.volumes.volume import Volume

Stages = Literal["head", "fused", "sam"]


class PredictOptions(BaseModel):
    """How a trained model predicts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: Stages = Field(
        "head",
        title="Stages",
        description=(
            "head: the semantic head alone. fused: its mean with SAM-2's masks, prompted by "
            "PCSW on every slice and informed by the training's memories. sam: SAM-2's alone."
        ),
    )
    pcsw: PcswConfig = Field(
        default_factory=lambda: PcswConfig(point="none"),
        title="PCSW",
        description="Which objects of the head's probabilities are prompted.",
    )
    zoom: bool = Field(
        True,
        title="Zoom",
        description=(
            "Look first where the classes lay in training, then closer at what was found; "
            "not where whole slices showed them as well."
        ),
    )
    memory_reads: int = Field(4, ge=1, title="Memories read", description="By each object.")


@dataclass(frozen=True)
class Prediction:
    """A predicted volume.

    Parameters
    ----------
    probabilities : (K + 1, Z, Y, X) float32 array
        On the volume's own grid, background first.
    values : tuple of int
        Label values of the classes 1 to K.
    """

    probabilities: NDArray[np.float32]
    values: tuple[int, ...]

    def labels(self) -> NDArray[np.uint8]:
        """(Z, Y, X) label map of the most probable classes."""
        table = np.array([0, *self.values], dtype=np.uint8)
        return table[self.probabilities.argmax(axis=0)]


def predict_volume(
    volume: Volume,
    trained: TrainedModel,
    options: PredictOptions | None = None,
    control: JobControl | None = None,
) -> Prediction:
    """Predict a volume.

    Parameters
    ----------
    volume : Volume
        In any axis order; the result is in the same.
    trained : TrainedModel
        The model.
    options : PredictOptions, optional
        By default the head alone.
    control : JobControl, optional
        May cancel between batches of slices.
    """
    options, control = options or PredictOptions(), control or JobControl()
    segmenter, facts = trained.segmenter, trained.facts
    geometry, seen = look_at_volume(
        volume,
        segmenter,
        facts.focus if options.zoom else None,
        facts.window,
        spacing=facts.spacing,
        check=control.check,
    )
    squares = seen.squares
    if options.stages != "head":
        names = tuple(facts.classes)
        objects = found_objects(squares, geometry.grid, names, options.pcsw, control)
        squares = _with_sam(segmenter, seen.grey, squares, objects, options, control)
    return Prediction(geometry.probabilities_on_source(squares), tuple(facts.classes.values()))


def look_at_volume(
    volume: Volume,
    segmenter: Segmenter,
    focus: Focus | None,
    window: str | None,
    *,
    spacing: Vector3 | None = None,
    check: Callable[[], None] = lambda: None,
) -> tuple[SliceGeometry, Look]:
    """Look at a volume's slices, cut from its own voxels at every magnification.

    Parameters
    ----------
    volume : Volume
        In any axis order.
    segmenter : Segmenter
        The model.
    focus : Focus, optional
        What it learned of where to look; None for whole slices.
    window : str, optional
        Name of the intensity window; by default the one for the volume's modality.
    spacing : (float, float, float), optional
        Millimetres along Z, Y, X, instead of the volume's.
    check : callable
        May raise to cancel.

    Returns
    -------
    geometry : SliceGeometry
        Of what was looked at last.
    look : Look
        What the semantic head makes of it.
    """
    grid = volume.grid if spacing is None else replace(volume.grid, spacing=spacing)
    whole = SliceGeometry.of(grid, segmenter.sam2.image_size)
    intensities = window_for(volume, window)
    seen = look(
        segmenter, lambda part: whole.through(part).squares(volume, intensities), focus, check
    )
    return whole.through(seen.window), seen


def found_objects(
    squares: Tensor,
    grid: Grid,
    names: tuple[str, ...],
    rules: PcswConfig,
    control: JobControl | None = None,
) -> NDArray[np.int32]:
    """PCSW's objects in class probabilities.

    Parameters
    ----------
    squares : (Z, K + 1, S, S) tensor
        Probabilities.
    grid : Grid
        Of the stack of squares.
    names : tuple of str
        The classes.
    rules : PcswConfig
        PCSW's.
    control : JobControl, optional
        May cancel.

    Returns
    -------
    (Z, S, S) int32 array
        Class + 256 * number of the object; the larger object where two overlap.
    """
    objects = np.zeros((squares.shape[0], *squares.shape[2:]), dtype=np.int32)
    for place, name in enumerate(names, start=1):
        coarse = np.ascontiguousarray(squares[:, place].numpy())
        found = pcsw(coarse, grid, rules, class_name=name, control=control)
        for number, one in reversed(list(enumerate(found))):
            one.region.paint(objects, place + 256 * number)
    return objects


@torch.no_grad()
def _with_sam(
    segmenter: Segmenter,
    grey: NDArray[Any],
    semantic: Tensor,
    objects: NDArray[np.int32],
    options: PredictOptions,
    control: JobControl,
) -> Tensor:
    """SAM-2's probabilities of the prompted objects, alone or fused with the head's."""
    generator = torch.Generator().manual_seed(0)  # the same memories in every prediction
    parts = []
    for start in range(0, len(grey), SLICES_AT_ONCE):
        control.check()
        rows = slice(start, start + SLICES_AT_ONCE)
        own = semantic[rows]
        here = torch.from_numpy(objects[rows]).to(segmenter.sam2.device)
        prompts = prompts_of(here, generator, jitter=0.0)
        if prompts is not None:
            with segmenter.sam2.autocast():
                images = torch.from_numpy(grey[rows]).float()
                pyramid = segmenter.enhance(segmenter.encode(images))
                masks = segmenter.decode(
                    pyramid,
                    prompts.boxes,
                    segmenter.banks,
                    reads=options.memory_reads,
                    generator=generator,
                )
            head = own.to(segmenter.sam2.device)
            fused = options.stages == "fused"
            sam = prompted_probabilities(masks, head, trust=fused).cpu()
            own = (own + sam) / 2 if fused else sam
        parts.append(own)
    return torch.cat(parts)

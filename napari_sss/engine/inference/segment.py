"""Prompts in, masks out: every object of a prompt set, slice by slice and through the stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.errors import PromptError
from napari_sss.engine.inference.answers import SliceAnswer
from napari_sss.engine.inference.crops import mask_box
from napari_sss.engine.inference.guide import Guide
from napari_sss.engine.inference.result import (
    Event,
    ObjectDone,
    ObjectsFound,
    Segmentation,
    SegmentedObject,
    SliceMask,
)
from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.inference.tracking import correct_alone, decode_prompts, track
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, PromptSet
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.region import Region
from napari_sss.engine.volumes.volume import Volume

if TYPE_CHECKING:
    from napari_sss.engine.inference.feature_entry import CacheEntry

OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class TrackedMask:
    """One object's mask from SAM-2.

    Parameters
    ----------
    region : Region
        Its voxels.
    confidence : float
        Mean of the model's own IoU estimates over the slices, 0 to 1.
    """

    region: Region
    confidence: float


def segment_prompts(
    volume: Volume,
    prompts: PromptSet,
    model: Sam2Model,
    *,
    window: IntensityWindow | None = None,
    propagate: bool = True,
    labels: Mapping[Path, NDArray[Any]] | None = None,
    on_event: OnEvent | None = None,
    control: JobControl | None = None,
    stacks: Stacks | None = None,
) -> Segmentation:
    """Segment every prompted object.

    Parameters
    ----------
    volume : Volume
        The scan; prompts are indices of its array.
    prompts : PromptSet
        What is meant.
    model : Sam2Model
        Does the work.
    window : IntensityWindow, optional
        By default the one that suits the volume's modality.
    propagate : bool
        Through the stack from the prompted slices; otherwise only those are decoded.
    labels : mapping, optional
        (Z, Y, X) label arrays in place of the files that prompts name as masks.
    on_event : callable, optional
        Receives each event as it happens.
    control : JobControl, optional
        For progress and cancelling.
    stacks : Stacks, optional
        The volume's slices for this model, where some were encoded already; their window
        is then used.

    Raises
    ------
    PromptError
        Where an object's prompts lie in more than one plane, or outside the volume.
    VolumeError
        Where a mask that is a prompt cannot be read, or lies on another grid.
    Cancelled
        When asked to.
    """
    from napari_sss.engine.prompts.promptfile import check_prompts
    from napari_sss.engine.volumes.intensity import window_for

    check_prompts(prompts, volume.grid.shape)
    for object_ in prompts.objects:
        _plane_of(object_)
    if stacks is None:
        stacks = Stacks(volume, window or window_for(volume), model)
    stacks.labels.update(labels or {})
    stacks.read_masks(prompts)
    emit, control = on_event or (lambda event: None), control or JobControl()
    emit(ObjectsFound(prompts.objects))
    done: list[SegmentedObject] = []
    for number, object_ in enumerate(prompts.objects):
        control.report("masks", number, len(prompts.objects))
        found = segment_object(
            stacks, object_, propagate=propagate, emit=emit, check=control.check
        )
        emit(ObjectDone(object_.id, found.confidence, "sam2", found.region))
        done.append(SegmentedObject(object_, found.region, found.confidence, sam2=found.region))
    control.report("masks", len(prompts.objects), len(prompts.objects))
    names = dict.fromkeys(o.class_name for o in prompts.objects)
    return Segmentation(volume.grid, tuple(done), {name: k + 1 for k, name in enumerate(names)})


class Stacks:
    """A volume's slices in each plane that is asked for, made once and shared by objects.

    Parameters
    ----------
    volume, window, model
        See :class:`SliceStack`.
    store : CacheEntry, optional
        Where encoded slices are kept from one session to the next.

    Attributes
    ----------
    tell : callable
        See :class:`SliceStack`.
    """

    def __init__(
        self,
        volume: Volume,
        window: IntensityWindow,
        model: Sam2Model,
        store: CacheEntry | None = None,
    ) -> None:
        self.volume = volume
        self.window = window
        self.model = model
        self.tell: Callable[[str], None] = lambda text: None
        self._store = store
        self._stacks: dict[Plane, SliceStack] = {}
        self.labels: dict[Path, NDArray[Any]] = {}

    def of(self, plane: Plane) -> SliceStack:
        """The stack of this plane."""
        if plane not in self._stacks:
            self._stacks[plane] = SliceStack(
                self.volume, self.window, self.model, plane, self.labels, self._store
            )
            self._stacks[plane].tell = lambda text: self.tell(text)
        return self._stacks[plane]

    def keep_in(self, store: CacheEntry) -> None:
        """Keep encoded slices from one session to the next, those made so far included."""
        self._store = store
        for stack in self._stacks.values():
            stack.keep_in(store)

    def read_masks(self, prompts: PromptSet) -> None:
        """Read the label files that prompts name, each once, on the volume's grid.

        Raises
        ------
        VolumeError
            Where one cannot be read, or lies on another grid.
        """
        from napari_sss.engine.volumes.writing import read_labels

        for path in {p.mask for o in prompts.objects for p in o.prompts if p.mask}:
            if path not in self.labels:
                self.labels[path] = read_labels(path, self.volume.grid)


def segment_object(
    stacks: Stacks,
    prompts: ObjectPrompts,
    *,
    propagate: bool = True,
    limits: tuple[int, int] | None = None,
    guide: Region | None = None,
    emit: OnEvent = lambda event: None,
    check: Callable[[], None] = lambda: None,
) -> TrackedMask:
    """One object's mask.

    Parameters
    ----------
    stacks : Stacks
        The volume's slices.
    prompts : ObjectPrompts
        All in one plane; the first is the surest.
    propagate : bool
        Through the stack, or only the prompted slices.
    limits : (int, int), optional
        First and last slice that tracking may reach, inclusive.
    guide : Region, optional
        A coarse mask of the object; the crop holds it, and where tracking and it part ways
        its box is a prompt.
    emit, check
        See :func:`segment_prompts`.
    """
    plane = _plane_of(prompts)
    stack = stacks.of(plane)
    answers: list[SliceAnswer] = []

    def take(answer: SliceAnswer) -> None:
        answers.append(answer)
        emit(SliceMask(prompts.id, answer.index, plane, answer.offset, answer.mask, answer.iou))

    check()
    prompted = decode_prompts(stack, prompts.prompts, room=_room(guide, plane))
    for slice_ in prompted.slices.values():
        take(slice_.answer)
    for answer in (
        track(
            stack,
            prompted,
            limits=limits,
            guide=None if guide is None else Guide(guide, plane),
            check=check,
        )
        if propagate
        else correct_alone(stack, prompted)
    ):
        take(answer)
    region = _region(answers, plane, stacks.volume.grid.shape)
    return TrackedMask(region, float(np.mean([a.iou for a in answers])))


def _room(guide: Region | None, plane: Plane) -> Box | None:
    """The box that holds a coarse mask on all of its slices."""
    if guide is None or not guide.voxels:
        return None
    return mask_box(
        np.asarray(guide.mask.any(axis=plane.axis)),
        (guide.offset[plane.row_axis], guide.offset[plane.column_axis]),
    )


def _plane_of(prompts: ObjectPrompts) -> Plane:
    planes = {p.plane for p in prompts.prompts}
    if not planes:
        raise PromptError(f"Object {prompts.id} has no prompts.", "Give it one, or remove it.")
    if len(planes) > 1:
        raise PromptError(
            f"Object {prompts.id} has prompts in {len(planes)} planes.",
            "Give an object prompts in one plane; another plane needs an object of its own.",
        )
    return planes.pop()


def _region(
    answers: Sequence[SliceAnswer], plane: Plane, shape: tuple[int, int, int]
) -> Region:
    """The voxels of all answers together."""
    first = min(a.index for a in answers)
    last = max(a.index for a in answers)
    top, left = (min(a.offset[k] for a in answers) for k in (0, 1))
    bottom, right = (max(a.offset[k] + a.probability.shape[k] for a in answers) for k in (0, 1))
    stacked = np.zeros((last - first + 1, bottom - top, right - left), dtype=bool)
    for answer in answers:
        row, column = answer.offset[0] - top, answer.offset[1] - left
        height, width = answer.probability.shape
        stacked[answer.index - first, row : row + height, column : column + width] = answer.mask
    axes = (plane.axis, plane.row_axis, plane.column_axis)
    offset = [0, 0, 0]
    for axis, start in zip(axes, (first, top, left), strict=True):
        offset[axis] = start
    in_order = stacked.transpose(tuple(int(k) for k in np.argsort(axes)))
    return Region.of(in_order, tuple(offset))  # type: ignore[arg-type]

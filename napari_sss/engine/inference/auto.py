"""Auto-prompt: candidates, PCSW, prompts and masks of a whole volume, with no one clicking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_sss.engine.errors import ConfigError, ModelError
from napari_sss.engine.inference.result import (
    Event,
    MaskOrigin,
    ObjectDone,
    ObjectsFound,
    Segmentation,
    SegmentedObject,
    SliceMask,
)
from napari_sss.engine.inference.segment import OnEvent, Stacks, segment_object
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.models.sss.trained import TrainedModel
from napari_sss.engine.prompts.candidates import Candidate
from napari_sss.engine.prompts.pcsw import FoundObject, PcswConfig, pcsw
from napari_sss.engine.prompts.presets import TissuePreset, tissue_preset
from napari_sss.engine.prompts.reframing import object_to_source, region_to_source
from napari_sss.engine.volumes.grid import AxisView
from napari_sss.engine.volumes.intensity import IntensityWindow, window_for
from napari_sss.engine.volumes.volume import Volume

SourceName = Literal["intensity", "everything", "model"]
CoarseMasks = Mapping[str, NDArray[Any] | Sequence[Candidate]]

TRACKING_MARGIN_MM = 12.0  # how far beyond its candidate an object may be followed


class AutoOptions(BaseModel):
    """What to look for, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: SourceName = Field(
        "intensity",
        title="Prompts from",
        description=(
            "intensity: a tissue preset. everything: SAM-2's grid of points, linked across "
            "slices. model: the semantic head of a trained model."
        ),
    )
    preset: str | None = Field(
        None,
        title="Tissue",
        description="Tissue preset, or several with commas; for the intensity source.",
    )
    window: str | None = Field(
        None,
        title="Window",
        description="Intensity window by name; by default the preset's or the volume's own.",
    )
    class_name: str | None = Field(
        None, title="Class", description="Name for what is found; by default the preset's."
    )
    propagate: bool = Field(
        True, title="Propagate", description="Follow each object through the stack."
    )
    first_index: int | None = Field(
        None,
        title="First slice",
        description="Objects near this slice, along axis 0 of the array, come first.",
    )
    pcsw: PcswConfig | None = Field(
        None, title="PCSW", description="By default the preset's constraints, all objects."
    )


@dataclass(frozen=True)
class _Found:
    """An object that PCSW found, with the candidate source's wish for its final mask.

    What the search for everything finds is SAM-2's already, slice by slice, and on the
    phantom following it with the memory has made it worse: it is not ``followed``.
    """

    object: FoundObject
    keep: MaskOrigin
    followed: bool = True


def auto_segment(
    volume: Volume,
    model: Sam2Model,
    options: AutoOptions,
    *,
    window: IntensityWindow | None = None,
    trained: TrainedModel | None = None,
    on_event: OnEvent | None = None,
    control: JobControl | None = None,
) -> Segmentation:
    """Find objects, prompt them and segment them.

    Parameters
    ----------
    volume : Volume
        The scan, in any axis order; results are in the same order.
    model : Sam2Model
        Does the work.
    options : AutoOptions
        What to look for.
    window : IntensityWindow, optional
        Used instead of the one that the options name, for instance the viewer's.
    trained : TrainedModel, optional
        Whose semantic head finds candidates, where they are to come from a model.
    on_event : callable, optional
        Receives each event as it happens, in this thread.
    control : JobControl, optional
        For progress and cancelling.

    Raises
    ------
    ConfigError
        An option is missing or unknown.
    ModelError
        Candidates are to come from a model, and none with a semantic head is given.
    Cancelled
        When asked to.
    """
    control, emit = control or JobControl(), on_event or (lambda event: None)
    frame = _WorkingFrame(volume)
    presets = _presets(options)
    preset_window = presets[0].window if presets else None
    grey = window or window_for(frame.volume, options.window or preset_window)
    stacks = Stacks(frame.volume, grey, model)
    control.report("candidates", 0)
    found = _found(stacks, options, presets, trained, control)
    found.sort(key=lambda f: _distance(f, frame, options.first_index))
    emit(ObjectsFound(tuple(frame.prompts_out(f.object) for f in found)))
    done: list[SegmentedObject] = []
    for number, candidate in enumerate(found):
        control.report("masks", number, len(found))
        segmented = _segment(stacks, candidate, frame, options, emit, control)
        emit(
            ObjectDone(
                segmented.prompts.id, segmented.confidence, segmented.origin, segmented.region
            )
        )
        done.append(segmented)
    control.report("masks", len(found), len(found))
    # A class of which nothing was found keeps its id, so that cases can be compared.
    looked_for = {options.class_name or preset.class_name for preset in presets}
    names = sorted(looked_for | {o.prompts.class_name for o in done})
    class_ids = {name: k + 1 for k, name in enumerate(names)}
    if trained is not None and options.source == "model":
        class_ids = dict(trained.facts.classes)
    return Segmentation(volume.grid, tuple(done), class_ids)


class _WorkingFrame:
    """The volume in canonical axes, where the work is done, and the way back."""

    def __init__(self, volume: Volume) -> None:
        self.source = volume
        self.view: AxisView = volume.grid.canonical_view()
        self.volume = volume.viewed(self.view)

    def prompts_out(self, found: FoundObject) -> Any:
        return object_to_source(found.prompts, self.view, self.source.grid.shape)

    def region_out(self, region: Any) -> Any:
        return region_to_source(region, self.view, self.source.grid.shape)

    def event_out(self, event: Event) -> Event:
        """A slice's mask, where the caller's array has it."""
        if not isinstance(event, SliceMask) or self.view == AxisView():
            return event
        from napari_sss.engine.inference.events import slice_to_source

        return slice_to_source(event, self.view, self.source.grid.shape)


def _presets(options: AutoOptions) -> tuple[TissuePreset, ...]:
    """The tissues to look for; none where intensities are not the source."""
    if options.source != "intensity":
        return ()
    if not options.preset:
        raise ConfigError(
            "The intensity source needs a tissue preset.",
            "Choose one of those that `napari-sss presets` lists.",
        )
    return tuple(tissue_preset(name.strip()) for name in options.preset.split(","))


def _found(
    stacks: Stacks,
    options: AutoOptions,
    presets: tuple[TissuePreset, ...],
    trained: TrainedModel | None,
    control: JobControl,
) -> list[_Found]:
    """What PCSW makes of each source's candidates, objects numbered through."""
    found: list[_Found] = []
    coarse: CoarseMasks
    for preset in presets:
        from napari_sss.engine.prompts.intensity_source import IntensitySource

        config = options.pcsw or PcswConfig(constraints=preset.constraints)
        coarse = IntensitySource(preset).candidates(stacks.volume, control)
        found += _prompted(stacks, coarse, options, config, preset.keep, len(found), control)
    if options.source == "everything":
        from napari_sss.engine.inference.everything import EverythingSource

        config = options.pcsw or PcswConfig()
        coarse = EverythingSource(stacks).candidates(stacks.volume, control)
        objects = _prompted(stacks, coarse, options, config, "candidate", len(found), control)
        found += [replace(o, followed=False) for o in objects]
    if options.source == "model":
        config = options.pcsw or PcswConfig()
        coarse = _head_candidates(stacks, trained, control)
        found += _prompted(stacks, coarse, options, config, "candidate", len(found), control)
    return found


def _head_candidates(
    stacks: Stacks, trained: TrainedModel | None, control: JobControl
) -> CoarseMasks:
    """Each class's probabilities from a trained model's head."""
    if trained is None:
        raise ModelError(
            f"The model {stacks.model.name} has no semantic head.",
            "Choose a model that was fine-tuned by SSS, or another source of prompts.",
        )
    from napari_sss.engine.inference.prediction import predict_volume

    predicted = predict_volume(stacks.volume, trained, control=control)
    return dict(zip(trained.facts.classes, predicted.probabilities[1:], strict=True))


def _prompted(
    stacks: Stacks,
    coarse: CoarseMasks,
    options: AutoOptions,
    config: PcswConfig,
    keep: MaskOrigin,
    before: int,
    control: JobControl,
) -> list[_Found]:
    """PCSW for each class of one source; ``before`` objects are numbered already."""
    found: list[_Found] = []
    for name in sorted(coarse):
        control.report("prompts", 0)
        objects = pcsw(
            coarse[name],
            stacks.volume.grid,
            config,
            class_name=options.class_name if options.class_name and len(coarse) == 1 else name,
            intensities=stacks.volume.array,
            first_id=before + len(found) + 1,
            control=control,
        )
        found += [_Found(o, keep) for o in objects]
    return found


def _segment(
    stacks: Stacks,
    found: _Found,
    frame: _WorkingFrame,
    options: AutoOptions,
    emit: OnEvent,
    control: JobControl,
) -> SegmentedObject:
    """SAM-2's mask of one object, beside its candidate."""
    candidate, prompts = found.object.region, found.object.prompts
    limits = None
    if candidate.voxels:
        thickness = stacks.volume.grid.spacing[0]
        margin = max(2, round(TRACKING_MARGIN_MM / thickness))
        first, count = candidate.offset[0], candidate.mask.shape[0]
        limits = (
            max(0, first - margin),
            min(frame.volume.grid.shape[0], first + count + margin) - 1,
        )
    follow = options.propagate and found.followed
    tracked = segment_object(
        stacks,
        prompts,
        propagate=follow,
        limits=limits,
        guide=candidate if candidate.voxels and follow else None,
        emit=lambda event: emit(frame.event_out(event)),
        check=control.check,
    )
    use_candidate = found.keep == "candidate" and options.propagate
    confidence = found.object.confidence if use_candidate else (
        (found.object.confidence * tracked.confidence) ** 0.5
    )  # fmt: skip
    sam2, coarse = frame.region_out(tracked.region), frame.region_out(candidate)
    return SegmentedObject(
        replace(frame.prompts_out(found.object), confidence=confidence),
        coarse if use_candidate else sam2,
        confidence,
        "candidate" if use_candidate else "sam2",
        candidate=coarse,
        # A single slice beside a whole object would compare nothing.
        sam2=None if use_candidate and not follow else sam2,
    )


def _distance(found: _Found, frame: _WorkingFrame, first_index: int | None) -> tuple[int, int]:
    """How many slices an object is from the one on screen; among equals the largest first."""
    voxels = found.object.region.voxels
    if first_index is None or not voxels:
        return 0, -voxels
    region = frame.region_out(found.object.region)
    first, last = region.offset[0], region.offset[0] + region.mask.shape[0] - 1
    return max(first - first_index, first_index - last, 0), -voxels

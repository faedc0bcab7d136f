"""Finding the objects of one case with nobody at the mouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sss.engine.background.job import PoolJob
from napari_sss.engine.background.results import CaseResult, FoundObject, result_key
from napari_sss.engine.errors import ConfigError
from napari_sss.engine.inference.auto import AutoOptions, auto_segment
from napari_sss.engine.inference.prediction import predict_volume
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.models.sss.trained import TrainedModel
from napari_sss.engine.project.records import RunRecord
from napari_sss.engine.prompts.pcsw import PcswConfig, pcsw
from napari_sss.engine.prompts.presets import tissue_preset
from napari_sss.engine.prompts.reframing import object_to_source, region_to_source
from napari_sss.engine.volumes.intensity import IntensityWindow, window_for
from napari_sss.engine.volumes.volume import Volume

DOUBTFUL = 0.55
"""Confidence below which an object must at least be large to be suggested."""

SMALL = 0.1
"""Of the voxels of the largest object of the class."""


@dataclass(frozen=True)
class Labeller:
    """A model and the way it is used.

    Parameters
    ----------
    model : Sam2Model
        Follows what a tissue preset finds.
    trained : TrainedModel, optional
        Finds objects of its classes by itself.
    job : PoolJob
        Preset and window.
    """

    model: Sam2Model
    trained: TrainedModel | None
    job: PoolJob

    def __post_init__(self) -> None:
        if self.trained is None and not self.job.preset:
            raise ConfigError(
                f"The model {self.job.model_name or self.model.name} knows no classes.",
                "Choose a tissue preset, or activate a model that was fine-tuned.",
            )

    @property
    def key(self) -> str:
        """Tells this model and this way of using it from others."""
        semantic = "" if self.trained is None else self.trained.facts.semantic_sha256
        return result_key(
            sha256=self.model.sha256,
            semantic=semantic,
            image_size=self.model.image_size,
            preset=None if self.trained is not None else self.job.preset,
            window=None if self.trained is not None else self.job.window,
        )

    def label(self, volume: Volume, control: JobControl | None = None) -> CaseResult:
        """Find objects in a scan.

        Parameters
        ----------
        volume : Volume
            In any axis order.
        control : JobControl, optional
            May cancel between slices.

        Raises
        ------
        ConfigError
            The window is in HU and the scan is an MR, or there is no such preset.
        """
        control = control or JobControl()
        window = window_for(volume, self._window_name())
        if self.trained is not None:
            objects = _of_head(volume, self.trained, control)
            return CaseResult(objects, self._run(window, {"source": "model"}))
        options = AutoOptions(source="intensity", preset=self.job.preset)
        found = auto_segment(volume, self.model, options, window=window, control=control)
        objects = tuple(
            FoundObject(o.prompts, o.region, o.confidence)
            for o in found.objects
            if o.region.voxels
        )
        settings = options.model_dump(mode="json", exclude_none=True)
        return CaseResult(objects, self._run(window, settings))

    def _window_name(self) -> str | None:
        if self.trained is not None:
            return self.trained.facts.window  # what it was trained with, whatever is shown
        if self.job.window is not None:
            return self.job.window
        return tissue_preset(str(self.job.preset).partition(",")[0].strip()).window

    def _run(self, window: IntensityWindow, settings: dict[str, Any]) -> RunRecord:
        name = self.job.model_name or Path(self.model.name).name
        return RunRecord(
            name,
            self.model.sha256,
            self.model.image_size,
            window.to_dict(),
            settings | {"prelabel": self.key},
        )


def _of_head(
    volume: Volume, trained: TrainedModel, control: JobControl
) -> tuple[FoundObject, ...]:
    """The objects that PCSW makes of a trained head's probabilities, with the head's masks.

    Auto-prompt keeps these masks too; it draws SAM-2's beside them for comparison, which
    nobody looks at here and which would take most of the time.
    """
    view, shape = volume.grid.canonical_view(), volume.grid.shape
    seen = volume.viewed(view)
    predicted = predict_volume(seen, trained, control=control)
    objects: list[FoundObject] = []
    for name, coarse in zip(trained.facts.classes, predicted.probabilities[1:], strict=True):
        control.check()
        for one in pcsw(
            coarse,
            seen.grid,
            PcswConfig(),
            class_name=name,
            intensities=seen.array,
            first_id=len(objects) + 1,
            control=control,
        ):
            prompts = object_to_source(one.prompts, view, shape)
            region = region_to_source(one.region, view, shape)
            objects.append(FoundObject(prompts, region, one.confidence))
    return without_specks(objects)


def without_specks(objects: Sequence[FoundObject]) -> tuple[FoundObject, ...]:
    """The objects that are worth a person's look.

    A young model leaves dozens of specks of which it is hardly surer than of a coin. What is
    small beside the largest object of its class is left out then; a small one that the model
    is sure of, a lesion for instance, stays.
    """
    largest: dict[str, int] = {}
    for found in objects:
        name = found.prompts.class_name
        largest[name] = max(largest.get(name, 0), found.region.voxels)
    return tuple(
        found
        for found in objects
        if found.region.voxels
        and (
            found.confidence >= DOUBTFUL
            or found.region.voxels >= SMALL * largest[found.prompts.class_name]
        )
    )

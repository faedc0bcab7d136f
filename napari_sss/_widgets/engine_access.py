"""What the viewer asks of the engine, and the engine as it answers.

The protocol is what controllers know; tests give a small one of their own. The real one
imports torch, inside its methods: they are called in the worker only, so that neither
starting napari nor opening the panel waits for it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.inference.result import Event, Segmentation, SliceMask
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.types import Plane, PromptSet, SlicePrompt
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Source, Volume

if TYPE_CHECKING:
    from napari_sss._widgets.answering import OpenVolume
    from napari_sss.engine.inference.interactive import Interactive
    from napari_sss.engine.inference.segment import Stacks
    from napari_sss.engine.models.sss.trained import TrainedModel
    from napari_sss.engine.reports.sidecar import ModelIdentity

OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class AutoRequest:
    """What Auto-prompt is asked to look for.

    Parameters
    ----------
    source : {"intensity", "everything", "model"}
        Where candidate masks come from.
    preset : str, optional
        The tissue preset of ``"intensity"``.
    window : IntensityWindow, optional
        How intensities become grey values; None lets the engine decide.
    class_name : str, optional
        What the objects are called; None leaves it to the preset.
    first_index : int, optional
        The slice that is shown first, along axis 0.
    trained : Path, optional
        The folder of the trained model that ``"model"`` asks.
    """

    source: str
    preset: str | None = None
    window: IntensityWindow | None = None
    class_name: str | None = None
    first_index: int | None = None
    trained: Path | None = None


class Engine(Protocol):
    """The engine's calls as the panel uses them; all of them run in the worker."""

    def read_frame(self, source: Source, frame: int) -> Any:
        """Read another frame of a 4-D file, as layer data."""

    def load_model(self, name: str, control: JobControl) -> Any:
        """Load a model by name or path."""

    def describe(self, model: Any) -> str:
        """Say where a model computes, in a few words."""

    def identify(self, model: Any) -> ModelIdentity:
        """Say which weights a model has."""

    def auto_segment(
        self,
        volume: Volume,
        model: Any,
        request: AutoRequest,
        on_event: OnEvent,
        control: JobControl,
    ) -> Segmentation:
        """Find, prompt and segment the objects of a volume."""

    def segment_prompts(
        self,
        volume: Volume,
        prompts: PromptSet,
        model: Any,
        window: IntensityWindow | None,
        on_event: OnEvent,
        control: JobControl,
        *,
        propagate: bool = True,
        labels: Mapping[Path, NDArray[Any]] | None = None,
    ) -> Segmentation:
        """Segment what the prompts say, both ways through the stack or on their slices.

        ``labels`` are (Z, Y, X) arrays in place of the files that prompts name as masks.
        """

    def open_volume(
        self,
        volume: Volume,
        model: Any,
        window: IntensityWindow,
        tell: Callable[[str], None],
    ) -> OpenVolume:
        """Open a volume for quick answers; ``tell`` takes what the person should know."""


class TorchEngine:
    """The engine itself.

    Parameters
    ----------
    keep_features : bool
        Keep encoded slices on disk, in the user's cache, from one session to the next.
    """

    def __init__(self, keep_features: bool = True) -> None:
        self._keep_features = keep_features
        self._open: _OpenVolume | None = None
        self._trained: tuple[Path, TrainedModel] | None = None

    def read_frame(self, source: Source, frame: int) -> Any:
        """Read another frame of a 4-D file, as layer data; its name tells the frame."""
        from napari_sss._layers.conversion import layer_data_for
        from napari_sss.engine.volumes.reading import read_volume

        assert source.path is not None
        volume = read_volume(source.path, series_uid=source.series_uid, frame=frame)
        data, keywords, kind = layer_data_for(volume)
        return data, {**keywords, "name": f"{keywords['name']} frame {frame}"}, kind

    def load_model(self, name: str, control: JobControl) -> Any:
        """Load a model; an official one is downloaded first where it is not there yet."""
        from napari_sss.engine.models.environment import prepare_for_torch

        control.report("starting PyTorch", 0)
        prepare_for_torch()
        # napari's layers will need it: imported here, it does not hold the window up.
        import scipy.linalg  # noqa: F401

        from napari_sss.engine.models.devices import set_threads
        from napari_sss.engine.models.download import download_model
        from napari_sss.engine.models.loading import load_model
        from napari_sss.engine.models.registry import entry, model_names

        set_threads(beside_gui=True)
        if name in model_names():
            download_model(entry(name), control)
        control.report("loading the model", 0)
        model = load_model(name)
        # PyTorch brings a million objects that live for ever. Looking through them all takes
        # Python's collector a third of a second, in whichever thread it happens to start.
        gc.freeze()
        return model

    def describe(self, model: Any) -> str:
        """Say where a model computes, for instance ``"CPU · 1 thread · bf16"``."""
        from napari_sss.engine.models.devices import describe

        return describe(model.device, model.precision)

    def identify(self, model: Any) -> ModelIdentity:
        """Say which weights a model has."""
        from napari_sss.engine.reports.sidecar import ModelIdentity

        return ModelIdentity.of(model)

    def auto_segment(
        self,
        volume: Volume,
        model: Any,
        request: AutoRequest,
        on_event: OnEvent,
        control: JobControl,
    ) -> Segmentation:
        """Find, prompt and segment the objects of a volume."""
        from napari_sss.engine.inference.auto import AutoOptions, auto_segment

        options = AutoOptions(
            source=request.source,
            preset=request.preset,
            class_name=request.class_name,
            first_index=request.first_index,
        )
        return auto_segment(
            _in_memory(volume),
            model,
            options,
            window=request.window,
            trained=self._knowing(request, control),
            on_event=on_event,
            control=control,
        )

    def _knowing(self, request: AutoRequest, control: JobControl) -> TrainedModel | None:
        """The trained model that is asked, loaded once; None where none is."""
        if request.source != "model" or request.trained is None:
            return None
        if self._trained is None or self._trained[0] != request.trained:
            from napari_sss.engine.models.sss.trained import load_trained

            control.report("loading the trained model", 0)
            self._trained = None  # before the next one takes its memory
            self._trained = (request.trained, load_trained(request.trained))
        return self._trained[1]

    def segment_prompts(
        self,
        volume: Volume,
        prompts: PromptSet,
        model: Any,
        window: IntensityWindow | None,
        on_event: OnEvent,
        control: JobControl,
        *,
        propagate: bool = True,
        labels: Mapping[Path, NDArray[Any]] | None = None,
    ) -> Segmentation:
        """Segment what the prompts say, both ways through the stack or on their slices.

        ``labels`` are (Z, Y, X) arrays in place of the files that prompts name as masks.
        """
        from napari_sss.engine.inference.segment import segment_prompts

        return segment_prompts(
            _in_memory(volume),
            prompts,
            model,
            window=window,
            propagate=propagate,
            labels=labels,
            on_event=on_event,
            control=control,
            stacks=self._encoded(volume, model, window),
        )

    def open_volume(
        self,
        volume: Volume,
        model: Any,
        window: IntensityWindow,
        tell: Callable[[str], None],
    ) -> OpenVolume:
        """Open a volume for quick answers; ``tell`` takes what the person should know."""
        from napari_sss.engine.inference.feature_cache import FeatureCache
        from napari_sss.engine.inference.interactive import Interactive
        from napari_sss.engine.inference.segment import Stacks

        former, self._open = self._open, None
        same = former is not None and former.volume.array is volume.array
        content = former.interactive.content if former is not None and same else ""
        del former  # its features go before those of the next one come
        stacks = Stacks(_in_memory(volume), window, model)
        stacks.tell = tell
        cache = FeatureCache() if self._keep_features else None
        self._open = _OpenVolume(volume, Interactive(stacks, cache, content))
        return self._open

    def _encoded(
        self, volume: Volume, model: Any, window: IntensityWindow | None
    ) -> Stacks | None:
        """What was encoded of this very volume while it was worked on."""
        if self._open is None or self._open.volume.array is not volume.array:
            return None
        stacks = self._open.interactive.stacks
        same = stacks.model is model and stacks.window == window
        return stacks if same and stacks.volume.grid == volume.grid else None


@dataclass(frozen=True)
class _OpenVolume:
    """A volume that is worked on; ``volume`` as the viewer has it."""

    volume: Volume
    interactive: Interactive

    def answers(
        self,
        object_id: int,
        prompt: SlicePrompt,
        current: NDArray[np.bool_] | None,
        labels: Mapping[Path, NDArray[Any]],
        control: JobControl,
    ) -> Iterator[tuple[SliceMask, bool]]:
        """Masks of the prompted slice, the best last; each with whether it is provisional."""
        self.interactive.stacks.labels.update(labels)
        for quick in self.interactive.answers(prompt, current, control.check):
            answer = quick.answer
            mask = SliceMask(
                object_id, answer.index, prompt.plane, answer.offset, answer.mask, answer.iou
            )
            yield mask, quick.provisional

    def step(self, plane: Plane, index: int, control: JobControl) -> bool:
        """Encode a little around a slice; return whether there is more to do."""
        self.interactive.look_at(plane, index)
        return self.interactive.step(control)


def _in_memory(volume: Volume) -> Volume:
    """Return the volume with a numpy array, whatever lazy array a layer held."""
    return replace(volume, array=np.asarray(volume.array))

"""Work as users start it: Auto-prompt, training, and volumes that were open before."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _measure import Timing, measure
from _suite import Found, Scale, entry

from napari_sss.engine.models.devices import set_threads
from napari_sss.engine.models.loading import load_model


@entry("auto-prompt", "First prompts, first mask and all masks of Auto-prompt on the phantom")
def auto_prompt(scale: Scale) -> Found:
    from napari_sss.engine.inference.auto import AutoOptions, auto_segment
    from napari_sss.engine.inference.result import Event, ObjectsFound, SliceMask
    from napari_sss.engine.volumes.phantom import make_phantom

    set_threads()
    model = load_model("embedded")
    volume = make_phantom(seed=0).volume
    first: dict[str, list[float]] = {"first prompts": [], "first mask": [], "everything": []}
    objects = 0
    for _ in range(1 if scale == "quick" else 2):
        seen: dict[type, float] = {}
        began = time.perf_counter()

        def hear(event: Event, seen: dict[type, float] = seen, began: float = began) -> None:
            seen.setdefault(type(event), time.perf_counter() - began)

        result = auto_segment(
            volume, model, AutoOptions(preset="kidney-contrast"), on_event=hear
        )
        objects = len(result.objects)
        first["everything"].append(time.perf_counter() - began)
        first["first prompts"].append(seen[ObjectsFound])
        first["first mask"].append(seen[SliceMask])
    found = Found(facts={"shape": volume.array.shape, "objects": objects, "preset": "kidneys"})
    for name, seconds in first.items():
        found.time(name, Timing(tuple(seconds)), unit="s")
    return found


@entry("training-step", "A training step by strategy and mode, and the share of its data")
def training_step(scale: Scale) -> Found:
    from napari_sss.engine.training.config import configured
    from napari_sss.engine.training.data.cases import find_cases
    from napari_sss.engine.training.loop import train

    set_threads()
    strategies = ("supervised", "sss") if scale == "quick" else (
        "supervised", "fixmatch", "mean-teacher", "cps", "bcp", "unimatch-v2", "sss"
    )  # fmt: skip
    chosen = [(strategy, "lora") for strategy in strategies]
    if scale == "full":
        chosen += [("sss", "features"), ("sss", "full")]
    counted = 3 if scale == "quick" else 5
    found = Found(facts={"batch": 2, "image_size": 192, "counted_steps": counted})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(4):
            _write_case(folder, f"case{number}", number, labelled=number < 2)
        cases = find_cases(folder / "images", folder / "labels")
        for strategy, mode in chosen:
            config = configured(
                {
                    "strategy": strategy, "mode": mode, "batch": 2, "unlabelled_batch": 2,
                    "steps": counted + 2, "log_every": 1, "image_size": 192,
                    "validate_every": 1000, "checkpoint_every": 1000, "device": "auto",
                }
            )  # fmt: skip
            with _watched() as watch:
                train(config, cases, folder / f"{strategy}-{mode}")
            steps, data = (Timing(tuple(s[2:])) for s in watch)
            found.time(f"{strategy}, {mode}", steps)
            share = sum(data.seconds) / (sum(steps.seconds) + sum(data.seconds))
            found.value(f"share of the data, {strategy}, {mode}", 100 * share, "%")
    return found


class _watched:  # noqa: N801 - used as a function
    """Times the trainer's own two parts of a step, over all steps of a training."""

    def __enter__(self) -> tuple[list[float], list[float]]:
        from napari_sss.engine.training import loop

        self._trainer: Any = loop.Trainer
        self._former = (self._trainer._learn, self._trainer._batch)
        steps: list[float] = []
        data: list[float] = []

        def timed(function: Any, into: list[float]) -> Any:
            def run(*arguments: Any) -> Any:
                began = time.perf_counter()
                result = function(*arguments)
                into.append(time.perf_counter() - began)
                return result

            return run

        self._trainer._learn = timed(self._former[0], steps)
        self._trainer._batch = timed(self._former[1], data)
        return steps, data

    def __exit__(self, *_: object) -> None:
        self._trainer._learn, self._trainer._batch = self._former


def _write_case(folder: Path, name: str, seed: int, *, labelled: bool) -> None:
    """A generated abdomen of few slices, with three organs labelled in some."""
    from napari_sss.engine.volumes.phantom import make_phantom
    from napari_sss.engine.volumes.writing import write_labels, write_volume

    phantom = make_phantom((16, 96, 96), seed=seed)
    labels = np.where(np.isin(phantom.labels, (1, 2, 5)), phantom.labels, 0).astype(np.uint8)
    (folder / "images").mkdir(exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    write_volume(phantom.volume, folder / "images" / f"{name}.nii.gz")
    if labelled:
        write_labels(labels, phantom.volume.grid, folder / "labels" / f"{name}.nii.gz")


@entry("feature-cache", "A slice from the disk's cache beside encoding it; what it takes")
def feature_cache(scale: Scale) -> Found:
    from napari_sss.engine.inference.crops import CropFrame
    from napari_sss.engine.inference.feature_cache import FeatureCache, content_hash
    from napari_sss.engine.inference.slices import SliceStack
    from napari_sss.engine.prompts.types import Plane
    from napari_sss.engine.volumes.intensity import window_for
    from napari_sss.engine.volumes.phantom import make_phantom

    torch.set_num_threads(1)
    model = load_model("embedded")
    volume = make_phantom((16, 192, 192), seed=0).volume
    window = window_for(volume)
    frame = CropFrame.whole(volume.array.shape[1:], volume.grid.spacing[1:])
    slices = range(len(volume.array))
    with tempfile.TemporaryDirectory() as name:
        content = content_hash(volume)
        kept = FeatureCache(Path(name)).entry(content, model, window)
        features = SliceStack(volume, window, model).features(0, frame)
        for index in slices:
            kept.put(Plane.AXIAL, index, frame, len(slices), features)
        again = FeatureCache(Path(name)).entry(content, model, window)
        turn = iter(range(10**9))

        def read() -> object:
            found = again.get(Plane.AXIAL, next(turn) % len(slices), frame, model.device)
            assert found is not None
            return found

        timings = measure(
            {
                "read from disk": read,
                "encoded": lambda: SliceStack(volume, window, model).features(0, frame),
            },
            rounds=9 if scale == "quick" else 25,
        )
        size = sum(f.stat().st_size for f in Path(name).rglob("*") if f.is_file())
    found = Found()
    for label, timing in timings.items():
        found.time(label, timing)
    found.value("on disk", size / len(slices) / 1e6, "MB", note="a slice")
    found.ratio("read against encoded", timings["read from disk"], timings["encoded"])
    return found

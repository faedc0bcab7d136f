"""The probe: a few real steps with the real data and settings, in a process of their own."""

from __future__ import annotations

import time
from pathlib import Path

from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.devices import describe, set_threads
from napari_sss.engine.runs.estimate import Probe, write_probe
from napari_sss.engine.runs.machine import memory_mb
from napari_sss.engine.runs.request import read_request
from napari_sss.engine.runs.snapshot import read_snapshot
from napari_sss.engine.training.assembly import Assembled, assemble
from napari_sss.engine.training.data.feature_cache import FeatureCache
from napari_sss.engine.training.data.sampling import StepBatch
from napari_sss.engine.training.data.views import FeatureViews
from napari_sss.engine.training.strategies.base import Moment

WARM_STEPS = 3


def measure(folder: Path, control: JobControl) -> Probe:
    """Measure what a prepared run's steps cost here; the result is written beside it.

    Parameters
    ----------
    folder : Path
        A run's folder with request and snapshot; nothing is trained that stays.
    control : JobControl
        May cancel between steps.
    """
    set_threads()
    config, data = read_request(folder).config, read_snapshot(folder)
    began = time.perf_counter()
    control.report("reading the volumes", 0)
    parts = assemble(config, data.lists)
    setup = time.perf_counter() - began
    control.report("measuring", 0, WARM_STEPS + 3)
    # The first step pays for what is made once: threads, kernels, the optimiser's moments.
    _step(parts, _batch(parts, config.batch, config.unlabelled_batch))
    control.report("measuring", 1, WARM_STEPS + 3)
    cache = _cache(parts)
    batch = _batch(parts, config.batch, config.unlabelled_batch)
    before = 0 if cache is None else cache.encoded
    cold = _step(parts, batch)
    fresh = 0 if cache is None else cache.encoded - before
    warm = []
    for number in range(WARM_STEPS):
        control.report("measuring", 2 + number, WARM_STEPS + 3)
        warm.append(_step(parts, batch))
    step = sorted(warm)[WARM_STEPS // 2]
    control.report("measuring", WARM_STEPS + 2, WARM_STEPS + 3)
    began = time.perf_counter()
    parts.validator(parts.strategy.inference_model(), control.check)
    validation = time.perf_counter() - began
    runtime = parts.runtime
    gpu = runtime.peak_memory_mb() if runtime.device.type == "cuda" else 0.0
    probe = Probe(
        step_seconds=step,
        encode_seconds=max(0.0, cold - step) / fresh if fresh else 0.0,
        setup_seconds=setup,
        validation_seconds=validation,
        slices=_slices(parts),
        batch=config.batch + (config.unlabelled_batch if batch.unlabelled is not None else 0),
        memory_mb=memory_mb(),
        gpu_mb=gpu,
        slice_mb=0.0 if cache is None else cache.slice_megabytes,
        cache_mb=float(config.feature_cache_mb) if cache is not None else 0.0,
        mode=parts.mode,
        device=describe(runtime.device),
    )
    write_probe(probe, folder)
    return probe


def _batch(parts: Assembled, labelled: int, unlabelled: int) -> StepBatch:
    sampler = parts.sampler
    pool = sampler.unlabelled(unlabelled) if parts.strategy.needs_pool else None
    return StepBatch(sampler.labelled(labelled), pool)


def _step(parts: Assembled, batch: StepBatch) -> float:
    """Seconds of a step in the middle of a training, when everything takes part."""
    began = time.perf_counter()
    parts.strategy.step(batch, Moment(0, 0.5))
    if parts.runtime.device.type == "cuda":
        import torch

        torch.cuda.synchronize(parts.runtime.device)
    return time.perf_counter() - began


def _cache(parts: Assembled) -> FeatureCache | None:
    return parts.views.cache if isinstance(parts.views, FeatureViews) else None


def _slices(parts: Assembled) -> int:
    """Slices to draw from, as the first few cases let expect: not every one was read yet."""
    store = parts.strategy.tools.store
    read = [store.get(number) for number in range(min(3, len(store.cases)))]
    counts = [len(case.grey) for case in read if case is not None]
    return round(len(store.cases) * sum(counts) / max(1, len(counts)))

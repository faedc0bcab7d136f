"""The data side of the training: a process of its own that stays a few batches ahead."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from napari_sss.engine.errors import RunError
from napari_sss.engine.pretraining.clips import Batch, ClipSampler
from napari_sss.engine.pretraining.config import PretrainConfig
from napari_sss.engine.pretraining.scenes import SceneConfig, SceneGenerator

QUEUE_LENGTH = 6
POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Plan:
    """What one step trains on."""

    number: int
    clips: int
    slices: int
    image_size: int


def plan_step(config: PretrainConfig, number: int, progress: float) -> Plan:
    """The plan of step ``number`` when ``progress`` (0 to 1) of the training is done."""
    rng = np.random.default_rng((config.seed, 1, number))
    side = config.image_size(progress)
    if progress >= config.clips_from and rng.random() < config.clip_share:
        slices = config.clip_slices
        return Plan(number, max(1, config.batch // slices), slices, side)
    return Plan(number, config.batch, 1, side)


class BatchStream:
    """Batches from step ``first`` on, in order, made in child processes that take turns.

    Parameters
    ----------
    config : PretrainConfig
        Decides everything together with the step's number.
    first : int
        The first step's number.
    progress : float
        Share of the training that is done, 0 to 1.
    """

    def __init__(self, config: PretrainConfig, first: int = 0, progress: float = 0.0) -> None:
        context = multiprocessing.get_context("spawn")
        self._progress: Any = context.Value("d", progress)
        self._next = first
        self._queues: list[Any] = []
        self._processes: list[Any] = []
        for worker in range(config.workers):
            into = context.Queue(maxsize=QUEUE_LENGTH)
            arguments = (config, first, worker, into, self._progress)
            process = context.Process(target=_produce, args=arguments, daemon=True)
            process.start()
            self._queues.append(into)
            self._processes.append(process)

    def __iter__(self) -> Iterator[tuple[Plan, Batch]]:
        while True:
            worker = self._next % len(self._queues)
            try:
                item = self._queues[worker].get(timeout=POLL_SECONDS)
            except queue.Empty:
                if not self._processes[worker].is_alive():
                    raise RunError(
                        "A process that generates the training images has ended.",
                        "Resume the training; if it ends again, look at its output above.",
                    ) from None
                continue
            if item is None:
                return
            self._next += 1
            plan, grey, target = item
            yield plan, Batch(torch.from_numpy(grey), torch.from_numpy(target))

    def tell_progress(self, progress: float) -> None:
        """Let the plans follow a training whose budget is time."""
        self._progress.value = progress

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
            process.join()
        for waiting in self._queues:
            waiting.close()


def batches(
    config: PretrainConfig, first: int, worker: int = 0, progress: Any = None
) -> Iterator[tuple[Plan, Batch]]:
    """One worker's batches, made in this process; what a child process runs.

    Each worker has scenes of its own, so that none is generated twice.
    """
    generator = SceneGenerator(config.seed, SceneConfig(camouflage=config.camouflage))
    sampler = ClipSampler(generator, config.seed, worker=worker, workers=config.workers)
    number = first + (worker - first) % config.workers
    while config.steps is None or number < config.steps:
        done = number / config.steps if config.steps else float(progress.value)
        plan = plan_step(config, number, done)
        yield plan, sampler.batch(number, plan.clips, plan.slices, plan.image_size)
        number += config.workers


def _produce(config: PretrainConfig, first: int, worker: int, into: Any, progress: Any) -> None:
    torch.set_num_threads(1)
    for plan, batch in batches(config, first, worker, progress):
        # As arrays: tensors would be shared memory, which ends with this process, and it may
        # have made its last batch long before that is wanted.
        if not _handed_over((plan, batch.grey.numpy(), batch.target.numpy()), into):
            return
    _handed_over(None, into)


def _handed_over(item: Any, into: Any) -> bool:
    """Put something into the queue, unless the training was killed: nobody reads it then."""
    while True:
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            into.cancel_join_thread()
            return False
        with contextlib.suppress(queue.Full):
            into.put(item, timeout=POLL_SECONDS)
            return True

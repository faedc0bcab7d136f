"""The data side of the training: a process of its own that stays a few batches ahead."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from napari_sss.engine.errors import SSSError
from napari_sss.engine.pretraining.clips import Batch, ClipSampler
from napari_sss.engine.pretraining.config import PretrainConfig
from napari_sss.engine.pretraining.scenes import SceneGenerator

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
    """Batches from step ``first`` on, made in a child process.

    Parameters
    ----------
    config : PretrainConfig
        Decides everything together with the step's number.
    first : int
        The first step's number.
    """

    def __init__(self, config: PretrainConfig, first: int = 0) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self._queue: Any = context.Queue(maxsize=QUEUE_LENGTH)
        self._progress: Any = context.Value("d", 0.0)
        self._process = context.Process(
            target=_produce, args=(config, first, self._queue, self._progress), daemon=True
        )
        self._process.start()

    def __iter__(self) -> Iterator[tuple[Plan, Batch]]:
        while True:
            try:
                plan, batch = self._queue.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if not self._process.is_alive():
                    raise SSSError(
                        "The process that generates the training images has ended.",
                        "Resume the training; if it ends again, look at its output above.",
                    ) from None
                continue
            yield plan, batch

    def tell_progress(self, progress: float) -> None:
        """Let the plans follow a training whose budget is time."""
        self._progress.value = progress

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()
        self._queue.close()


def batches(
    config: PretrainConfig, first: int, progress: Any = None
) -> Iterator[tuple[Plan, Batch]]:
    """The same batches, made in this process; what the child process runs."""
    sampler = ClipSampler(SceneGenerator(config.seed), config.seed)
    number = first
    while config.steps is None or number < config.steps:
        done = number / config.steps if config.steps else float(progress.value)
        plan = plan_step(config, number, done)
        yield plan, sampler.batch(number, plan.clips, plan.slices, plan.image_size)
        number += 1


def _produce(config: PretrainConfig, first: int, into: Any, progress: Any) -> None:
    torch.set_num_threads(1)
    for item in batches(config, first, progress):
        into.put(item)

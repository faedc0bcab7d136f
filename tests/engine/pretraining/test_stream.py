"""Plans and batches: a pure function of the settings and the step's number."""

from __future__ import annotations

import os
import queue
import threading
from types import SimpleNamespace

import pytest
import torch

from napari_sss.engine.errors import SSSError
from napari_sss.engine.pretraining import stream
from napari_sss.engine.pretraining.config import PretrainConfig
from napari_sss.engine.pretraining.stream import (
    QUEUE_LENGTH,
    BatchStream,
    Plan,
    _handed_over,
    batches,
    plan_step,
)

CONFIG = PretrainConfig(
    steps=8, batch=4, clip_slices=2, clip_share=0.5, clips_from=0.25, sizes=((0, 64), (0.5, 96))
)


def test_a_plan_follows_the_progress():
    assert plan_step(CONFIG, 0, 0.0) == Plan(0, clips=4, slices=1, image_size=64)
    later = [plan_step(CONFIG, k, 0.6) for k in range(200)]
    assert {p.image_size for p in later} == {96}
    # A clip of two slices stands for two images of the batch.
    assert {(p.clips, p.slices) for p in later} == {(4, 1), (2, 2)}
    assert 70 < sum(p.slices == 2 for p in later) < 130  # half of them
    assert later == [plan_step(CONFIG, k, 0.6) for k in range(200)]


@pytest.mark.usefixtures("simple_scenes")
def test_batches_come_in_order_and_end():
    made = list(batches(CONFIG, 0))
    assert [plan.number for plan, _ in made] == list(range(8))
    for plan, batch in made:
        assert batch.grey.shape == (
            plan.clips, plan.slices, plan.image_size, plan.image_size
        )  # fmt: skip


@pytest.mark.usefixtures("simple_scenes")
def test_beginning_later_gives_the_same_batches():
    straight = list(batches(CONFIG, 0))
    for (plan, batch), (other_plan, other) in zip(
        straight[5:], batches(CONFIG, 5), strict=True
    ):
        assert plan == other_plan
        assert torch.equal(batch.grey, other.grey)
        assert torch.equal(batch.target, other.target)


@pytest.mark.usefixtures("simple_scenes")
@pytest.mark.parametrize("first", [0, 3])
def test_workers_take_turns(first):
    config = CONFIG.model_copy(update={"workers": 3})
    for worker in range(3):
        numbers = [plan.number for plan, _ in batches(config, first, worker)]
        assert numbers == [k for k in range(first, 8) if k % 3 == worker]


class Thread(threading.Thread):
    """A thread that looks like the child process it stands for."""

    def terminate(self) -> None:
        """Threads end by themselves: their queues have room for all of a short training."""


@pytest.fixture
def threads(simple_scenes, monkeypatch):
    """Threads instead of child processes, so that scenes cost nothing there either."""
    context = SimpleNamespace(
        Queue=_Queue, Process=Thread, Value=lambda kind, value: SimpleNamespace(value=value)
    )
    monkeypatch.setattr(stream.multiprocessing, "get_context", lambda method: context)


class _Queue(queue.Queue):
    def close(self) -> None:
        """As those between processes have it."""


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("first", [0, 3])
def test_the_batches_of_all_workers_come_in_order(first):
    config = CONFIG.model_copy(update={"workers": 2})
    made = list(BatchStream(config, first))
    assert [plan.number for plan, _ in made] == list(range(first, 8))
    for plan, batch in made:
        _, expected = next(batches(config, plan.number, plan.number % 2))
        assert torch.equal(batch.grey, expected.grey)
        assert torch.equal(batch.target, expected.target)


@pytest.mark.usefixtures("threads")
def test_a_training_by_the_clock_is_planned_from_where_it_is():
    config = PretrainConfig(
        minutes=5, batch=2, clip_share=0.0, sizes=((0.0, 64), (0.5, 96), (0.9, 128))
    )
    resumed = BatchStream(config, first=4, progress=0.6)
    taken = iter(resumed)
    assert next(taken)[0].image_size == 96  # not the size of a training that begins
    resumed.tell_progress(0.95)
    assert 128 in {next(taken)[0].image_size for _ in range(QUEUE_LENGTH + 3)}


@pytest.mark.slow
def test_a_child_process_may_end_before_its_last_batch_is_taken():
    # One image of 64 pixels, so that the pipe holds it: the child need not wait for a reader.
    config = CONFIG.model_copy(update={"steps": 1, "batch": 1})
    with_child = BatchStream(config)
    try:
        with_child._processes[0].join(timeout=300)
        assert with_child._processes[0].exitcode == 0
        made = list(with_child)
    finally:
        with_child.close()
    assert [plan.number for plan, _ in made] == [0]
    assert made[0][1].grey.shape == (1, 1, 64, 64)


def _die(*arguments: object) -> None:
    os._exit(3)


def test_a_child_that_died_is_an_error_not_a_wait(monkeypatch):
    monkeypatch.setattr(stream, "_produce", _die)
    monkeypatch.setattr(stream, "POLL_SECONDS", 0.2)
    orphaned = BatchStream(CONFIG)
    try:
        with pytest.raises(SSSError, match="has ended"):
            next(iter(orphaned))
    finally:
        orphaned.close()


@pytest.mark.parametrize("alive", [True, False])
def test_a_child_does_not_outlive_a_training_that_was_killed(monkeypatch, alive):
    class Full:
        """A queue in which a place is free at the second try, if anybody still reads."""

        tries = 0

        def put(self, item, timeout):
            self.tries += 1
            if self.tries < 2:
                raise queue.Full

        def cancel_join_thread(self):
            pass

    parent = SimpleNamespace(is_alive=lambda: alive)
    monkeypatch.setattr(stream.multiprocessing, "parent_process", lambda: parent)
    into = Full()
    assert _handed_over("batch", into) is alive
    assert into.tries == (2 if alive else 0)

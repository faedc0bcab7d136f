import threading
import time

import pytest

from napari_sss._widgets.worker import Job, Mailbox, Worker
from napari_sss.engine.errors import VolumeError


@pytest.fixture
def mailbox():
    return Mailbox()


@pytest.fixture
def worker(mailbox):
    worker = Worker(mailbox)
    yield worker
    assert worker.close(10)


def settle(worker, mailbox):
    deadline = time.monotonic() + 10
    while worker.busy or not mailbox.empty:
        assert time.monotonic() < deadline
        for report in mailbox.take_progress():
            report()
        while (letter := mailbox.take()) is not None:
            letter()
        time.sleep(0.001)


def test_no_thread_before_the_first_job(worker):
    assert "napari-sss" not in {t.name for t in threading.enumerate()}


def test_jobs_run_in_order_and_callbacks_on_the_readers_thread(worker, mailbox):
    ran, told = [], []

    def work(number):
        ran.append((number, threading.current_thread().name))
        return number

    for number in range(3):
        worker.submit(
            Job(
                "count",
                lambda control, post, n=number: work(n),
                on_done=lambda n: told.append((n, threading.current_thread().name)),
            )
        )
    settle(worker, mailbox)
    assert ran == [(0, "napari-sss"), (1, "napari-sss"), (2, "napari-sss")]
    assert told == [(n, threading.main_thread().name) for n in range(3)]


def test_events_come_before_the_result(worker, mailbox):
    told = []

    def work(control, post):
        post("a")
        post("b")
        return "done"

    worker.submit(Job("events", work, on_event=told.append, on_done=told.append))
    settle(worker, mailbox)
    assert told == ["a", "b", "done"]


def test_only_the_newest_progress_is_kept(worker, mailbox):
    told = []
    gate = threading.Event()

    def work(control, post):
        for k in range(50):
            control.report("step", k, 50)
        gate.wait(10)

    worker.submit(Job("steps", work, on_progress=told.append))
    deadline = time.monotonic() + 10
    while not told and time.monotonic() < deadline:
        time.sleep(0.05)
        for report in mailbox.take_progress():
            report()
    gate.set()
    settle(worker, mailbox)
    assert len(told) <= 2
    assert told[-1].done == 49


@pytest.mark.parametrize(
    "error", [RuntimeError("out of memory"), VolumeError("No.", "Do."), KeyError(1)]
)
def test_any_error_is_handed_over(worker, mailbox, error):
    told = []

    def work(control, post):
        raise error

    worker.submit(Job("fails", work, on_done=told.append, on_failed=told.append))
    worker.submit(Job("next", lambda control, post: "next", on_done=told.append))
    settle(worker, mailbox)
    assert told == [error, "next"]


def test_a_running_job_stops_at_its_next_step(worker, mailbox):
    told = []
    begun = threading.Event()

    def work(control, post):
        while True:
            begun.set()
            control.report("step", 0)
            time.sleep(0.001)

    control = worker.submit(Job("long", work, on_cancelled=lambda: told.append("cancelled")))
    begun.wait(10)
    control.cancel()
    settle(worker, mailbox)
    assert told == ["cancelled"]


def test_a_waiting_job_that_is_cancelled_never_runs(worker, mailbox):
    ran, told = [], []
    gate = threading.Event()
    worker.submit(Job("first", lambda control, post: gate.wait(10)))
    control = worker.submit(
        Job(
            "second",
            lambda control, post: ran.append(1),
            on_cancelled=lambda: told.append("cancelled"),
        )
    )
    control.cancel()
    gate.set()
    settle(worker, mailbox)
    assert ran == []
    assert told == ["cancelled"]


def test_closing_cancels_and_leaves_no_thread(mailbox):
    worker = Worker(mailbox)
    begun = threading.Event()

    def work(control, post):
        while True:
            begun.set()
            control.check()
            time.sleep(0.001)

    worker.submit(Job("long", work))
    worker.submit(Job("waits", work))
    begun.wait(10)
    assert worker.close(10)
    assert "napari-sss" not in {t.name for t in threading.enumerate()}
    with pytest.raises(RuntimeError, match="closed"):
        worker.submit(Job("late", work))

import threading
import time

import pytest

from napari_sss._widgets.worker import IdleWork, Job, Mailbox, Urgency, Worker
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


def test_urgent_messages_are_read_first(mailbox):
    told = []
    mailbox.put(lambda: told.append("slow news"))
    mailbox.put(lambda: told.append("answer 1"), urgent=True)
    mailbox.put(lambda: told.append("answer 2"), urgent=True)
    while (letter := mailbox.take()) is not None:
        letter()
    assert told == ["answer 1", "answer 2", "slow news"]


def test_an_answer_runs_inside_a_running_job(worker, mailbox):
    order = []
    begun, asked = threading.Event(), threading.Event()

    def long(control, post):
        begun.set()
        asked.wait(10)
        control.check()  # the step boundary at which the answer passes
        order.append("long ends")

    worker.submit(Job("long", long))
    begun.wait(10)
    worker.submit(
        Job("answer", lambda control, post: order.append("answer"), urgency=Urgency.ANSWER)
    )
    asked.set()
    settle(worker, mailbox)
    assert order == ["answer", "long ends"]


def test_answers_come_before_waiting_jobs(worker, mailbox):
    ran = []
    gate, begun = threading.Event(), threading.Event()

    def hold(control, post):
        begun.set()
        gate.wait(10)  # no step boundary: nothing can pass inside

    worker.submit(Job("hold", hold))
    begun.wait(10)
    worker.submit(Job("normal", lambda control, post: ran.append("normal")))
    worker.submit(
        Job("answer", lambda control, post: ran.append("answer"), urgency=Urgency.ANSWER)
    )
    gate.set()
    settle(worker, mailbox)
    assert ran == ["answer", "normal"]


def test_an_answer_cancelled_inside_a_job_leaves_the_job_alone(worker, mailbox):
    told = []
    begun, asked = threading.Event(), threading.Event()

    def long(control, post):
        begun.set()
        asked.wait(10)
        control.check()
        return "long"

    worker.submit(Job("long", long, on_done=told.append))
    begun.wait(10)
    answer = worker.submit(
        Job(
            "answer",
            lambda control, post: "never",
            on_done=told.append,
            on_cancelled=lambda: told.append("cancelled"),
            urgency=Urgency.ANSWER,
        )
    )
    answer.cancel()
    asked.set()
    settle(worker, mailbox)
    assert told == ["cancelled", "long"]


def test_the_bell_rings_for_answers_only(worker, mailbox):
    rings = []
    mailbox.bell = lambda: rings.append(threading.current_thread().name)
    worker.submit(Job("normal", lambda control, post: None))
    settle(worker, mailbox)
    assert rings == []
    worker.submit(Job("answer", lambda control, post: None, urgency=Urgency.ANSWER))
    settle(worker, mailbox)
    assert rings == ["napari-sss"]


def test_idle_work_goes_on_until_it_says_that_it_has_ended(worker):
    steps, ended = [], threading.Event()

    def step(control):
        steps.append(len(steps))
        if len(steps) == 3:
            ended.set()
        return len(steps) < 3

    worker.when_idle(IdleWork(step))
    assert ended.wait(10)
    assert not worker.busy
    time.sleep(0.02)
    assert steps == [0, 1, 2]


def test_a_job_drops_the_idle_step_and_idle_work_goes_on_after_it(worker, mailbox):
    order, begun, resumed = [], threading.Event(), threading.Event()

    def step(control):
        if "job" in order:
            resumed.set()
            return False
        begun.set()
        while not control.cancelled:
            time.sleep(0.001)
        order.append("dropped")
        control.check()
        return True

    worker.when_idle(IdleWork(step))
    begun.wait(10)
    worker.submit(Job("job", lambda control, post: order.append("job")))
    settle(worker, mailbox)
    assert order == ["dropped", "job"]
    assert resumed.wait(10)


def test_idle_work_that_fails_is_reported_once_and_not_repeated(worker, mailbox):
    told, calls = [], []

    def step(control):
        calls.append(1)
        raise VolumeError("No.", "Do.")

    rung = threading.Event()
    mailbox.bell = rung.set
    worker.when_idle(IdleWork(step, on_failed=told.append))
    assert rung.wait(10)
    mailbox.take()()
    assert [str(e) for e in told] == ["No. Do."]
    time.sleep(0.02)
    assert calls == [1]


def test_idle_progress_reaches_the_reader(worker, mailbox):
    told, rung = [], threading.Event()

    def step(control):
        control.report("encoding ahead", 7, 7)
        return False

    mailbox.bell = rung.set
    worker.when_idle(IdleWork(step, on_progress=told.append))
    assert rung.wait(10)
    for report in mailbox.take_progress():
        report()
    assert [(p.done, p.total) for p in told] == [(7, 7)]


def test_closing_ends_idle_work(mailbox):
    worker = Worker(mailbox)
    begun = threading.Event()

    def step(control):
        begun.set()
        while True:
            control.check()
            time.sleep(0.001)

    worker.when_idle(IdleWork(step))
    begun.wait(10)
    assert worker.close(10)
    assert "napari-sss" not in {t.name for t in threading.enumerate()}

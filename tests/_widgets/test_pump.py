"""Reading the mailbox: at once when it rings, and never after the end."""

import threading
import time

import pytest

from napari_sss._widgets.pump import MailPump
from napari_sss._widgets.worker import Job, Mailbox, Urgency, Worker


@pytest.fixture
def mailbox():
    return Mailbox()


@pytest.fixture
def worker(mailbox):
    worker = Worker(mailbox)
    yield worker
    assert worker.close(10)


def wait_for(qtbot, condition):
    qtbot.waitUntil(condition, timeout=10_000)


def test_an_answer_is_read_though_nobody_has_woken_the_pump(qtbot, mailbox, worker):
    pump = MailPump(mailbox, worker, lambda: False)
    told = []
    worker.submit(
        Job(
            "answer",
            lambda control, post: threading.current_thread().name,
            on_done=lambda name: told.append((name, threading.current_thread().name)),
            urgency=Urgency.ANSWER,
        )
    )
    wait_for(qtbot, lambda: bool(told))
    assert told == [("napari-sss", threading.main_thread().name)]
    wait_for(qtbot, lambda: not pump.active)
    pump.stop()


def test_what_is_left_over_is_read_later(qtbot, mailbox, worker):
    """A message that takes the whole budget leaves the next one to the timer."""
    pump = MailPump(mailbox, worker, lambda: False)
    told = []
    mailbox.put(lambda: (time.sleep(0.03), told.append("slow")))
    mailbox.put(lambda: told.append("next"))
    mailbox.ring()
    wait_for(qtbot, lambda: len(told) == 1)
    assert told == ["slow"]
    assert pump.active
    wait_for(qtbot, lambda: len(told) == 2)
    pump.stop()


def test_a_stopped_pump_reads_nothing_and_does_not_start_again(qtbot, mailbox, worker):
    pump = MailPump(mailbox, worker, lambda: False)
    told = []
    mailbox.put(lambda: told.append("late"), urgent=True)  # its signal is under way
    pump.stop()
    qtbot.wait(50)
    assert told == []
    assert not pump.active
    mailbox.put(lambda: told.append("later"), urgent=True)
    qtbot.wait(20)
    assert told == []

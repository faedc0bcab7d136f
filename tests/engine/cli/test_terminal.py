from __future__ import annotations

import signal
import threading

import pytest

from napari_sss.engine.cli.terminal import Stopwatch, terminal_job
from napari_sss.engine.errors import Cancelled


def test_each_stage_has_its_bar_on_stderr(capsys):
    with terminal_job() as control:
        for stage in ("prompts", "masks"):
            for done in range(4):
                control.report(stage, done, 3)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "prompts: 100%" in shown.err
    assert "masks: 100%" in shown.err
    assert "3/3" in shown.err


def test_a_stage_may_go_back_and_its_total_may_be_unknown(capsys):
    with terminal_job() as control:
        control.report("download", 10, 100)
        control.report("download", 5, 100)  # a server that starts again
        control.report("waiting", 0)
    assert "download:   5%" in capsys.readouterr().err


def test_ctrl_c_asks_the_job_to_stop_and_a_second_one_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with terminal_job() as control:
        control.check()
        signal.raise_signal(signal.SIGINT)
        assert control.cancelled
        with pytest.raises(Cancelled):
            control.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_are_left_alone_outside_the_main_thread():
    handlers = []

    def work():
        with terminal_job() as control:
            handlers.append(signal.getsignal(signal.SIGINT))
            control.report("masks", 1, 1)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [before]


def test_laps_follow_one_another(monkeypatch):
    times = iter([10.0, 12.5, 13.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    watch = Stopwatch()
    watch.lap("read")
    watch.lap("model")
    assert watch.seconds == {"read": 2.5, "model": 0.5}

"""From a probe to steps and memory."""

from __future__ import annotations

import math

import pytest

from napari_sss.engine.runs.estimate import (
    Probe,
    read_probe,
    validate_every_for,
    write_probe,
)

PROBE = Probe(
    step_seconds=0.5,
    encode_seconds=0.2,
    setup_seconds=3.0,
    validation_seconds=10.0,
    slices=100,
    batch=10,
    memory_mb=800.0,
    gpu_mb=0.0,
    slice_mb=4.0,
    cache_mb=300.0,
)


def test_seconds_by_hand():
    # 20 steps of 10 slices out of 100 see 100 (1 - e^-2) = 86.466 of them; two validations
    # within 20 steps: 20 * 0.5 + 86.466 * 0.2 + 2 * 10.
    assert PROBE.seconds(20, 10) == pytest.approx(47.2933, abs=1e-3)
    assert PROBE.seconds(0, 10) == 0


def test_steps_are_the_most_that_fit():
    steps = PROBE.steps(5, 50)
    assert PROBE.seconds(steps, 50) <= 300 < PROBE.seconds(steps + 1, 50)
    # In the long run a step costs 0.5 + 10 / 50 = 0.7 s, after 20 s of encoding.
    assert steps == pytest.approx((300 - 20) / 0.7, abs=1)


def test_no_slices_need_no_encoding():
    bare = Probe(1.0, 0.0, 0.0, 0.0, 0, 0, 100.0, 0.0, 0.0, 0.0)
    assert bare.steps(1, 10) == 60
    assert bare.memory_needed_mb() == 100


def test_memory_grows_with_what_is_kept_up_to_its_room():
    assert PROBE.memory_needed_mb() == 800 + 300  # 100 slices would take 400 MB


def test_a_probe_survives_its_file(tmp_path):
    assert read_probe(tmp_path) is None
    write_probe(PROBE, tmp_path)
    assert read_probe(tmp_path) == PROBE


def test_short_trainings_are_validated_more_often():
    every = [validate_every_for(m) for m in (2, 10, 15, 60, 600)]
    assert every == sorted(every)
    assert every[0] < every[-1]
    assert math.isfinite(sum(every))

"""Schedules and the teacher's average, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from napari_sss.engine.training.ema import make_teacher, update_teacher
from napari_sss.engine.training.schedule import (
    ema_decay,
    linear_ramp,
    polynomial_rate,
    sigmoid_ramp,
)


@pytest.mark.parametrize(
    ("progress", "warmup", "rate"),
    [
        (0.0, 0.0, 1.0),
        (0.5, 0.0, 0.5**0.9),  # 0.5359
        (1.0, 0.0, 0.0),
        (0.0, 0.1, 0.01),
        (0.05, 0.1, 0.5),
        (0.55, 0.1, 0.5**0.9),  # half of what is left after the warm-up
    ],
)
def test_polynomial_rate(progress, warmup, rate):
    assert polynomial_rate(progress, warmup=warmup, power=0.9) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("step", "decay"),
    [(0, 0.0), (1, 0.5), (3, 0.75), (249, 0.996), (250, 0.996), (10**6, 0.996)],
)
def test_ema_decay_is_one_less_one_over_the_next_step_up_to_its_limit(step, decay):
    assert ema_decay(step, 0.996) == pytest.approx(decay)


def test_ramps():
    assert linear_ramp(0.05, 0.1) == 0.5
    assert linear_ramp(0.5, 0.1) == 1.0
    assert linear_ramp(0.0, 0.0) == 1.0
    assert sigmoid_ramp(0.0, 0.4) == pytest.approx(math.exp(-5))
    assert sigmoid_ramp(0.2, 0.4) == pytest.approx(math.exp(-1.25))
    assert sigmoid_ramp(0.4, 0.4) == 1.0


def test_the_teacher_follows_by_hand():
    student = nn.Linear(1, 1, bias=False)
    nn.init.constant_(student.weight, 1.0)
    teacher = make_teacher(student)
    assert not teacher.weight.requires_grad
    positions = []
    for step, value in enumerate((2.0, 4.0, 0.0)):
        nn.init.constant_(student.weight, value)
        update_teacher(teacher, student, step, 0.6)
        positions.append(float(teacher.weight))
    # Decays 0, 1/2, min(2/3, 0.6): 2; (2 + 4) / 2 = 3; 0.6 * 3 + 0.4 * 0 = 1.8.
    assert positions == pytest.approx([2.0, 3.0, 1.8])


def test_the_teacher_averages_statistics_and_copies_counters():
    student = nn.BatchNorm2d(1)
    teacher = make_teacher(student)
    student(torch.full((2, 1, 2, 2), 3.0))
    update_teacher(teacher, student, 0, 0.9)
    assert torch.equal(teacher.running_mean, student.running_mean)
    assert int(teacher.num_batches_tracked) == 1

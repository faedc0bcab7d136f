"""The teacher as an exponential moving average of its student."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from napari_sss.engine.training.schedule import ema_decay

Net = TypeVar("Net", bound=nn.Module)


def make_teacher(student: Net) -> Net:
    """A copy of the student that never learns by gradients."""
    teacher = copy.deepcopy(student)
    teacher.requires_grad_(False)
    return teacher.eval()


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, step: int, most: float) -> None:
    """Move a teacher towards its student: ``teacher = d * teacher + (1 - d) * student``.

    Buffers (BatchNorm's statistics) move alike, counters are copied.

    Parameters
    ----------
    teacher, student : nn.Module
        Of the same shape.
    step : int
        Updates so far; the first one copies the student, for ``d = 0``.
    most : float
        Largest decay.
    """
    decay = ema_decay(step, most)
    theirs = student.state_dict()
    for name, value in teacher.state_dict().items():
        if value.is_floating_point():
            value.lerp_(theirs[name], 1.0 - decay)
        else:
            value.copy_(theirs[name])

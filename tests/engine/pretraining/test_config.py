"""Settings that are refused, and those that suit a machine."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.pretraining import launch
from napari_sss.engine.pretraining.config import PretrainConfig
from napari_sss.engine.pretraining.launch import configured


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "either minutes or steps"),
        ({"minutes": 1, "steps": 1}, "either minutes or steps"),
        ({"steps": 0}, "greater than 0"),
        ({"steps": 1, "batch": 0}, "greater than or equal to 1"),
        ({"steps": 1, "clip_share": 1.5}, "less than or equal to 1"),
        ({"steps": 1, "ema": 1.0}, "less than 1"),
        ({"steps": 1, "speed": 3}, "Extra inputs"),
        ({"steps": 1, "sizes": ()}, "begin at progress 0"),
        ({"steps": 1, "sizes": ((0.1, 128),)}, "begin at progress 0"),
        ({"steps": 1, "sizes": ((0.0, 128), (0.6, 192), (0.5, 256))}, "begin at progress 0"),
        ({"steps": 1, "sizes": ((0.0, 100),)}, "multiples of 32"),
    ],
)
def test_settings_that_make_no_training_are_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        PretrainConfig.model_validate(settings)


def test_sizes_change_at_their_point():
    config = PretrainConfig(steps=1, sizes=((0.0, 128), (0.55, 192)))
    assert [config.image_size(p) for p in (0.0, 0.549, 0.55, 1.0)] == [128, 128, 192, 192]
    assert config.final_image_size == 192


def test_a_cpu_gets_small_batches(monkeypatch):
    monkeypatch.setattr(launch, "precision_for", lambda device: torch.float32)
    config = configured(steps=10, device="cpu", seed=3)
    assert (config.device, config.precision, config.seed) == ("cpu", "float32", 3)
    assert config.batch == 16
    assert configured(steps=10, device="cpu", batch=4).batch == 4


def test_a_gpu_gets_large_ones_and_all_cores(monkeypatch):
    monkeypatch.setattr(launch, "choose_device", lambda device: torch.device("cuda"))
    monkeypatch.setattr(launch, "precision_for", lambda device: torch.bfloat16)
    monkeypatch.setattr(launch.os, "cpu_count", lambda: 16)
    config = configured(minutes=5)
    assert (config.batch, config.workers, config.precision) == (96, 14, "bfloat16")
    assert config.final_image_size == 256


@pytest.mark.parametrize("settings", [{}, {"steps": -1}, {"steps": 5, "batch": 0}])
def test_wrong_settings_are_named(settings):
    with pytest.raises(ConfigError, match="cannot be set up like this"):
        configured(device="cpu", **settings)

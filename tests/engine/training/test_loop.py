"""The loop: events, checkpoints, resuming bit for bit, and stopping for good reasons."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_sss.engine.errors import Cancelled, ConfigError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.loading import load_model
from napari_sss.engine.models.sss.trained import load_trained
from napari_sss.engine.training.checkpoint import CHECKPOINT_NAME, read_snapshot
from napari_sss.engine.training.errors import DivergedError, TrainingError
from napari_sss.engine.training.events import read_events
from napari_sss.engine.training.loop import train
from napari_sss.engine.training.strategies import base
from napari_sss.engine.training.strategies.registry import strategy_names


class _KilledError(Exception):
    """Stands for a kill: nothing of the program's runs after it."""


def kill_after(step: int) -> Callable[[dict[str, Any]], None]:
    """An event handler that ends everything once a step is told of."""

    def handler(event: dict[str, Any]) -> None:
        if event["event"] == "step" and event["step"] == step:
            raise _KilledError

    return handler


def state(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    snapshot = read_snapshot(folder / CHECKPOINT_NAME)
    facts = {k: v for k, v in snapshot.facts.items() if k != "seconds"}
    return snapshot.tensors, facts


@pytest.mark.parametrize(
    ("strategy", "mode", "killed_at"),
    [("sss", "full", 4), ("sss", "features", 5), ("cps", "lora", 4), ("bcp", "full", 5)],
)
def test_a_killed_training_resumes_bit_for_bit(
    strategy, mode, killed_at, settings, cases, tmp_path
):
    config = settings(
        strategy=strategy,
        mode=mode,
        steps=6,
        checkpoint_every=3,
        prompt_age=2,
        pretrain_share=0.3,
        threshold=0.3,
        max_prompt_share=1.0,
    )
    train(config, cases, tmp_path / "whole")
    with pytest.raises(_KilledError):
        train(config, cases, tmp_path / "cut", on_event=kill_after(killed_at))
    assert read_snapshot(tmp_path / "cut" / CHECKPOINT_NAME).facts["step"] == 3
    torch.manual_seed(12345)  # another process has another random state
    train(config, cases, tmp_path / "cut", resume=True)
    (whole, facts), (cut, cut_facts) = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    assert [k for k in whole if not torch.equal(whole[k], cut[k])] == []
    assert facts == cut_facts
    if strategy == "sss":
        assert any(k.startswith("strategy.bank.") for k in whole)
        assert facts["strategy"]["book"]
    told = [
        [{k: v for k, v in e.items() if k != "seconds"} for e in read_events(folder)]
        for folder in (tmp_path / "whole", tmp_path / "cut")
    ]
    assert [e for e in told[0] if e["event"] == "step"] == [
        e for e in told[1] if e["event"] == "step"
    ]


@pytest.mark.parametrize("strategy", strategy_names())
def test_every_strategy_learns_and_leaves_a_model(strategy, settings, cases, tmp_path):
    config = settings(strategy=strategy, mode="full", steps=3, threshold=0.3)
    before = {
        k: v.clone() for k, v in load_model(config.model, device="cpu").net.state_dict().items()
    }
    result = train(config, cases, tmp_path)
    events = read_events(tmp_path)
    steps = [e for e in events if e["event"] == "step"]
    assert [e["step"] for e in steps] == [1, 2, 3]
    assert all(e["loss"] > 0 and e["gradient"] > 0 for e in steps)
    assert events[-1]["event"] == "finished"
    assert events[-1]["reason"] == "budget"
    validation = next(e for e in events if e["event"] == "validation")
    assert set(validation["classes"]) == {"1", "3"}
    assert set(validation["predicted_share"]) == {"background", "1", "3"}
    assert result.best_dice is not None
    trained = load_trained(tmp_path, device="cpu")
    assert trained.facts.classes == {"1": 1, "3": 3}
    after = load_model(tmp_path, device="cpu").net.state_dict()
    assert any(not torch.equal(before[k], after[k]) for k in before)


def test_the_features_mode_leaves_the_encoder_as_it_was(settings, cases, tmp_path):
    config = settings(strategy="supervised", mode="features", steps=2)
    train(config, cases, tmp_path)
    before = load_model(config.model, device="cpu").net.image_encoder.state_dict()
    after = load_model(tmp_path, device="cpu").net.image_encoder.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    # And its checkpoint does not carry it.
    assert not any("image_encoder" in k for k in state(tmp_path)[0])


@pytest.mark.parametrize(
    "switched",
    [
        {"dfe": False},
        {"sam": False},
        {"pcsw": False},
        {"memory": False},
        {"channel_dropout": False, "cutmix": 0.0},
        {"ema": 0.0},
        {"dfe_residual": False, "dfe_channels": 16},
        {"pseudo_label": "sam", "unprompted": "skip"},
        {"pseudo_label": "head", "prompt_objects": "one", "prompt_points": True},
        {"micro_batch": 1},
    ],
)
def test_every_piece_of_sss_can_be_switched(switched, settings, cases, tmp_path):
    config = settings(strategy="sss", mode="features", steps=2, threshold=0.3, **switched)
    train(config, cases, tmp_path)
    assert read_events(tmp_path)[-1]["reason"] == "budget"


@pytest.mark.slow
def test_sss_learns_what_it_is_shown(settings, cases, tmp_path):
    config = settings(
        strategy="sss", mode="full", steps=40, batch=4, learning_rate=3e-3, ema=0.8, zoom=(1, 1)
    )
    train(config, cases, tmp_path)
    losses = [e["labelled"] for e in read_events(tmp_path) if e["event"] == "step"]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(settings, cases, tmp_path):
    losses = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        config = settings(strategy="unimatch-v2", mode="full", steps=2, seed=seed)
        train(config, cases, tmp_path / name)
        losses.append([e["loss"] for e in read_events(tmp_path / name) if "loss" in e])
    assert losses[0] == losses[1] != losses[2]


def test_cancelling_keeps_the_state(settings, cases, tmp_path):
    control = JobControl()

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "step" and event["step"] == 2:
            control.cancel()

    config = settings(strategy="supervised", mode="full")
    with pytest.raises(Cancelled):
        train(config, cases, tmp_path, control=control, on_event=stop)
    assert read_snapshot(tmp_path / CHECKPOINT_NAME).facts["step"] == 2
    last = read_events(tmp_path)[-1]
    assert (last["event"], last["step"], last["reason"]) == ("finished", 2, "cancelled")
    assert train(config, cases, tmp_path, resume=True).steps == 4


def test_a_loss_that_is_nan_stops_and_keeps_the_last_good_state(
    settings, cases, tmp_path, monkeypatch
):
    config = settings(strategy="supervised", mode="full", steps=6, checkpoint_every=2)
    from napari_sss.engine.training.strategies.supervised import Supervised

    honest = Supervised.loss

    def failing(self, batch, now):
        loss = honest(self, batch, now)
        return base.StepLoss(loss.total * float("nan")) if now.step == 3 else loss

    monkeypatch.setattr(Supervised, "loss", failing)
    with pytest.raises(DivergedError, match="nan at step 3"):
        train(config, cases, tmp_path)
    tensors, facts = state(tmp_path)
    assert facts["step"] == 2
    assert all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point())
    reasons = [e.get("reason") for e in read_events(tmp_path)]
    assert reasons[-1] == "DivergedError"


def test_out_of_memory_halves_the_batch_and_says_so(settings, cases, tmp_path, monkeypatch):
    from napari_sss.engine.training.strategies.supervised import Supervised

    honest = Supervised.loss

    def hungry(self, batch, now):
        if len(batch.labelled) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, batch, now)

    monkeypatch.setattr(Supervised, "loss", hungry)
    train(settings(strategy="supervised", mode="full", batch=4, steps=1), cases, tmp_path)
    messages = [e["message"] for e in read_events(tmp_path) if e["event"] == "warning"]
    assert [m for m in messages if "1 slices at once" in m]


def test_patience_ends_a_training(settings, cases, tmp_path, monkeypatch):
    config = settings(
        strategy="supervised", mode="features", steps=50, validate_every=1, patience=2,
        learning_rate=1e-9, collapse_patience=99,
    )  # fmt: skip
    result = train(config, cases, tmp_path)
    assert result.steps == 3  # the first validation is a gain, two more are not
    assert read_events(tmp_path)[-1]["reason"] == "patience"


def test_a_run_is_not_written_over_and_not_resumed_as_another(settings, cases, tmp_path):
    config = settings(strategy="supervised", mode="features", steps=1)
    train(config, cases, tmp_path)
    with pytest.raises(ConfigError, match="holds a training already"):
        train(config, cases, tmp_path)
    other = settings(strategy="supervised", mode="features", steps=1, learning_rate=0.5)
    with pytest.raises(ConfigError, match="learning_rate"):
        train(other, cases, tmp_path, resume=True)
    with pytest.raises(ConfigError, match="no training to resume"):
        train(config, cases, tmp_path / "nowhere", resume=True)


def test_a_damaged_checkpoint_is_named(settings, cases, tmp_path):
    config = settings(strategy="supervised", mode="features", steps=1)
    train(config, cases, tmp_path)
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"\x00" * 100)
    with pytest.raises(TrainingError, match="damaged"):
        train(config, cases, tmp_path, resume=True)


def test_the_folder_says_what_the_run_is(settings, cases, tmp_path):
    config = settings(strategy="supervised", mode="features", steps=1, tensorboard=True)
    train(config, cases, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["strategy"] == "supervised"
    data = json.loads((tmp_path / "data.json").read_text())
    assert [case["name"] for case in data["labelled"]] == ["case0", "case1"]
    assert len(data["unlabelled"]) == 3
    assert "torch" in json.loads((tmp_path / "environment.json").read_text())["versions"]
    assert list((tmp_path / "tensorboard").glob("events*"))
    assert (tmp_path / "last" / "model.safetensors").is_file()
    assert not list(tmp_path.glob(".*")) + list(tmp_path.glob("*.part"))


def test_without_a_pool_the_labels_alone_are_learned(settings, cases, tmp_path):
    from dataclasses import replace

    alone = replace(cases, unlabelled=(), validation=())
    result = train(settings(strategy="sss", mode="features", steps=2), alone, tmp_path)
    assert result.best_dice is None
    found = [e for e in read_events(tmp_path) if e["event"] == "validation"]
    assert [e["on"] for e in found] == ["training"]
    load_trained(tmp_path, device="cpu")


def test_the_papers_preset_trains_and_resumes(tiny_folder, cases, tmp_path):
    from napari_sss.engine.training.config import configured

    settings = {
        "model": str(tiny_folder), "device": "cpu", "precision": "32-true", "steps": 3,
        "batch": 2, "unlabelled_batch": 2, "mode": "full", "tensorboard": False,
        "prompt_start": 0.0, "checkpoint_every": 2, "log_every": 1, "dfe_channels": 16,
    }  # fmt: skip
    config = configured(settings, preset="paper")
    settings.pop("dfe_channels")
    assert configured(settings, preset="paper").dfe_channels == 256
    with pytest.raises(_KilledError):
        train(config, cases, tmp_path, on_event=kill_after(3))
    train(config, cases, tmp_path, resume=True)
    trained = load_trained(tmp_path, device="cpu").segmenter
    assert trained.config.norm == "batch"
    assert trained.config.head_levels == "finest"
    assert trained.config.dfe_layer_scale is None


def test_minutes_are_a_budget(settings, cases, tmp_path):
    config = settings(strategy="supervised", mode="features", minutes=0.02, steps=None)
    result = train(config, cases, tmp_path)
    finished = read_events(tmp_path)[-1]
    assert result.steps >= 1
    assert finished["reason"] == "budget"
    assert finished["seconds"] >= 1.2

"""The interface of strategies: names, a strategy from outside, parts of batches, targets."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
import torch

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.training.data.mixing import Targets
from napari_sss.engine.training.data.sampling import SliceBatch, StepBatch
from napari_sss.engine.training.loop import train
from napari_sss.engine.training.losses import labelled_loss
from napari_sss.engine.training.processing import (
    Consensus,
    LargestComponent,
    Threshold,
    pseudo_labels,
)
from napari_sss.engine.training.strategies import names, registry
from napari_sss.engine.training.strategies.base import (
    Moment,
    StepLoss,
    Strategy,
    Toolkit,
    embed,
    micro_batches,
    optimiser_of,
)


class Own(Strategy):
    """What a user might write: one network, one labelled loss."""

    needs_pool = False
    made: list[Own] = []  # noqa: RUF012

    def __init__(self, tools: Toolkit) -> None:
        super().__init__(tools)
        self.network = tools.make_network()
        self.networks["own"] = self.network
        self.optimisers["own"] = optimiser_of(self.network, self.config)
        Own.made.append(self)

    def loss(self, batch: StepBatch, now: Moment) -> StepLoss:
        assert batch.unlabelled is None
        view, targets = self.tools.views.weak(batch.labelled)
        logits = self.network.classify(embed(self.network, view))
        return StepLoss(labelled_loss(logits, targets, 1.0), {"progress": now.progress})

    def inference_model(self):
        return self.network


def test_the_family_is_known_by_name():
    assert registry.strategy_names() == [
        "bcp", "cps", "fixmatch", "mean-teacher", "sss", "supervised", "unimatch-v2",
    ]  # fmt: skip
    assert registry.find_strategy("unimatch_v2") is registry.find_strategy("unimatch-v2")
    with pytest.raises(ConfigError, match="mean-teacher"):
        registry.find_strategy("nonsense")


def test_a_strategy_of_another_package_trains(monkeypatch, settings, cases, tmp_path):
    points = [EntryPoint("own", f"{__name__}:Own", names.GROUP)]
    for module in (registry, names):
        monkeypatch.setattr(module, "entry_points", lambda group: points)
    monkeypatch.setattr(EntryPoint, "load", lambda self: Own)
    assert "own" in registry.strategy_names()
    result = train(settings(strategy="own", mode="full", steps=2), cases, tmp_path)
    assert result.steps == 2
    assert Own.made[-1].networks


def test_what_is_no_strategy_is_refused(monkeypatch):
    points = [EntryPoint("own", "json:dumps", names.GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.raises(ConfigError, match="json:dumps"):
        registry.find_strategy("own")


def _batch(count: int) -> SliceBatch:
    values = torch.arange(float(count)).reshape(count, 1, 1)
    slices = tuple((0, i) for i in range(count))
    return SliceBatch(slices, values, values.to(torch.uint8), values.int())


def test_micro_batches_hold_every_slice_once():
    parts = micro_batches(StepBatch(_batch(5), _batch(8)), 3)
    assert [len(p.labelled) for p in parts] == [2, 1, 2]
    assert [len(p.unlabelled) for p in parts] == [3, 2, 3]
    seen = [s for p in parts for s in p.unlabelled.slices]
    assert seen == [(0, i) for i in range(8)]
    assert len(micro_batches(StepBatch(_batch(5), None), None)) == 1


def _probabilities() -> torch.Tensor:
    """(1, 2, 1, 6): foreground at 0.9, 0.9, 0.2, 0.6, 0.2, 0.2."""
    p = torch.tensor([0.9, 0.9, 0.2, 0.6, 0.2, 0.2])
    return torch.stack([1 - p, p]).reshape(1, 2, 1, 6)


def _pseudo(*chain) -> Targets:
    return pseudo_labels(_probabilities(), torch.zeros(1, 1, 6, dtype=torch.int32), chain)


def test_pseudo_labels_and_their_confidence():
    targets = _pseudo()
    assert targets.labels.flatten().tolist() == [1, 1, 0, 1, 0, 0]
    assert targets.confidence.flatten().tolist() == pytest.approx(
        [0.9, 0.9, 0.8, 0.6, 0.8, 0.8]
    )
    assert not targets.ignore.any()


def test_the_chain_of_processors():
    assert _pseudo(Threshold(0.7)).ignore.flatten().tolist() == [
        False, False, False, True, False, False,
    ]  # fmt: skip
    assert _pseudo(LargestComponent()).labels.flatten().tolist() == [1, 1, 0, 0, 0, 0]
    other = _probabilities().flip(3)  # foreground at 2, 4 and 5
    both = _pseudo(LargestComponent(), Consensus(other))
    assert both.ignore.flatten().tolist() == [True, True, True, False, True, True]

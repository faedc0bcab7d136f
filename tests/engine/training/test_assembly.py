"""What the settings amount to: the mode, flips, PCSW's rules, the optimiser's rates."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from napari_sss.engine.training.assembly import assemble, choose_mode, pcsw_rules
from napari_sss.engine.training.runtime import Runtime
from napari_sss.engine.training.strategies.base import StudentTeacher


class _Model:
    """A model of 39 million parameters, as SAM 2.1 tiny has."""

    net = SimpleNamespace(parameters=lambda: [torch.empty(39_000_000, device="meta")])


@pytest.mark.parametrize(
    ("kind", "gigabytes", "mode"),
    [("cpu", 0, "features"), ("mps", 0, "features"), ("cuda", 8, "full"), ("cuda", 1, "lora")],
)
def test_the_mode_follows_from_device_and_memory(monkeypatch, settings, kind, gigabytes, mode):
    # 39 million times 20 bytes are 0.78 GB: half of 8 GB suffices, half of 1 GB does not.
    memory = SimpleNamespace(total_memory=gigabytes * 1e9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
    runtime = SimpleNamespace(device=SimpleNamespace(type=kind))
    found, reason = choose_mode(settings(), _Model(), runtime)
    assert found == mode
    assert reason
    assert choose_mode(settings(mode="lora"), _Model(), runtime) == ("lora", "as asked for")


@pytest.mark.parametrize(("flips", "flipped"), [("auto", False), ("on", True), ("off", False)])
def test_scans_in_canonical_axes_are_not_flipped_unasked(settings, cases, flips, flipped):
    config = settings(strategy="supervised", mode="full", flips=flips)
    assert assemble(config, cases).views.limits.flips is flipped


@pytest.mark.parametrize(
    ("modality", "asked", "turn"), [("CT", None, 30.0), ("MR", None, 90.0), ("CT", 5.0, 5.0)]
)
def test_views_are_turned_as_far_as_such_scans_lie_apart(
    settings, cases, monkeypatch, modality, asked, turn
):
    monkeypatch.setattr(
        "napari_sss.engine.training.assembly.read_case_volume",
        lambda case: SimpleNamespace(modality=modality),
    )
    config = settings(strategy="supervised", mode="full", turn=asked)
    assert assemble(config, cases).views.limits.turn == turn


def test_pcsws_rules(settings):
    own, paper = pcsw_rules(settings(tau=0.7)), pcsw_rules(settings(prompt_objects="one"))
    assert (own.objects, own.tau, own.fallback) == ("all", 0.7, "none")
    assert (paper.objects, paper.tau, paper.window_order) == ("one", 0.8, "grow")
    assert pcsw_rules(settings(prompt_points=True)).point == "centre"


def test_what_is_pretrained_learns_at_its_own_rate_and_embeddings_do_not_decay(settings, cases):
    config = settings(
        strategy="supervised", mode="full", learning_rate=1e-3, pretrained_rate=0.1,
        weight_decay=0.02,
    )  # fmt: skip
    strategy = assemble(config, cases).strategy
    assert isinstance(strategy, StudentTeacher)
    student, groups = strategy.student, strategy.optimisers["student"].param_groups
    rate_of = {id(p): (g["full_lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    patch = student.net.image_encoder.trunk.patch_embed.proj
    assert rate_of[id(patch.weight)] == (pytest.approx(1e-4), 0.02)
    assert rate_of[id(patch.bias)] == (pytest.approx(1e-4), 0.0)
    assert rate_of[id(student.head.body[0].weight)] == (1e-3, 0.02)
    # Embeddings have two axes and more, and yet must not shrink.
    assert rate_of[id(student.net.image_encoder.trunk.pos_embed)] == (pytest.approx(1e-4), 0.0)
    unprompted = student.net.sam_prompt_encoder.no_mask_embed.weight
    assert rate_of[id(student.net.no_mem_embed)] == (pytest.approx(1e-4), 0.0)
    assert rate_of[id(unprompted)] == (pytest.approx(1e-4), 0.0)
    learning = [p for p in student.parameters() if p.requires_grad]
    assert sorted(map(id, learning)) == sorted(rate_of)  # each of them once
    assert not any(p.requires_grad for p in strategy.teacher.parameters())


def test_the_rate_and_the_clip_of_an_update(settings):
    runtime = Runtime(settings())
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.SGD([{"params": [parameter], "lr": 9.0, "full_lr": 0.5}])
    parameter.grad = torch.tensor([3.0, 4.0])
    # Norm 5, clipped to 1: (0.6, 0.8); a rate of 0.5 * 0.2.
    norm = runtime.update(optimiser, factor=0.2, clip=1.0, step=0)
    assert norm == pytest.approx(5.0)
    assert parameter.tolist() == pytest.approx([-0.06, -0.08], rel=1e-4)


def test_gradients_that_are_infinite_change_nothing(settings):
    from napari_sss.engine.training.errors import DivergedError

    runtime = Runtime(settings())
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.SGD([{"params": [parameter], "lr": 1.0, "full_lr": 1.0}])
    parameter.grad = torch.tensor([float("inf"), 0.0])
    with pytest.raises(DivergedError, match="step 7"):
        runtime.update(optimiser, factor=1.0, clip=1.0, step=7)
    assert parameter.tolist() == [0.0, 0.0]

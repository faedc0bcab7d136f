"""A tiny SAM-2, made of the same classes as the real ones, for fast unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from napari_sss.engine.models.architecture import Architecture
    from napari_sss.engine.models.sam2_model import Sam2Model


@pytest.fixture(scope="session")
def tiny_architecture() -> Architecture:
    """64 pixels, 32 channels; prompts are drawn, as in the embedded model."""
    from napari_sss.engine.models.architecture import Architecture

    return Architecture(
        image_size=64,
        embed_dim=16,
        stages=(1, 1, 2, 1),
        global_att_blocks=(3,),
        window_spec=(8, 4, 4, 2),
        d_model=32,
        memory_dim=16,
        memory_layers=1,
        memory_feedforward=32,
        dropout=0.0,
        num_memories=3,
        drawn_prompts=True,
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_architecture: Architecture) -> Sam2Model:
    """A model with random weights, the same in every run; on the CPU, in float32.

    It is shared by all tests: do not train it or change its image size.
    """
    return _built(tiny_architecture, "tiny")


@pytest.fixture(scope="session")
def tiny_official_model(tiny_architecture: Architecture) -> Sam2Model:
    """The same with SAM-2's own prompt encoder, as in the official models."""
    return _built(
        tiny_architecture.model_copy(update={"drawn_prompts": False}), "tiny-official"
    )


def _built(architecture: Architecture, name: str) -> Sam2Model:
    import torch

    from napari_sss.engine.models.architecture import build_sam2
    from napari_sss.engine.models.sam2_model import Sam2Model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build_sam2(architecture).eval()
    return Sam2Model(net, architecture, name=name, sha256="0" * 64)

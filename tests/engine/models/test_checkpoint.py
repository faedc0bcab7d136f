from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_sss.engine.errors import ModelError, WriteError
from napari_sss.engine.models import checkpoint as checkpoint_module
from napari_sss.engine.models.architecture import build_sam2
from napari_sss.engine.models.checkpoint import (
    card_path,
    fill,
    read_card,
    read_checkpoint,
    write_checkpoint,
)
from napari_sss.engine.models.official import OFFICIAL


@pytest.fixture
def tiny_file(tmp_path: Path, tiny_model) -> Path:
    path = tmp_path / "model.safetensors"
    card = {"architecture": tiny_model.architecture, "licence": "BSD-3-Clause", "steps": 12}
    write_checkpoint(path, tiny_model.net, card)
    return path


class RunsCode:
    def __reduce__(self):
        return os.getenv, ("HOME",)


def test_what_was_written_is_read_back(tiny_file, tiny_model):
    found = read_checkpoint(tiny_file)
    assert found.architecture == tiny_model.architecture
    assert found.kind == "custom"
    net = build_sam2(found.architecture)
    fill(net, found)
    for name, tensor in tiny_model.net.state_dict().items():
        assert torch.equal(net.state_dict()[name], tensor), name


def test_the_card_holds_the_hash_and_what_else_was_given(tiny_file):
    card = read_card(tiny_file)
    assert card.sha256 == hashlib.sha256(tiny_file.read_bytes()).hexdigest()
    assert card.licence == "BSD-3-Clause"
    assert card.model_extra == {"steps": 12}
    assert json.loads(card_path(tiny_file).read_text())["architecture"]["d_model"] == 32


def test_half_precision_halves_the_file_and_loads_into_float32(tmp_path, tiny_model, tiny_file):
    path = tmp_path / "half.safetensors"
    write_checkpoint(
        path, tiny_model.net, {"architecture": tiny_model.architecture}, torch.float16
    )
    assert path.stat().st_size < 0.6 * tiny_file.stat().st_size
    net = build_sam2(tiny_model.architecture)
    fill(net, read_checkpoint(path))
    weight = net.image_encoder.trunk.patch_embed.proj.weight
    original = tiny_model.net.image_encoder.trunk.patch_embed.proj.weight
    assert weight.dtype is torch.float32
    # Half precision keeps 11 bits: a relative error of at most 2^-11.
    torch.testing.assert_close(weight, original, rtol=2**-11, atol=1e-7)


def test_a_failed_write_keeps_the_old_model(tiny_file, tiny_model, monkeypatch):
    before = tiny_file.read_bytes(), card_path(tiny_file).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_module.os, "fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        write_checkpoint(tiny_file, tiny_model.net, {"architecture": tiny_model.architecture})
    assert (tiny_file.read_bytes(), card_path(tiny_file).read_bytes()) == before
    assert not list(tiny_file.parent.glob("*.part"))


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_an_official_pt_is_recognised(tmp_path, official_weights, wrapped, prefix):
    weights = {prefix + name: tensor for name, tensor in official_weights.items()}
    path = tmp_path / "sam2.1_hiera_tiny.pt"
    torch.save({"model": weights} if wrapped else weights, path)
    found = read_checkpoint(path)
    assert found.kind == "sam2.1-tiny"
    assert found.architecture == OFFICIAL["sam2.1-tiny"]
    assert set(found.weights) == set(official_weights)


def test_a_fine_tuned_descendant_is_recognised_with_its_trainers_baggage(
    tmp_path, official_weights
):
    path = tmp_path / "MedSAM2_latest.pt"
    torch.save({"model": official_weights, "epoch": 75, "optimizer": {"lr": 5e-5}}, path)
    assert read_checkpoint(path).kind == "sam2.1-tiny"


def test_an_official_shape_as_safetensors(tmp_path, official_weights):
    path = tmp_path / "mine.safetensors"
    save_file({n: t.to(torch.uint8).contiguous() for n, t in official_weights.items()}, path)
    assert read_checkpoint(path).kind == "sam2.1-tiny"


def test_an_old_pt_format_is_read(tmp_path, official_weights):
    path = tmp_path / "old.pt"
    torch.save({"model": official_weights}, path, _use_new_zipfile_serialization=False)
    assert read_checkpoint(path).kind == "sam2.1-tiny"


def test_weights_of_an_unknown_shape_need_their_card(tiny_file):
    card_path(tiny_file).unlink()
    with pytest.raises(ModelError, match=r"none of SAM 2\.1's") as caught:
        read_checkpoint(tiny_file)
    assert "model.json" in caught.value.remedy


def test_a_pt_that_needs_code_is_refused(tmp_path):
    path = tmp_path / "evil.pt"
    torch.save({"model": RunsCode()}, path)
    with pytest.raises(ModelError, match=r"evil\.pt.*os\.getenv.*run code") as caught:
        read_checkpoint(path)
    assert "safetensors" in caught.value.remedy


@pytest.mark.parametrize("legacy", [False, True])
def test_a_truncated_pt(tmp_path, legacy):
    path = tmp_path / "cut.pt"
    torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(ModelError, match=r"cut\.pt is truncated or damaged"):
        read_checkpoint(path)


def test_truncated_safetensors(tiny_file):
    tiny_file.write_bytes(tiny_file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="truncated or damaged"):
        read_checkpoint(tiny_file)


@pytest.mark.parametrize("content", [b"", b"short", b"<!DOCTYPE html><html>404</html>"])
def test_a_file_that_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "page.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"page\.pt is not a checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"model": [1, 2]}, torch.zeros(3)])
def test_a_pt_without_weights(tmp_path, content):
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ModelError, match="holds no model weights"):
        read_checkpoint(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.pt cannot be read"):
        read_checkpoint(tmp_path / "nowhere.pt")


def test_what_does_not_fit_is_named(tiny_file, tiny_model):
    found = read_checkpoint(tiny_file)
    weights = dict(found.weights)
    del weights["no_obj_ptr"]
    weights["extra.weight"] = torch.zeros(1)
    weights["no_mem_embed"] = torch.zeros(1, 1, 7)
    faulty = checkpoint_module.Checkpoint(found.path, weights, found.architecture, "custom")
    net = build_sam2(found.architecture)
    before = net.maskmem_tpos_enc.clone()
    with pytest.raises(ModelError) as caught:
        fill(net, faulty)
    assert "it lacks no_obj_ptr" in caught.value.problem
    assert "it has in excess extra.weight" in caught.value.problem
    assert "no_mem_embed (1, 1, 7) instead of (1, 1, 32)" in caught.value.problem
    assert torch.equal(net.maskmem_tpos_enc, before)


def test_a_sam_2_0_is_called_by_its_name(tiny_file):
    found = read_checkpoint(tiny_file)
    old = {
        n: t
        for n, t in found.weights.items()
        if not n.startswith(("no_obj_embed", "obj_ptr_tpos"))
    }
    with pytest.raises(ModelError) as caught:
        fill(
            build_sam2(found.architecture),
            checkpoint_module.Checkpoint(found.path, old, found.architecture, "custom"),
        )
    assert "SAM 2.0" in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "JSON"),
        ('{"licence": "MIT"}', "architecture"),
        ('{"architecture": {"image_size": 100}}', "not a multiple of 32"),
        ('{"architecture": {"colour": 3}}', "architecture.colour"),
    ],
)
def test_a_card_that_is_not_valid(tiny_file, content, named):
    card_path(tiny_file).write_text(content)
    with pytest.raises(ModelError, match=r"model\.json") as caught:
        read_checkpoint(tiny_file)
    assert named in caught.value.problem

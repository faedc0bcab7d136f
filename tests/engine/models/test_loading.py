from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_sss.engine.errors import ModelError
from napari_sss.engine.models import devices, files, loading, registry
from napari_sss.engine.models.checkpoint import card_path, write_checkpoint
from napari_sss.engine.models.loading import load_model, locate, verify_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAPARI_SSS_MODELS", str(tmp_path))
    return tmp_path


@pytest.fixture
def trained(tmp_path: Path, tiny_model) -> Path:
    """The folder of a finished training."""
    path = tmp_path / "run" / "model.safetensors"
    write_checkpoint(path, tiny_model.net, {"architecture": tiny_model.architecture})
    return path.parent


@pytest.fixture
def downloaded(folder: Path, official_weights, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SAM 2.1 tiny with other weights, which the registry is made to expect."""
    path = folder / "sam2.1_hiera_tiny.pt"
    torch.save({"model": official_weights}, path)
    expect(path, monkeypatch)
    return path


def expect(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = replace(
        registry.entry("sam2.1-tiny"),
        size=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    real = registry.entry
    monkeypatch.setattr(loading, "entry", lambda n: known if n == known.name else real(n))


def test_a_trained_folder_works_as_before_it_was_saved(trained, tiny_model):
    loaded = load_model(trained, device="cpu", precision=torch.float32)
    images = torch.rand(2, 64, 64)
    with loaded.inference():
        got = loaded.encode(images)
    with tiny_model.inference():
        expected = tiny_model.encode(images)
    for mine, other in zip(got.levels, expected.levels, strict=True):
        assert torch.equal(mine, other)


def test_a_loaded_model_knows_itself(trained):
    path = trained / "model.safetensors"
    loaded = load_model(path, device="cpu")
    assert loaded.name == str(path)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.device == torch.device("cpu")
    assert not loaded.net.training


def test_the_image_size_can_be_chosen(trained):
    assert load_model(trained, device="cpu").image_size == 64
    loaded = load_model(trained, device="cpu", image_size=96)
    assert loaded.image_size == loaded.net.image_size == 96


@pytest.mark.parametrize("image_size", [0, 32, 100])
def test_an_impossible_image_size(trained, image_size):
    with pytest.raises(ModelError, match="multiple of 32"):
        load_model(trained, image_size=image_size)


def test_an_official_model_by_its_name(downloaded):
    loaded = load_model("sam2.1-tiny", device="cpu", image_size=256)
    assert loaded.name == "sam2.1-tiny"
    assert loaded.image_size == 256
    assert loaded.net.sam_prompt_encoder.image_embedding_size == (16, 16)


@pytest.mark.skipif(
    not registry.entry("embedded").path.is_file(), reason="the embedded weights are not there"
)
def test_the_embedded_model_is_the_default():
    loaded = load_model(device="cpu")
    assert loaded.name == "embedded"
    assert verify_model("embedded").ok


def test_a_model_that_is_not_downloaded_says_how(folder):
    with pytest.raises(ModelError) as caught:
        load_model("sam2.1-large")
    assert "napari-sss models download sam2.1-large" in caught.value.remedy


def test_a_name_that_is_neither_model_nor_file(folder):
    with pytest.raises(ModelError, match=r"'sam9'.*embedded"):
        load_model("sam9")
    with pytest.raises(ModelError, match="'sam9'"):
        verify_model("sam9")


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ModelError, match=r"model\.safetensors is missing"):
        locate(tmp_path)


def test_the_identity_is_computed_once_per_state_of_the_file(trained, monkeypatch):
    path = trained / "model.safetensors"
    first = files.cached_sha256(path)
    real = files.sha256_of
    computed = []
    monkeypatch.setattr(files, "sha256_of", lambda p: computed.append(p) or real(p))
    assert files.cached_sha256(path) == first
    assert computed == []
    path.write_bytes(path.read_bytes() + b" ")
    os.utime(path, ns=(1, 1))
    assert files.cached_sha256(path) != first
    assert len(computed) == 1


def test_verifying_an_intact_model(downloaded, trained):
    report = verify_model("sam2.1-tiny")
    assert report.ok
    assert report.detail == "Complete and unchanged."
    assert (report.path, report.kind) == (downloaded, "sam2.1-tiny")
    assert verify_model(trained).detail == "Complete and unchanged."


def test_verifying_weights_without_a_checksum(tmp_path, official_weights):
    path = tmp_path / "mine.pt"
    torch.save({"model": official_weights}, path)
    report = verify_model(path)
    assert report.ok
    assert "no checksum" in report.detail


def test_verifying_an_absent_model(folder):
    report = verify_model("sam2.1-small")
    assert not report.ok
    assert "models download sam2.1-small" in report.detail
    assert report.sha256 == ""


def test_verifying_a_changed_model(downloaded):
    content = bytearray(downloaded.read_bytes())
    content[len(content) // 2] ^= 1
    downloaded.write_bytes(content)
    report = verify_model("sam2.1-tiny")
    assert not report.ok
    assert report.sha256 == hashlib.sha256(content).hexdigest()


def test_verifying_weights_that_are_not_their_cards(trained):
    card = card_path(trained / "model.safetensors")
    card.write_text(card.read_text().replace('"sha256": "', '"sha256": "0'))
    report = verify_model(trained)
    assert not report.ok
    assert "card" in report.detail


def test_verifying_a_truncated_model(trained):
    path = trained / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    report = verify_model(path)
    assert not report.ok
    assert "truncated" in report.detail


def test_a_device_without_room_leaves_the_work_to_the_cpu(trained, monkeypatch, caplog):
    real = torch.nn.Module.to

    def full(self, device, *rest):
        if torch.device(device).type == "meta":  # stands for a GPU whose memory is taken
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return real(self, device, *rest)

    monkeypatch.setattr(torch.nn.Module, "to", full)
    monkeypatch.setattr(devices, "choose_device", lambda _: torch.device("meta"))
    with caplog.at_level("WARNING"):
        loaded = load_model(trained, device="cuda")
    assert loaded.device == torch.device("cpu")
    assert "meta has no room for" in caplog.text

from __future__ import annotations

import os

import pytest
import torch

from napari_sss.engine.errors import DeviceError
from napari_sss.engine.models import devices
from napari_sss.engine.models.devices import (
    choose_device,
    describe,
    has_bfloat16,
    precision_for,
    set_threads,
    usable_cores,
)

CPU = torch.device("cpu")


@pytest.fixture
def offer(monkeypatch):
    """Make the computer offer only the devices named."""

    def only(*kinds: str) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in kinds)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 if "cuda" in kinds else 0)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in kinds)

    return only


@pytest.mark.parametrize(
    ("offered", "expected"),
    [(("cuda", "mps"), "cuda"), (("mps",), "mps"), ((), "cpu")],
)
@pytest.mark.parametrize("requested", [None, "auto"])
def test_the_fastest_present_device_is_chosen(offer, offered, expected, requested):
    offer(*offered)
    assert choose_device(requested).type == expected


def test_a_named_device_is_obeyed(offer):
    offer("cuda")
    assert choose_device("cpu") == CPU
    assert choose_device("cuda:1") == torch.device("cuda", 1)


def test_an_absent_device_says_what_to_do(offer, monkeypatch):
    offer()
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError, match=r"no CUDA device.*pytorch\.org"):
        choose_device("cuda")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    with pytest.raises(DeviceError, match="nvidia-smi"):
        choose_device("cuda:0")
    with pytest.raises(DeviceError, match="no MPS device"):
        choose_device("mps")


@pytest.mark.parametrize("requested", ["tpu", "cuda:9", "cuda:x", ""])
def test_a_device_that_is_no_device(offer, requested):
    offer("cuda")
    with pytest.raises(DeviceError, match=r"Choose|Write"):
        choose_device(requested)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True, "avx512_bf16": False}, True),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_cpu_precision_follows_its_instructions(monkeypatch, features, expected):
    assert has_bfloat16(features) is expected
    monkeypatch.setattr(devices, "cpu_features", lambda: features)
    assert precision_for(CPU) is (torch.bfloat16 if expected else torch.float32)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)],
)
def test_cuda_precision_follows_the_generation(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert precision_for(torch.device("cuda", 0)) is expected


def test_mps_stays_in_float32():
    assert precision_for(torch.device("mps")) is torch.float32


def test_description(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert describe(CPU, torch.bfloat16) == "CPU · 2 threads · bf16"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert describe(CPU, torch.float32) == "CPU · 1 thread · fp32"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA A100")
    assert describe(torch.device("cuda"), torch.bfloat16) == "NVIDIA A100 · bf16"


@pytest.fixture
def threads_restored():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads_restored")
def test_a_core_is_left_to_the_window(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(devices, "usable_cores", lambda: 4)
    assert set_threads(beside_gui=True) == torch.get_num_threads() == 3
    assert set_threads() == torch.get_num_threads() == 4
    monkeypatch.setattr(devices, "usable_cores", lambda: 1)
    assert set_threads(beside_gui=True) == 1


@pytest.mark.usefixtures("threads_restored")
def test_the_users_thread_count_is_obeyed(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(devices, "usable_cores", lambda: 16)
    assert set_threads(beside_gui=True) == 2


def test_cores_are_those_of_this_process():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)

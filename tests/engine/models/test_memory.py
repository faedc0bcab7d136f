from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch

from napari_sss.engine.errors import Cancelled, DeviceError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models import devices, memory
from napari_sss.engine.models.memory import is_out_of_memory, move_model, run_with_fallback
from napari_sss.engine.models.sam2_model import Sam2Model

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def real_cpu_error() -> RuntimeError:
    """What PyTorch's CPU allocator raises when asked for four petabytes."""
    try:
        torch.empty(10**15)
    except RuntimeError as error:
        return error
    raise AssertionError("this computer has four petabytes of memory")


class Device:
    """Fake work: doubles numbers, but fits only so many at a time on each device."""

    def __init__(self, error: Exception, **fits: int) -> None:
        self.error, self.fits = error, fits
        self.calls: list[tuple[str, tuple[int, ...]]] = []

    def __call__(self, chunk: Sequence[int], device: torch.device) -> list[int]:
        self.calls.append((device.type, tuple(chunk)))
        if len(chunk) > self.fits[device.type]:
            raise self.error
        return [2 * item for item in chunk]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (real_cpu_error(), True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5.56 GB)"), True),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
            True,
        ),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("DefaultCPUAllocator"), False),
    ],
)
def test_only_exhausted_memory_counts(error, expected):
    assert is_out_of_memory(error) is expected


def test_enough_memory_needs_no_message():
    work = Device(RuntimeError(), cpu=8)
    result = run_with_fallback(work, [1, 2, 3, 4, 5], batch=2, device=CPU)
    assert result.outputs == (2, 4, 6, 8, 10)
    assert (result.batch, result.device, result.messages) == (2, CPU, ())
    assert [chunk for _, chunk in work.calls] == [(1, 2), (3, 4), (5,)]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), real_cpu_error()]
)
def test_the_batch_is_halved_and_nothing_done_twice(error):
    work = Device(error, cuda=2)
    result = run_with_fallback(work, list(range(6)), batch=5, device=CUDA)
    assert result.outputs == (0, 2, 4, 6, 8, 10)
    # 5 do not fit, 5 // 2 = 2 do.
    assert [chunk for _, chunk in work.calls] == [(0, 1, 2, 3, 4), (0, 1), (2, 3), (4, 5)]
    assert (result.batch, result.device) == (2, CUDA)
    assert len(result.messages) == 1
    assert "2 at a time" in result.messages[0]


def test_where_one_does_not_fit_the_cpu_takes_over(caplog):
    moved: list[torch.device] = []
    work = Device(torch.OutOfMemoryError("CUDA out of memory."), cuda=0, cpu=1)
    with caplog.at_level("WARNING"):
        result = run_with_fallback(work, [1, 2], batch=2, device=CUDA, move=moved.append)
    assert result.outputs == (2, 4)
    assert moved == [CPU]
    assert (result.batch, result.device) == (1, CPU)
    assert [where for where, _ in work.calls] == ["cuda", "cuda", "cpu", "cpu"]
    assert len(result.messages) == 2
    assert "going on on the CPU" in result.messages[1]
    assert tuple(record.message for record in caplog.records) == result.messages


def test_a_last_short_batch_that_does_not_fit_is_halved_too():
    work = Device(real_cpu_error(), cpu=1)
    result = run_with_fallback(work, [1, 2], batch=8, device=CPU)
    assert [len(chunk) for _, chunk in work.calls] == [2, 1, 1]
    assert result.batch == 1


def test_nowhere_left_to_go():
    with pytest.raises(DeviceError, match="smaller model"):
        run_with_fallback(Device(real_cpu_error(), cpu=0), [1], batch=1, device=CPU)
    out_of_memory = torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(DeviceError, match="cuda"):
        run_with_fallback(Device(out_of_memory, cuda=0), [1], batch=1, device=CUDA)


def test_other_errors_pass_through():
    with pytest.raises(RuntimeError, match="shapes"):
        run_with_fallback(Device(RuntimeError("shapes"), cpu=0), [1], batch=1, device=CPU)


def test_cancelling_acts_between_calls():
    control = JobControl()

    def work(chunk: Sequence[int], device: torch.device) -> Sequence[int]:
        control.cancel()
        return chunk

    with pytest.raises(Cancelled):
        run_with_fallback(work, [1, 2], batch=1, device=CPU, control=control)


def test_a_moved_model_computes_there_and_in_its_precision(tiny_model, monkeypatch):
    model = Sam2Model(
        copy.deepcopy(tiny_model.net), tiny_model.architecture, precision=torch.bfloat16
    )
    monkeypatch.setattr(devices, "cpu_features", dict)  # a CPU without bfloat16
    move_model(model, torch.device("cpu"))
    assert model.device == next(model.net.parameters()).device == CPU
    assert model.precision is torch.float32


def test_encoding_survives_exhausted_memory(tiny_model):
    """A real encoder whose first call fails as on a full GPU gives the same features."""
    images = torch.rand(3, 64, 64)
    failures = [torch.OutOfMemoryError("CUDA out of memory.")]

    def encode(chunk: Sequence[int], device: torch.device) -> list[torch.Tensor]:
        if failures:
            raise failures.pop()
        with tiny_model.inference():
            return list(tiny_model.encode(images[list(chunk)]).levels[2])

    result = run_with_fallback(encode, range(3), batch=3, device=CPU)
    with tiny_model.inference():
        expected = tiny_model.encode(images).levels[2]
    assert len(result.messages) == 1
    torch.testing.assert_close(torch.stack(result.outputs), expected, rtol=1e-4, atol=1e-5)


class Movable:
    """A model as far as :func:`carry_on` knows it."""

    def __init__(self, device="cuda"):
        self.device = torch.device(device)


@pytest.fixture
def movable(monkeypatch):
    moved = []

    def move(model, device):
        moved.append(device.type)
        model.device = device

    monkeypatch.setattr(memory, "move_model", move)
    model = Movable()
    model.moved = moved
    return model


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()],
    ids=["cuda", "host"],
)
def test_work_goes_on_on_the_cpu_with_a_word(movable, error):
    told, devices = [], []

    def work():
        devices.append(movable.device.type)
        if movable.device.type == "cuda":
            raise error
        return "done"

    assert memory.carry_on(movable, work, told.append) == "done"
    assert devices == ["cuda", "cpu"]
    assert len(told) == 1
    assert "CPU" in told[0]


def test_a_cpu_that_is_too_small_is_named_with_the_remedy(movable):
    def work():
        raise MemoryError

    with pytest.raises(DeviceError, match=r"cpu.*smaller model"):
        memory.carry_on(movable, work, lambda text: None)


def test_other_errors_of_the_work_pass(movable):
    def work():
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        memory.carry_on(movable, work)
    assert movable.moved == []


def test_work_that_began_before_the_model_moved_is_done_again(movable):
    devices = []

    def work():
        devices.append(movable.device.type)
        if len(devices) == 1:
            movable.device = torch.device("cpu")  # something inside had to move it
            raise RuntimeError("Expected all tensors to be on the same device")
        return "done"

    assert memory.carry_on(movable, work, lambda text: None) == "done"
    assert devices == ["cuda", "cpu"]

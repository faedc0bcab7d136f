"""Carrying on when memory runs out: smaller batches first, then the CPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import torch

from napari_sss.engine.errors import DeviceError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.devices import precision_for

if TYPE_CHECKING:
    from napari_sss.engine.models.sam2_model import Sam2Model

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Output = TypeVar("Output")

# Only CUDA has a type of its own for this. The CPU's and MPS's allocators, and CUDA's
# libraries, raise a plain RuntimeError, so that their words are all there is to go by.
_ALLOCATOR_WORDS = (
    "DefaultCPUAllocator",
    "MPS backend out of memory",
    "CUDA out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means that a device's memory did not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error) for w in _ALLOCATOR_WORDS)


@dataclass(frozen=True)
class FallbackResult(Generic[Output]):
    """What came out, and what is left to work with.

    Parameters
    ----------
    outputs : tuple
        One per item, in the items' order.
    batch : int
        Items per call that fitted last; the next run should begin with it.
    device : torch.device
        Where the work ended; the next run should begin there.
    messages : tuple of str
        What the user should know; empty where memory sufficed.
    """

    outputs: tuple[Output, ...]
    batch: int
    device: torch.device
    messages: tuple[str, ...] = ()


def run_with_fallback(
    work: Callable[[Sequence[Item], torch.device], Sequence[Output]],
    items: Sequence[Item],
    *,
    batch: int,
    device: torch.device,
    move: Callable[[torch.device], object] | None = None,
    control: JobControl | None = None,
) -> FallbackResult[Output]:
    """Work through ``items`` in batches, halving them, then moving to the CPU, when it must.

    What was done before memory ran out is kept; only the batch that failed is repeated.

    Parameters
    ----------
    work : callable
        ``work(some_items, device)`` gives one output per item. It must be safe to repeat.
    items : sequence
        What to work on.
    batch : int
        Items per call to begin with, 1 or more.
    device : torch.device
        Where to begin.
    move : callable, optional
        Moves what ``work`` uses to the device given, for instance
        ``partial(move_model, model)``; without it the device is never changed.
    control : JobControl, optional
        A request to cancel is honoured between calls.

    Raises
    ------
    DeviceError
        A single item does not fit, and there is no device left to move to.
    """
    outputs: list[Output] = []
    messages: list[str] = []
    while len(outputs) < len(items):
        if control is not None:
            control.check()
        chunk = items[len(outputs) : len(outputs) + batch]
        done = _attempt(work, chunk, device)
        if done is not None:
            outputs.extend(done)
            continue
        # Only here, with the exception and the tensors its frames held gone, can memory be
        # given back.
        _release(device)
        if len(chunk) > 1:
            batch = len(chunk) // 2
            message = f"Memory on {device} ran out: going on with {batch} at a time."
        elif device.type != "cpu" and move is not None:
            message = f"Memory on {device} does not suffice: going on on the CPU, slower."
            device = torch.device("cpu")
            move(device)
        else:
            raise _too_large(device)
        logger.warning(message)
        messages.append(message)
    return FallbackResult(tuple(outputs), batch, device, tuple(messages))


def carry_on(
    model: Sam2Model, work: Callable[[], Output], tell: Callable[[str], None] = logger.warning
) -> Output:
    """Do one piece of work that cannot be made smaller; where memory runs out, on the CPU.

    Parameters
    ----------
    model : Sam2Model
        Moved where it must.
    work : callable
        Safe to repeat; it takes its tensors from where the model then is.
    tell : callable
        Takes what the user should know.

    Raises
    ------
    DeviceError
        Where the CPU's memory does not suffice either.
    """
    device = model.device
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        # The model may have moved meanwhile: what was computed half before and half after
        # fails on tensors in two places.
        if not is_out_of_memory(error) and model.device == device:
            raise
        logger.info("Out of memory on %s: %s", device, error)
    _release(device)
    if model.device == device:
        if device.type == "cpu":
            raise _too_large(device)
        tell(f"Memory on {device} does not suffice: going on on the CPU, slower.")
        move_model(model, torch.device("cpu"))
    return carry_on(model, work, tell)


def _too_large(device: torch.device) -> DeviceError:
    return DeviceError(
        f"The memory of {device} does not suffice for this model at this image size.",
        "Close other programs, or choose a smaller model or a smaller image size.",
    )


def move_model(model: Sam2Model, device: torch.device) -> None:
    """Move a model, and let it compute in the precision that suits the new device.

    Features and memories made before lie on the old device and must be made again.
    """
    model.net.to(device)
    model.device = device
    model.precision = precision_for(device)


def _attempt(
    work: Callable[[Sequence[Item], torch.device], Sequence[Output]],
    chunk: Sequence[Item],
    device: torch.device,
) -> Sequence[Output] | None:
    """Do one batch; None if memory ran out."""
    try:
        return work(chunk, device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        logger.info("Out of memory on %s with %d items: %s", device, len(chunk), error)
        return None


def _release(device: torch.device) -> None:
    """Hand the allocator's unused blocks back, so that a smaller batch finds room."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()

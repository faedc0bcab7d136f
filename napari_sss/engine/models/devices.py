"""Where a model computes, in which precision, and with how many threads.

Precisions, and why:

- CUDA from compute capability 8.0 (Ampere): bfloat16, as the official SAM-2 code uses.
  Older cards only emulate it, and SAM-2 was never published for float16: float32.
- Apple's MPS: float32. SAM-2's authors call MPS preliminary and name no half precision for
  it; bfloat16 is emulated on M1 and M2, and float16 has too small a range for untested use.
- CPU with bfloat16 instructions (AVX512-BF16, AMX, Arm's BF16): bfloat16, about 2.5 times
  as fast on the official encoders. Other CPUs emulate it slowly: float32.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from napari_sss.engine.errors import DeviceError

_AMPERE = (8, 0)
_CPU_BF16_FEATURES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
_SHORT_NAMES = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}


def choose_device(requested: str | None = None) -> torch.device:
    """Choose the device to compute on.

    Parameters
    ----------
    requested : str, optional
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; None or ``"auto"`` takes the first
        of CUDA, MPS and CPU that this computer has.

    Raises
    ------
    DeviceError
        The device asked for is unknown or absent.
    """
    if requested in (None, "auto"):
        return torch.device(next(k for k in ("cuda", "mps", "cpu") if _is_present(k)))
    kind = str(requested).partition(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise DeviceError(
            f"The device {requested!r} is not known.",
            "Choose cpu, cuda, cuda:N, mps, or auto.",
        )
    if not _is_present(kind):
        raise DeviceError(f"This computer offers no {kind.upper()} device.", _remedy(kind))
    return _numbered(str(requested))


def _is_present(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return True


def _remedy(kind: str) -> str:
    if kind == "mps":
        return "MPS needs an Apple GPU and macOS 14 or newer; choose cpu or auto."
    if torch.version.cuda is None:
        return (
            "The installed PyTorch has no CUDA: install a CUDA build "
            "(https://pytorch.org/get-started/locally), or choose cpu or auto."
        )
    return "Check the NVIDIA driver with nvidia-smi, or choose cpu or auto."


def _numbered(requested: str) -> torch.device:
    try:
        device = torch.device(requested)
    except RuntimeError as error:
        raise DeviceError(
            f"The device {requested!r} is not known.", "Write the number as in cuda:0."
        ) from error
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count:
        raise DeviceError(
            f"The device {requested!r} is absent: {device.type} devices are counted from 0 "
            f"to {count - 1}.",
            "Choose one of these, or auto.",
        )
    return device


def precision_for(device: torch.device) -> torch.dtype:
    """Choose the fastest precision in which SAM-2's results are known to hold.

    Returns
    -------
    torch.dtype
        ``torch.bfloat16`` or ``torch.float32``; the module's text says when and why.
    """
    if device.type == "cuda":
        ampere = torch.cuda.get_device_capability(device) >= _AMPERE
        return torch.bfloat16 if ampere else torch.float32
    if device.type == "cpu" and has_bfloat16(cpu_features()):
        return torch.bfloat16
    return torch.float32


def cpu_features() -> Mapping[str, Any]:
    """Ask PyTorch for the CPU's instruction sets; empty where its version cannot tell."""
    if hasattr(torch.cpu, "get_capabilities"):
        return torch.cpu.get_capabilities()
    older = {
        "avx512_bf16": "_is_avx512_bf16_supported",
        "amx_bf16": "_is_amx_tile_supported",
    }
    return {
        feature: bool(getattr(torch.cpu, name)())
        for feature, name in older.items()
        if hasattr(torch.cpu, name)
    }


def has_bfloat16(features: Mapping[str, Any]) -> bool:
    """Tell whether a CPU with these features multiplies bfloat16 in hardware."""
    return any(bool(features.get(name)) for name in _CPU_BF16_FEATURES)


def describe(device: torch.device, precision: torch.dtype | None = None) -> str:
    """Describe a device for the panel, for instance ``"CPU · 2 threads · bf16"``."""
    precision = precision or precision_for(device)
    short = _SHORT_NAMES.get(precision, str(precision).removeprefix("torch."))
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} · {short}"
    if device.type == "mps":
        return f"Apple GPU · {short}"
    threads = torch.get_num_threads()
    return f"CPU · {threads} thread{'s' if threads > 1 else ''} · {short}"


def usable_cores() -> int:
    """Count the cores this process may use; fewer than the computer's in a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(beside_gui: bool = False) -> int:
    """Let PyTorch use the cores there are, less one where a window must stay responsive.

    OpenMP's threads spin while they wait for each other. With one core taken by a window or
    another program, two threads on two cores become several times slower than one, so a
    core is left free. ``OMP_NUM_THREADS``, where the user set it, is obeyed.

    Parameters
    ----------
    beside_gui : bool
        Whether a graphical interface runs in this process.

    Returns
    -------
    int
        The threads now used.
    """
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen) > 0:
        threads = int(chosen)
    else:
        threads = max(1, usable_cores() - (1 if beside_gui else 0))
    torch.set_num_threads(threads)
    return threads

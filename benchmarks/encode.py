"""Slices per second of the image encoder, by model, size, precision, batch and threads.

    python benchmarks/encode.py                                  # embedded and tiny, CPU
    python benchmarks/encode.py --models sam2.1-small --sizes 512 --threads 1 2
    python benchmarks/encode.py --device cuda --batches 1 8 32

Speed does not depend on the weights' values: official models are timed with random ones, so
that nothing needs to be downloaded.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from _measure import Timing, measure, write_report

from napari_sss.engine.models.architecture import Architecture, build_sam2
from napari_sss.engine.models.devices import choose_device, describe, usable_cores
from napari_sss.engine.models.embedded import embedded_architecture
from napari_sss.engine.models.official import OFFICIAL
from napari_sss.engine.models.registry import EMBEDDED, model_names
from napari_sss.engine.models.sam2_model import Sam2Model

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def main() -> None:
    args = parsed_arguments()
    device = choose_device(args.device)
    results = [
        {key: value for key, value in row.items() if key != "timing"}
        for name, size, threads in product(args.models, args.sizes, args.threads)
        for row in timed(name, size, threads, device, args)
    ]
    settings = {**vars(args), "out": str(args.out) if args.out else None}
    print(f"written to {write_report('encode', settings, results, args.out)}")


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--models", nargs="+", choices=model_names(), default=[EMBEDDED, "sam2.1-tiny"]
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 192, 256, 512])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["fp32", "bf16"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--threads", nargs="+", type=int, default=sorted({1, usable_cores()}))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="JSON file (default: results/encode.json)")
    return parser.parse_args()


def timed(
    name: str, size: int, threads: int, device: torch.device, args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """One row for each precision and batch, all timed in turns; the timing stands in each."""
    torch.set_num_threads(threads)
    model = built(architecture_of(name).at(size), device)
    choices = {
        f"{precision} x{batch}": (precision, batch)
        for precision, batch in product(args.precisions, args.batches)
    }
    timings = measure(
        {label: encoding(model, *choice) for label, choice in choices.items()},
        rounds=args.rounds,
        synchronise=synchroniser(device),
    )
    for label, (precision, batch) in choices.items():
        row = {
            "model": name,
            "image_size": size,
            "device": describe(device, PRECISIONS[precision]),
            "precision": precision,
            "batch": batch,
            "threads": threads,
            **summary(timings[label], batch),
            "timing": timings[label],
        }
        print(
            f"{name:16} {size:5} px {precision} batch {batch:3} threads {threads:2}: "
            f"{row['slices_per_second']:8.2f} slices/s  ({row['median_ms']:.1f} ms "
            f"[{row['q1_ms']:.1f}, {row['q3_ms']:.1f}] a call)"
        )
        yield row


def architecture_of(name: str) -> Architecture:
    return embedded_architecture() if name == EMBEDDED else OFFICIAL[name]


def built(architecture: Architecture, device: torch.device) -> Sam2Model:
    torch.manual_seed(0)
    return Sam2Model(build_sam2(architecture), architecture, device)


def encoding(model: Sam2Model, precision: str, batch: int) -> Callable[[], object]:
    """The call that is timed: grey slices in, features out, copying to the device included."""
    slices = torch.rand(batch, model.image_size, model.image_size)

    def encode() -> object:
        model.precision = PRECISIONS[precision]
        with model.inference():
            return model.encode(slices)

    return encode


def synchroniser(device: torch.device) -> Callable[[], None]:
    if device.type == "cuda":
        return torch.cuda.synchronize
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None


def summary(timing: Timing, batch: int) -> dict[str, Any]:
    """Milliseconds of a call, and slices per second with their quartiles."""
    low, median, high = timing.quartiles()
    return {
        **timing.summary(),
        "slices_per_second": round(batch / median, 3),
        "slices_per_second_q1": round(batch / high, 3),
        "slices_per_second_q3": round(batch / low, 3),
    }


if __name__ == "__main__":
    main()

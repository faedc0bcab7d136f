"""The model's own steps: encoding by model, size, precision, batch and threads; the others."""

from __future__ import annotations

import argparse

import torch
from _measure import measure
from _suite import Found, Scale, entry
from encode import timed

from napari_sss.engine.models.devices import choose_device, precision_for, usable_cores
from napari_sss.engine.models.loading import load_model
from napari_sss.engine.models.sam2_model import MemoryBank, PointPrompts


@entry("encoding", "Encoding by model, size, precision, batch and threads")
def encoding(scale: Scale) -> Found:
    quick = scale == "quick"
    device = choose_device()
    on_cpu = device.type == "cpu"
    default = precision_for(device)
    precisions = ["fp32"] if default == torch.float32 else ["fp32", "bf16"]
    args = argparse.Namespace(
        precisions=precisions,
        batches=[1, 4] if on_cpu else [1, 8, 32],
        rounds=3 if quick else 5,
    )
    sizes = {"embedded": [192] if quick else [128, 192, 256, 512]}
    if not quick:
        sizes["sam2.1-tiny"] = [256, 512] if on_cpu else [512, 1024]
    found = Found(facts={"device": str(device), "official models": "with random weights"})
    for threads in sorted({1, usable_cores()}) if on_cpu and not quick else (1,):
        for name, some in sizes.items():
            if name != "embedded" and on_cpu and threads != usable_cores():
                continue  # seconds a call
            for size in some:
                for row in timed(name, size, threads, device, args):
                    label = (
                        f"{name} {size} px {row['precision']} batch {row['batch']} "
                        f"threads {threads}"
                    )
                    found.time(label, row["timing"], per=row["batch"], note="a slice")
    return found


@entry("steps", "A prompt decoded, a slice remembered, memories read, by precision")
def steps(scale: Scale) -> Found:
    torch.set_num_threads(1)
    device = choose_device()
    box = PointPrompts(
        torch.tensor([[[50.0, 50.0], [120.0, 130.0]]]), torch.tensor([[2, 3]]).int()
    )
    found = Found()
    for precision in dict.fromkeys((torch.float32, precision_for(device))):
        model = load_model("embedded", device=device, precision=precision)
        with model.inference():
            features = model.encode(torch.rand(1, *(model.image_size,) * 2))
            pixels = model.without_memory(features)
            decoded = model.decode(features, pixels, box)
            bank = MemoryBank({0: model.remember(features, decoded, prompted=True)})
            for index in range(1, 20):
                bank.tracked[index] = model.remember(features, decoded, prompted=False)
            timings = measure(
                {
                    "a box decoded": lambda m=model, f=features, p=pixels: m.decode(f, p, box),
                    "without a prompt": lambda m=model, f=features, p=pixels: m.decode(
                        f, p, None
                    ),
                    "remembered": lambda m=model, f=features, d=decoded: m.remember(
                        f, d, prompted=False
                    ),
                    "memories read": lambda m=model, f=features, b=bank: m.with_memory(
                        f, b, 20, backwards=False, slices=100
                    ),
                },
                rounds=9 if scale == "quick" else 25,
            )
        short = str(precision).removeprefix("torch.")
        for name, timing in timings.items():
            found.time(f"{name}, {short}", timing)
    return found

"""Seconds and memory of PCSW alone, beside a depth-first search in plain Python.

    python benchmarks/pcsw.py                        # 300 x 512 x 512 (Z, Y, X), 20 objects
    python benchmarks/pcsw.py --dfs full             # the search on the full volume, too

The paper's figure shows a depth-first search. In plain Python one search of all voxels takes
so long that it is run on a volume of a quarter of the side (``--dfs small``, the default) and
scaled by the number of foreground voxels; the report says which. It is one labelling of the
volume: PCSW as it is written down labels every position of the window anew.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import tracemalloc
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from _measure import measure, write_report
from numpy.typing import NDArray

from napari_sss.engine.prompts.pcsw import PcswConfig, pcsw
from napari_sss.engine.volumes.grid import Grid, Shape3

SPACING = (1.0, 0.7, 0.7)
CONFIGS = {"annotation": PcswConfig(), "paper": PcswConfig.paper()}
SMALLER = 4  # times per side, for the search in plain Python


def main() -> None:
    args = parsed_arguments()
    shape: Shape3 = tuple(args.shape)
    # First of all: a child's peak begins at what its parent held when it was started.
    growth = {name: process_growth(shape, args.objects, name) for name in CONFIGS}
    mask = ellipsoids(shape, args.objects)
    timings = measure(
        {name: finding(mask, config) for name, config in CONFIGS.items()}, rounds=args.rounds
    )
    results: dict[str, Any] = {
        "foreground_voxels": int(np.count_nonzero(mask)),
        "mask_mb": megabytes(mask.nbytes),
    }
    for name, config in CONFIGS.items():
        results[name] = {
            **timings[name].summary(),
            **cpu_seconds_and_count(finding(mask, config)),
            "numpy_peak_mb": numpy_peak(mask, config),
            "process_growth_mb": growth[name],
        }
    results["depth_first_search"] = depth_first(mask, args)
    settings = {**vars(args), "out": str(args.out) if args.out else None}
    print(f"written to {write_report('pcsw', settings, results, args.out)}")


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--shape", nargs=3, type=int, default=[300, 512, 512], metavar=("Z", "Y", "X")
    )
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dfs", choices=["small", "full", "none"], default="small")
    parser.add_argument("--out", type=Path, help="JSON file (default: results/pcsw.json)")
    return parser.parse_args()


def ellipsoids(shape: Shape3, count: int) -> NDArray[np.bool_]:
    """A mask of ellipsoids of different sizes, each in a cell of its own, so none touch."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(count ** (1 / 3)))
    cells = list(product(range(side), repeat=3))
    cell = np.array(shape) / side
    mask = np.zeros(shape, dtype=bool)
    for index in rng.permutation(len(cells))[:count]:
        centre = (np.array(cells[index]) + 0.5) * cell
        radii = np.maximum(rng.uniform(0.25, 0.45, 3) * cell, 1.0)
        low = np.floor(centre - radii).astype(int)
        high = np.ceil(centre + radii).astype(int) + 1
        box = tuple(slice(max(0, a), b) for a, b in zip(low, high, strict=True))
        axes = np.ogrid[box]
        terms = zip(axes, centre, radii, strict=True)
        part = mask[box]
        part |= (sum(((a - c) / r) ** 2 for a, c, r in terms) <= 1)[
            : part.shape[0], : part.shape[1], : part.shape[2]
        ]
    return mask


def finding(mask: NDArray[np.bool_], config: PcswConfig) -> Callable[[], tuple[Any, ...]]:
    grid = Grid(mask.shape, SPACING)
    return lambda: pcsw(mask, grid, config, class_name="object")


def cpu_seconds_and_count(find: Callable[[], tuple[Any, ...]]) -> dict[str, Any]:
    """What one call costs the processor, which other programs do not change, and finds."""
    began = time.process_time()
    found = find()
    return {"cpu_seconds": round(time.process_time() - began, 3), "objects_found": len(found)}


def numpy_peak(mask: NDArray[np.bool_], config: PcswConfig) -> float:
    """Peak of what Python and numpy allocate during one call, without the mask, MB."""
    tracemalloc.start()
    finding(mask, config)()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return megabytes(peak)


def process_growth(shape: Shape3, count: int, name: str) -> float | None:
    """By how much a fresh process's peak memory grows in one call, MB; None on Windows."""
    if sys.platform == "win32":
        return None
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_growth, (shape, count, name))


def _growth(shape: Shape3, count: int, name: str) -> float:
    import resource

    mask = ellipsoids(shape, count)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    finding(mask, CONFIGS[name])()
    return megabytes((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit)


def megabytes(count: float) -> float:
    return round(count / 1e6, 1)


def depth_first(mask: NDArray[np.bool_], args: argparse.Namespace) -> dict[str, Any] | None:
    """One labelling in plain Python: on the volume itself or scaled from a smaller one."""
    if args.dfs == "none":
        return None
    full = args.dfs == "full"
    small = mask if full else ellipsoids(tuple(n // SMALLER for n in mask.shape), args.objects)
    voxels = int(np.count_nonzero(small))
    began = time.perf_counter()
    components = search(small)
    seconds = time.perf_counter() - began
    return {
        "run_on": list(small.shape),
        "components": components,
        "foreground_voxels": voxels,
        "seconds": round(seconds, 3),
        "seconds_for_the_full_volume": round(seconds * np.count_nonzero(mask) / voxels, 1),
        "how": "measured" if full else "scaled by the number of foreground voxels",
    }


def search(mask: NDArray[np.bool_]) -> int:
    """Count 26-connected components by a depth-first search with a stack."""
    steps = [step for step in product((-1, 0, 1), repeat=3) if any(step)]
    left = set(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))
    components = 0
    while left:
        stack = [left.pop()]
        components += 1
        while stack:
            z, y, x = stack.pop()
            for dz, dy, dx in steps:
                neighbour = (z + dz, y + dy, x + dx)
                if neighbour in left:
                    left.remove(neighbour)
                    stack.append(neighbour)
    return components


if __name__ == "__main__":
    main()

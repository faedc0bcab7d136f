"""PCSW by volume and objects, and labelling components beside others."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from _measure import Timing, measure
from _suite import Found, Ratio, Scale, entry
from pcsw import CONFIGS, SMALLER, cpu_seconds_and_count, ellipsoids, finding, search

VOLUMES = ((100, 256, 256), (300, 512, 512), (600, 512, 512))
SECOND = 1000.0


@entry("pcsw", "PCSW by volume and number of objects, beside a plain depth-first search")
def pcsw_alone(scale: Scale) -> Found:
    found = Found()
    quick = scale == "quick"
    for shape in VOLUMES[:1] if quick else VOLUMES:
        for objects in (20,) if shape != VOLUMES[1] else (1, 20, 200):
            mask = ellipsoids(shape, objects)
            timings = measure(
                {name: finding(mask, config) for name, config in CONFIGS.items()},
                rounds=3 if quick else 5,
                warmup=1,
            )
            size = " x ".join(map(str, reversed(shape)))
            for name, timing in timings.items():
                found.time(f"{name}, {size}, {objects} objects", timing)
            if (shape, objects) == (VOLUMES[0] if quick else VOLUMES[1], 20):
                _beside_search(found, mask, timings["annotation"], full=not quick)
    return found


def _beside_search(found: Found, mask: np.ndarray, ours: Timing, full: bool) -> None:
    """The plain search on the same mask, in alternation with PCSW where it is affordable."""
    find = finding(mask, CONFIGS["annotation"])
    ratios, searches = [], []
    # A search of ten million voxels takes half a minute and gigabytes: once; PCSW before
    # and after it.
    for _ in range(1 if full else 3):
        before = cpu_seconds_and_count(find)["cpu_seconds"]
        began = time.process_time()
        components = search(mask)
        searches.append(time.process_time() - began)
        after = cpu_seconds_and_count(find)["cpu_seconds"]
        ratios.append(searches[-1] / max((before + after) / 2, 1e-9))
    found.time("plain depth-first search", Timing(tuple(searches)), unit="s",
               note="processor time, the whole volume")  # fmt: skip
    low, median, high = (float(f"{r:.4g}") for r in np.percentile(ratios, [25, 50, 75]))
    found.ratios.append(Ratio("against the plain search", median, low, high, goal=50.0))
    if full:
        seconds = [1000 * s / SECOND for s in ours.quartiles()]
        low, median, high = (float(f"{s:.4g}") for s in seconds)
        found.ratios.append(Ratio("seconds a class", median, low, high, limit=1.0))
    found.facts |= {"components": components, "foreground": int(np.count_nonzero(mask))}


@entry("labelling", "Connected components of a volume: ours, SciPy's, scikit-image's, plain")
def labelling(scale: Scale) -> Found:
    from scipy import ndimage
    from skimage.measure import label

    from napari_sss.engine.prompts.components import find_components

    shape = (100, 256, 256) if scale == "quick" else (300, 512, 512)
    mask = ellipsoids(shape, 20)
    everywhere = np.ones((3, 3, 3), dtype=bool)

    def with_scipy() -> Any:
        labels, count = ndimage.label(mask, everywhere)
        return ndimage.find_objects(labels), np.bincount(labels.ravel(), minlength=count)

    def with_skimage() -> Any:
        labels = label(mask, connectivity=3)
        return ndimage.find_objects(labels), np.bincount(labels.ravel())

    timings = measure(
        {
            "ours": lambda: find_components(mask),
            "SciPy": with_scipy,
            "scikit-image": with_skimage,
        },
        rounds=3 if scale == "quick" else 5,
        warmup=1,
    )
    found = Found(facts={"shape": shape, "what": "labels, sizes and bounding boxes"})
    for name, timing in timings.items():
        found.time(name, timing)
        if name != "ours":
            found.ratio(f"against {name}", timings["ours"], timing)
    small = ellipsoids(tuple(n // SMALLER for n in shape), 20)
    pair = measure(
        {"ours": lambda: find_components(small), "plain": lambda: search(small)},
        rounds=3,
        warmup=1,
    )
    found.ratio(
        "against the plain search", pair["ours"], pair["plain"],
        note=f"a volume of {small.shape}",
    )  # fmt: skip
    return found

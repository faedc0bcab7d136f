"""Whether a tissue preset keeps its candidate or SAM-2's mask, measured on phantoms.

For each preset, over phantoms of several seeds, the mean Dice of both masks with the
structure that the object overlaps most; objects that match no structure at Dice 0.3 in
either way are counted but say nothing about the masks. The choice in
``napari_sss/engine/prompts/presets.py`` follows from this table, never from a real scan.

    python benchmarks/preset_keep.py [--seeds 1 2 3] [--presets bone organ-contrast ...]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from napari_sss.engine.inference.auto import AutoOptions, auto_segment
from napari_sss.engine.inference.result import SegmentedObject
from napari_sss.engine.models.loading import load_model
from napari_sss.engine.volumes.phantom import Phantom, make_phantom
from napari_sss.engine.volumes.region import Region

PRESETS = (
    "bone",
    "lung",
    "soft-tissue",
    "organ-contrast",
    "kidney-contrast",
    "vessel",
    "fluid",
)
MATCHED = 0.3
# Tissues that a preset means as a whole: its objects are pieces of all of these.
UNIONS = {"bone": ("spine", "pelvis", "ribs"), "lung": ("right lung", "left lung")}


def dice(region: Region | None, truth: np.ndarray) -> float:
    """Dice of a region with a bool volume; 0 where there is no region."""
    if region is None:
        return 0.0
    total = region.voxels + np.count_nonzero(truth)
    common = np.count_nonzero(region.mask & truth[region.slices])
    return 2.0 * common / total if total else 0.0


def scores(found: SegmentedObject, structures: list[np.ndarray]) -> tuple[float, float]:
    """Candidate's and SAM-2's Dice with the structure that suits the object best."""
    both = [(dice(found.candidate, s), dice(found.sam2, s)) for s in structures]
    return max(both, key=max, default=(0.0, 0.0))


def union_scores(
    objects: tuple[SegmentedObject, ...], truth: np.ndarray
) -> tuple[float, float]:
    """Dice of all candidates together, and of all of SAM-2's masks together."""
    results = []
    for regions in ([o.candidate for o in objects], [o.sam2 for o in objects]):
        labels = np.zeros(truth.shape, dtype=np.uint8)
        for region in regions:
            if region is not None:
                region.paint(labels, 1)
        results.append(dice(Region.of(labels), truth))
    return results[0], results[1]


def measure(preset: str, phantoms: list[Phantom]) -> dict[str, float]:
    """Mean Dice of both masks of one preset."""
    model = load_model("embedded")
    pairs: list[tuple[float, float]] = []
    count = 0
    for phantom in phantoms:
        found = auto_segment(phantom.volume, model, AutoOptions(preset=preset)).objects
        count += len(found)
        truth = {name: phantom.labels == value for value, name in phantom.names.items()}
        if preset in UNIONS:
            whole = np.any([truth[n] for n in UNIONS[preset] if n in truth], axis=0)
            pairs.append(union_scores(found, whole))
        else:
            pairs += [scores(o, list(truth.values())) for o in found]
    matched = [p for p in pairs if max(p) >= MATCHED]
    candidate, sam2 = np.mean(matched, axis=0) if matched else (0.0, 0.0)
    return {
        "objects": count,
        "matched": len(matched),
        "candidate": float(candidate),
        "sam2": float(sam2),
    }


def main() -> int:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    phantoms = [make_phantom(seed=seed) for seed in args.seeds]
    table = {}
    header = "preset            objects  matched  candidate  SAM-2  keeps\n"
    sys.stdout.write(header)
    for preset in args.presets:
        row = table[preset] = measure(preset, phantoms)
        keeps = "candidate" if row["candidate"] >= row["sam2"] else "sam2"
        sys.stdout.write(
            f"{preset:16s} {row['objects']:8d} {row['matched']:8d} {row['candidate']:10.3f} "
            f"{row['sam2']:6.3f}  {keeps}\n"
        )
        sys.stdout.flush()
    if args.json:
        args.json.write_text(json.dumps({"seeds": args.seeds, "table": table}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

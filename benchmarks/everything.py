"""How many organs ``auto --source everything`` finds with nobody clicking.

Of the labelled structures over a volume, the share that one object matches at a Dice of 0.7
or more; with ``--track`` also for the masks that SAM-2's memory makes of the same prompts.

    python benchmarks/everything.py                 # the CT of the shared test volumes
    python benchmarks/everything.py --phantom 0     # the generated abdomen of this seed
    python benchmarks/everything.py --image SCAN --labels LABELS

Labels are those of one structure each; a structure in several pieces counts as one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from _measure import write_report

from napari_sss.engine.inference.auto import AutoOptions, auto_segment
from napari_sss.engine.inference.result import SegmentedObject
from napari_sss.engine.inference.segment import Stacks, segment_object
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.models.loading import load_model
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.volumes.intensity import window_for
from napari_sss.engine.volumes.phantom import make_phantom
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.region import Region
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import read_labels

MATCHED = 0.7
ORIGINS = ("candidate", "sam2")


@dataclass(frozen=True)
class Case:
    """A labelled scan."""

    name: str
    volume: Volume
    labels: np.ndarray
    names: Mapping[int, str]


@dataclass(frozen=True)
class Row:
    """One structure and the objects that match it best."""

    organ: str
    ml: float
    dice: dict[str, float]
    object: dict[str, int]


def phantom_case(seed: int) -> Case:
    """The abdomen that the package makes itself."""
    phantom = make_phantom(seed=seed)
    return Case(f"phantom {seed}", phantom.volume, phantom.labels, phantom.names)


def file_case(image: Path, labels: Path) -> Case:
    """A scan and its label file; structures are called by their numbers."""
    volume = read_volume(image)
    array = read_labels(labels, volume.grid)
    return Case(image.name, volume, array, {int(v): str(v) for v in np.unique(array) if v})


def best_match(truth: Region, regions: Sequence[tuple[int, Region]]) -> tuple[int, float]:
    """The id of the object with the highest Dice, and that Dice; (0, 0.0) without any."""
    best = (0, 0.0)
    for number, region in regions:
        total = truth.voxels + region.voxels
        dice = 2.0 * _common(truth, region) / total if total else 0.0
        if dice > best[1]:
            best = (number, dice)
    return best


def _common(a: Region, b: Region) -> int:
    """Voxels that two regions share."""
    inner_a, inner_b = [], []
    for span_a, span_b in zip(a.slices, b.slices, strict=True):
        first, last = max(span_a.start, span_b.start), min(span_a.stop, span_b.stop)
        if first >= last:
            return 0
        inner_a.append(slice(first - span_a.start, last - span_a.start))
        inner_b.append(slice(first - span_b.start, last - span_b.start))
    return int(np.count_nonzero(a.mask[tuple(inner_a)] & b.mask[tuple(inner_b)]))


def score(case: Case, objects: Sequence[SegmentedObject], least_ml: float) -> list[Row]:
    """Each structure with its best matches, the largest first."""
    regions = {
        origin: [
            (o.prompts.id, region)
            for o in objects
            if (region := getattr(o, origin)) is not None
        ]
        for origin in ORIGINS
    }
    origins = [o for o in ORIGINS if regions[o] or o == "candidate"]
    rows = []
    for value, name in case.names.items():
        truth = Region.of(case.labels == value)
        ml = truth.voxels * case.volume.grid.voxel_ml
        if ml < least_ml:
            continue
        found = {origin: best_match(truth, regions[origin]) for origin in origins}
        rows.append(
            Row(
                name,
                round(ml, 1),
                {origin: round(dice, 3) for origin, (_, dice) in found.items()},
                {origin: number for origin, (number, _) in found.items()},
            )
        )
    return sorted(rows, key=lambda row: -row.ml)


def shares(rows: Sequence[Row]) -> dict[str, float]:
    """Share of the structures that are matched, by which mask."""
    origins = rows[0].dice if rows else ()
    return {o: float(np.mean([row.dice[o] >= MATCHED for row in rows])) for o in origins}


class Clock:
    """Seconds that each stage took, from the progress it reports."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        """Take note of a stage's progress."""
        self.seconds[progress.stage] = round(progress.elapsed, 1)


def tracked(
    volume: Volume, model: Sam2Model, objects: Sequence[SegmentedObject]
) -> list[SegmentedObject]:
    """The objects with the masks of tracking them from their prompts."""
    stacks = Stacks(volume, window_for(volume), model)
    return [
        replace(o, sam2=segment_object(stacks, o.prompts, guide=o.candidate).region)
        for o in objects
    ]


def main() -> int:
    """Run, print the table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = os.environ.get("NAPARI_SSS_TEST_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--phantom", type=int, metavar="SEED")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--device")
    parser.add_argument("--least-ml", type=float, default=20.0)
    parser.add_argument("--track", action="store_true", help="follow each object as well")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.phantom is not None:
        case = phantom_case(args.phantom)
    else:
        image = args.image or args.data / "ct/example_ct.nii.gz"
        labels = args.labels or args.data / "ct/example_seg_fast_force_split.nii.gz"
        case = file_case(image, labels)
    model = load_model(args.model, device=args.device)
    options = AutoOptions(source="everything")
    clock, began = Clock(), time.perf_counter()
    found = auto_segment(case.volume, model, options, control=JobControl(clock))
    seconds = round(time.perf_counter() - began, 1)
    objects = tracked(case.volume, model, found.objects) if args.track else found.objects
    rows = score(case, objects, args.least_ml)
    results = {
        "case": case.name,
        "model": model.sha256,
        "objects": len(found.objects),
        "seconds": seconds,
        "stages": clock.seconds,
        "matched": shares(rows),
        "organs": [asdict(row) for row in rows],
    }
    if args.json:
        settings = {"model": args.model, "least_ml": args.least_ml, "matched_dice": MATCHED}
        write_report("everything", settings, results, args.json)
    _print(rows, results)
    return 0


def _print(rows: Sequence[Row], results: Mapping[str, object]) -> None:
    write = sys.stdout.write
    origins = list(rows[0].dice) if rows else []
    write(f"{'organ':16s}{'ml':>9s}" + "".join(f"{o:>11s}{'object':>8s}" for o in origins))
    write("\n")
    for row in rows:
        cells = "".join(f"{row.dice[o]:11.3f}{row.object[o]:8d}" for o in origins)
        write(f"{row.organ:16s}{row.ml:9.1f}{cells}\n")
    write(json.dumps({k: v for k, v in results.items() if k != "organs"}) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())

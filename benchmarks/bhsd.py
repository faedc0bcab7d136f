"""The paper's other setting: five kinds of bleeding in head CTs (BHSD), few labels.

    python benchmarks/bhsd.py --data BHSD --runs RUNS
    python benchmarks/bhsd.py --phantom --runs RUNS      # a generated data set, only to try it

BHSD is the user's own copy: ``images`` and ``labels`` (192 volumes, values 1 to 5) and
``unlabelled`` (1,980 volumes) inside ``--data``, or wherever ``--images``, ``--labels`` and
``--unlabelled`` say. A list of names to test on is given with ``--test-list``; without one
every fifth labelled volume, in the order of their names, is held out. Dice per class and its
mean, on the volumes' own grids; the paper's headline is a mean of 53.15.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _measure import RESULTS, write_report
from _training import ROWS, Job, Row, run_jobs

from napari_sss.engine.training.data.cases import (
    CaseLists,
    find_cases,
    read_names,
    scans_in,
)

CLASSES = {
    "extradural": 1,
    "intraparenchymal": 2,
    "intraventricular": 3,
    "subarachnoid": 4,
    "subdural": 5,
}
SETTINGS: dict[str, Any] = {
    "window": "bleed",
    "classes": CLASSES,
    "tensorboard": False,
    # Bleedings lie anywhere, several at once, on either side.
    "focus": "off",
    "flips": "on",
}
DEFAULT_ROWS = ("supervised", "unimatch-v2", "sss-paper", "sss")
EVERY = 5
PUBLISHED = 0.5315


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory() as made:
        if args.phantom:
            make_phantom_set(Path(made))
            args.data, args.steps = Path(made), args.steps or 3
        settings = _settings(args)
        cases, test = _cases(args)
        rows = [row for row in ROWS if row.name in (args.rows or DEFAULT_ROWS)]
        table = run_jobs(
            [
                _job(args, settings, row, seed, cases, test)
                for row in rows
                for seed in args.seeds
            ]
        )
    results = {
        "rows": table.summary(),
        "published_mean_dice": PUBLISHED,
        "jobs": [
            {"row": row, "seed": seed, "mean": s["mean"], "classes": _by_name(s["classes"])}
            for (row, _), seeds in table.found.items()
            for seed, s in seeds.items()
        ],
    }
    path = args.out or RESULTS / ("bhsd_phantom.json" if args.phantom else "bhsd.json")
    write_report("bhsd", settings | {"phantom": args.phantom}, results, path)
    print(table.text())
    print(path)


def make_phantom_set(folder: Path, labelled: int = 5, unlabelled: int = 3) -> None:
    """Heads of one grey with a bleeding of every kind, in BHSD's layout.

    Parameters
    ----------
    folder : Path
        Gets ``images``, ``labels`` and ``unlabelled``.
    labelled, unlabelled : int
        How many volumes of either.
    """
    from napari_sss.engine.volumes.grid import Grid
    from napari_sss.engine.volumes.volume import Volume
    from napari_sss.engine.volumes.writing import write_labels, write_volume

    shape = (6, 64, 64)
    grid = Grid(shape, (5.0, 3.0, 3.0))
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    for name in ("images", "labels", "unlabelled"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(labelled + unlabelled):
        rng = np.random.default_rng(number)
        head = (((y - 32) / 28) ** 2 + ((x - 32) / 24) ** 2) < 1
        scan = np.where(head, 35.0, -1000.0) + rng.normal(0, 4, shape)
        labels = np.zeros(shape, dtype=np.uint8)
        for value in CLASSES.values():
            angle = 2 * np.pi * (value / 5 + 0.1 * rng.random())
            cy, cx = 32 + 14 * np.sin(angle), 32 + 12 * np.cos(angle)
            spot = ((y - cy) / 5) ** 2 + ((x - cx) / 5) ** 2 + ((z - 3) / 2.5) ** 2 < 1
            labels[spot] = value
            scan[spot] += 30 + 5 * value
        volume = Volume(np.round(scan).astype(np.int16), grid, "CT")
        kind = "images" if number < labelled else "unlabelled"
        write_volume(volume, folder / kind / f"head{number:03d}.nii.gz")
        if number < labelled:
            write_labels(labels, grid, folder / "labels" / f"head{number:03d}.nii.gz")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="the folder of BHSD")
    source.add_argument("--phantom", action="store_true", help="a generated data set")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--unlabelled", type=Path)
    parser.add_argument("--test-list", type=Path, help="names to test on, one a line")
    parser.add_argument("--runs", type=Path, required=True, help="where trainings are kept")
    parser.add_argument("--model", default="embedded", help="the model to start from")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="default: 6000 on a GPU, 1500 otherwise")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="the JSON file")
    return parser.parse_args()


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    from napari_sss.engine.models.devices import choose_device

    device = choose_device(args.device)
    steps = args.steps or (6000 if device.type == "cuda" else 1500)
    return SETTINGS | {"model": args.model, "device": str(device), "steps": steps}


def _cases(args: argparse.Namespace) -> tuple[CaseLists, tuple[Any, ...]]:
    """What is trained on, and what is held out."""
    images, labels = args.images or args.data / "images", args.labels or args.data / "labels"
    everything = find_cases(images, labels)
    held = {case.name for case in everything.labelled[::EVERY]}
    if args.test_list is not None:
        held = {
            name.removesuffix(".gz").removesuffix(".nii") for name in read_names(args.test_list)
        }
    test = tuple(case for case in everything.labelled if case.name in held)
    labelled = tuple(case for case in everything.labelled if case.name not in held)
    pool = everything.unlabelled + scans_in(args.unlabelled or args.data / "unlabelled")
    return CaseLists(labelled, pool), test


def _job(
    args: argparse.Namespace,
    settings: dict[str, Any],
    row: Row,
    seed: int,
    cases: CaseLists,
    test: tuple[Any, ...],
) -> Job:
    own = {k: v for k, v in row.settings.items() if k != "preset"}
    folder = args.runs / f"{row.name.replace(' ', '-').replace(',', '')}_{seed}"
    budget = f"{len(cases.labelled)} volumes"
    return Job(
        row.name, budget, seed, folder, settings | own, row.settings.get("preset"), cases, test
    )


def _by_name(classes: dict[str, Any]) -> dict[str, Any]:
    names = {str(value): name for name, value in CLASSES.items()}
    return {names[value]: scores for value, scores in classes.items()}


if __name__ == "__main__":
    main()

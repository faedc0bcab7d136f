"""SSS and its family on ACDC with few labels: the same backbone, data, views and steps.

    python benchmarks/acdc.py --runs RUNS                        # what this machine can do
    python benchmarks/acdc.py --runs RUNS --minutes 90 --processes 2    # in so much time
    python benchmarks/acdc.py --runs RUNS --rows supervised unimatch-v2 sss --seeds 0 1 2
    python benchmarks/acdc.py --runs RUNS --test-images DIR --test-labels DIR
    python benchmarks/acdc.py --runs RUNS --quick                # a few steps, only to try it

The lists are SSL4MIS's (``split.json`` beside the images): 70 patients to train on, of which
3 or 7 are labelled, and 10 to validate on. Where a test folder is given the model that
validation chose is scored on it, once. Where none is, the last model is scored on the
validation list, and nothing is chosen on it. ACDC's files carry no spacing: surface distances
are in voxels, as in the published tables. On a GPU the table is made at 256 px with all
rows; on a CPU at 128 px with three, which says less about what the methods can reach.

With ``--minutes`` a few steps of each row are timed first, and all rows get the steps that
fit; what the clock stops goes on when the command is given again. Rows of one seed run
before the next seed's, so that a table is complete as early as it can be.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from _measure import RESULTS, write_report
from _schedule import planned_steps, steps_that_fit
from _training import ROWS, Job, Row, run_jobs, seconds_per_step
from _training_figures import draw_curves, draw_example

from napari_sss.engine.training.data.cases import Case, CaseLists, find_cases

DATA = Path(os.environ.get("NAPARI_SSS_TEST_DATA", Path(__file__).parent / "../../shared/data"))
CPU_ROWS = ("supervised", "unimatch-v2", "sss")
CPU_SETTINGS: dict[str, Any] = {"image_size": 128, "steps": 800, "mode": "full"}
GPU_SETTINGS: dict[str, Any] = {"image_size": 256, "steps": 6000, "mode": "full"}
QUICK_SETTINGS: dict[str, Any] = {"steps": 3, "log_every": 1, "variants": 1}
VOXELS = (1.0, 1.0, 1.0)
SCORING = 90.0  # seconds of a job beside its steps, on one core


def main() -> None:
    args = _arguments()
    began = time.monotonic()
    settings = _settings(args)
    if args.minutes is not None:
        settings |= _stepped(_fitting(args, settings))
    jobs = _jobs(args, settings)
    deadline = None if args.minutes is None else began + 60 * args.minutes
    table = run_jobs(jobs, args.processes, deadline)
    if not table.found:
        raise SystemExit("Not one row was finished: give more time and the same folder again.")
    budgets = [f"{budget} patients" for budget in args.budgets]
    results = {
        "rows": table.summary(),
        "paired": [
            found
            for budget in budgets
            for other in ("unimatch-v2", "supervised")
            if (found := table.paired("sss", other, budget)) is not None
        ],
        "error_removed": {b: table.error_removed("sss", "supervised", b) for b in budgets},
        "jobs": [
            {"row": r, "budget": b, "seed": seed, **scores}
            for (r, b), seeds in table.found.items()
            for seed, scores in seeds.items()
        ],
    }
    results["unfinished"] = [j.folder.name for j in jobs if j.seed not in table.seeds(j)]
    jobs = [job for job in jobs if job.seed in table.seeds(job)]
    path = args.out or RESULTS / "acdc.json"
    write_report("acdc", settings | {"scored_on": _scored_on(args)}, results, path)
    text = table.text()
    path.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    draw_curves(jobs, path.with_name(path.stem + "_curves.png"))
    draw_example(jobs, path.with_name(path.stem + "_example.png"))
    print(text)
    for found in results["paired"]:
        print(json.dumps(found))
    print(path)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA / "acdc", help="ACDC's folder")
    parser.add_argument("--runs", type=Path, required=True, help="where trainings are kept")
    parser.add_argument("--model", default="embedded", help="the model to start from")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS])
    parser.add_argument("--budgets", type=int, nargs="+", default=[3], choices=[3, 7])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int)
    budget.add_argument("--minutes", type=float, help="for everything; decides the steps")
    parser.add_argument("--processes", type=int, default=1, help="rows at once")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", dest="extra", action="append", default=[], metavar="K=V")
    parser.add_argument("--test-images", type=Path)
    parser.add_argument("--test-labels", type=Path)
    parser.add_argument(
        "--stages", nargs="+", default=["head", "fused", "sam"], metavar="STAGE"
    )
    parser.add_argument("--quick", action="store_true", help="a few steps, one case")
    parser.add_argument("--out", type=Path, help="the JSON file (default: results/acdc.json)")
    return parser.parse_args()


def _jobs(args: argparse.Namespace, settings: dict[str, Any]) -> list[Job]:
    """All jobs, the first seed's first."""
    rows = [row for row in ROWS if row.name in (args.rows or _default_rows(settings))]
    return [
        _job(args, settings, row, budget, seed)
        for seed in args.seeds
        for budget in args.budgets
        for row in rows
    ]


def _fitting(args: argparse.Namespace, settings: dict[str, Any]) -> int:
    """The steps for which the minutes suffice, measured when the folder is new."""
    jobs = _jobs(args, settings)

    def measure(trial: Path) -> int:
        costs = seconds_per_step(jobs, trial, args.processes)
        return steps_that_fit(costs, 60 * args.minutes, args.processes, shared=SCORING)

    return planned_steps(args.runs, measure)


def _stepped(steps: int) -> dict[str, Any]:
    return {"steps": steps, "validate_every": max(1, steps // 4)}


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    from napari_sss.engine.models.devices import choose_device

    device = choose_device(args.device)
    settings = dict(GPU_SETTINGS if device.type == "cuda" else CPU_SETTINGS)
    settings |= {"model": args.model, "device": str(device), "tensorboard": False}
    settings |= QUICK_SETTINGS if args.quick else {}
    for name in ("steps", "image_size"):
        if getattr(args, name) is not None:
            settings[name] = getattr(args, name)
    for text in args.extra:
        key, _, value = text.partition("=")
        settings[key] = json.loads(value) if _is_json(value) else value
    return settings | _stepped(settings["steps"])


def _default_rows(settings: dict[str, Any]) -> tuple[str, ...]:
    if settings["device"].startswith("cuda"):
        return tuple(row.name for row in ROWS)
    return CPU_ROWS


def _job(
    args: argparse.Namespace, settings: dict[str, Any], row: Row, budget: int, seed: int
) -> Job:
    split = json.loads((args.data / "split.json").read_text(encoding="utf-8"))
    labelled = split["train"] if row.labelled == "all" else split[f"labelled_{budget}"]
    cases = find_cases(
        args.data / "images",
        args.data / "labels",
        labelled_names=labelled,
        train_names=split["train"],
    )
    held = _labelled(args.data / "images", args.data / "labels", split["val"])
    if args.test_images is not None:
        test = find_cases(args.test_images, args.test_labels or args.data / "labels").labelled
        cases = replace(cases, validation=held)
    else:
        test = held
    if args.quick:
        test = test[:1]
        cases = CaseLists(cases.labelled[:2], cases.unlabelled[:3], cases.validation[:1])
    preset = row.settings.get("preset")
    own = {k: v for k, v in row.settings.items() if k != "preset"}
    folder = args.runs / f"{row.name.replace(' ', '-').replace(',', '')}_{budget}_{seed}"
    return Job(
        row.name,
        f"{budget} patients",
        seed,
        folder,
        settings | own,
        preset,
        cases,
        test,
        VOXELS,
        tuple(args.stages),
    )


def _labelled(images: Path, labels: Path, names: list[str]) -> tuple[Case, ...]:
    return find_cases(images, labels, train_names=names).labelled


def _scored_on(args: argparse.Namespace) -> str:
    if args.test_images is None:
        return "the validation list, by the last model: nothing was chosen on it"
    return f"{args.test_images}, by the model that the validation list chose"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


if __name__ == "__main__":
    main()

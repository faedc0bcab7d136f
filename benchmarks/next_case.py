"""Does it pay to label the suggested case first? Dice against labelled cases, on ACDC.

    python benchmarks/next_case.py --runs RUNS                      # a small machine's version
    python benchmarks/next_case.py --runs RUNS --counts 1 2 4 8 16 --seeds 0 1 2 3 4 \
        --steps 2000 --pool 0 --held-out 0                          # what a GPU can do
    python benchmarks/next_case.py --runs RUNS --quick              # only to try it

An annotator is simulated who labels a case by its true mask: in one arm the case that is
ranked first, in the other any case, drawn by the seed. After each count of labels a model is
fine-tuned from the starting model on what is labelled, with the same steps and seed in both
arms, and scored on cases that belong to neither pool nor labels (SSL4MIS's validation list).
The ranking sees what it would see in the application: features alone at first, and from then
on the model trained before. One volume is one case, as in a project. The first label of the
ranked arm is ranked too, so its curve depends on the seed by the training and the drawn pool
alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _measure import RESULTS, write_report

from napari_sss.engine.models.loading import load_model
from napari_sss.engine.models.sss.trained import load_trained
from napari_sss.engine.ranking.examining import Examiner
from napari_sss.engine.ranking.scoring import Seen, ranked
from napari_sss.engine.training.config import configured
from napari_sss.engine.training.data.cases import Case, CaseLists, find_cases
from napari_sss.engine.training.data.preparing import read_case_volume
from napari_sss.engine.training.evaluation import evaluate
from napari_sss.engine.training.loop import train
from napari_sss.engine.volumes.reading import read_volume

DATA = Path(os.environ.get("NAPARI_SSS_TEST_DATA", Path(__file__).parent / "../../shared/data"))
ARMS = ("ranked", "random")
CLASSES = {"right ventricle": 1, "myocardium": 2, "left ventricle": 3}
VOXELS = (1.0, 1.0, 1.0)  # ACDC's files carry no spacing


@dataclass(frozen=True)
class Setting:
    """What all trainings of a comparison share."""

    runs: Path
    model: str
    steps: int
    image_size: int
    strategy: str
    held_out: tuple[Case, ...]


def main() -> None:
    args = _arguments()
    split = json.loads((args.data / "split.json").read_text(encoding="utf-8"))
    everything = _labelled(args.data, split["train"])
    held_out = _labelled(args.data, split["val"])[: args.held_out or None]
    setting = Setting(
        args.runs, args.model, args.steps, args.image_size, args.strategy, held_out
    )
    found = []
    for seed in args.seeds:
        drawn = random.Random(seed).sample(everything, args.pool or len(everything))
        for arm in ARMS:
            found += _grown(setting, drawn, arm, seed, sorted(args.counts))
    lines = summary(found)
    settings = {
        "model": args.model, "counts": args.counts, "seeds": args.seeds, "steps": args.steps,
        "image_size": args.image_size, "strategy": args.strategy,
        "pool": args.pool or len(everything), "held_out": len(held_out),
    }  # fmt: skip
    path = args.out or RESULTS / "next_case.json"
    results = {"lines": lines, "gains": gains(found), "runs": found}
    write_report("next_case", settings, results, path)
    _draw(lines, path.with_suffix(".png"))
    print(table(lines))
    for line in results["gains"]:
        print(json.dumps(line))
    print(path)


def summary(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation of Dice over the seeds, by arm and count of labels."""
    lines = []
    for arm in ARMS:
        for count in sorted({one["count"] for one in found}):
            dice = [o["dice"] for o in found if (o["arm"], o["count"]) == (arm, count)]
            sd = float(np.std(dice, ddof=1)) if len(dice) > 1 else None
            mean = float(np.mean(dice))
            lines.append(
                {"arm": arm, "count": count, "seeds": len(dice), "dice": mean, "sd": sd}
            )
    return lines


def gains(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Ranked less random, seed by seed, with Student's 95 % interval where it can be told."""
    from scipy import stats

    lines = []
    for count in sorted({one["count"] for one in found}):
        dice = {(o["arm"], o["seed"]): o["dice"] for o in found if o["count"] == count}
        seeds = sorted({seed for _, seed in dice})
        by_seed = [dice["ranked", s] - dice["random", s] for s in seeds]
        line: dict[str, Any] = {"count": count, "gain": float(np.mean(by_seed))}
        if len(by_seed) > 1:
            error = float(np.std(by_seed, ddof=1)) / len(by_seed) ** 0.5
            half = float(stats.t.ppf(0.975, len(by_seed) - 1)) * error
            line["interval"] = [line["gain"] - half, line["gain"] + half]
        lines.append(line)
    return lines


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """The summary as a Markdown table."""
    counts = sorted({line["count"] for line in lines})
    rows = ["| order | " + " | ".join(f"{count} cases" for count in counts) + " |"]
    rows.append("|---" * (len(counts) + 1) + "|")
    for arm in ARMS:
        cells = []
        for line in (one for one in lines if one["arm"] == arm):
            spread = "" if line["sd"] is None else f" ± {100 * line['sd']:.1f}"
            cells.append(f"{100 * line['dice']:.1f}{spread}")
        rows.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _grown(
    setting: Setting, pool: Sequence[Case], arm: str, seed: int, counts: Sequence[int]
) -> list[dict[str, Any]]:
    """One arm of one seed: label, train, score, label on."""
    left, labelled, found = list(pool), [], []
    model: Path | None = None
    drawn = random.Random(f"{seed} random")
    for count in counts:
        wanted = min(count, len(pool)) - len(labelled)
        if arm == "random":
            chosen = drawn.sample(left, wanted)
        else:
            chosen = _best(setting, model, left, labelled)[:wanted]
        labelled += chosen
        left = [case for case in left if case not in chosen]
        folder = setting.runs / f"{arm}_{seed}_{count}"
        scores = _scored(setting, labelled, left, folder, seed)
        model = folder
        print(f"{arm}, seed {seed}, {count} labelled: Dice {scores['mean']['dice']:.3f}")
        found.append(
            {
                "arm": arm,
                "seed": seed,
                "count": count,
                "dice": scores["mean"]["dice"],
                "classes": {
                    name: (scores["classes"].get(str(value)) or {}).get("dice")
                    for name, value in CLASSES.items()
                },
                "labelled": [case.name for case in labelled],
            }
        )
    return found


def _best(
    setting: Setting, model: Path | None, left: Sequence[Case], labelled: Sequence[Case]
) -> list[Case]:
    """The cases that are not labelled, in the order in which the ranking puts them."""
    if model is None:
        examiner = Examiner.of(load_model(setting.model, image_size=setting.image_size))
    else:
        trained = load_trained(model)
        examiner = Examiner.of(trained.segmenter.sam2, trained, model)
    cases = [*left, *labelled]
    seen = []
    for number, case in enumerate(cases):
        examined = examiner.examine(read_case_volume(case))
        shown = _classes_of(case) if number >= len(left) else None
        seen.append(Seen(number, examined, shown))
    return [cases[place.case_id] for place in ranked(seen)]


def _classes_of(case: Case) -> frozenset[str]:
    assert case.label is not None
    values = set(np.unique(read_volume(case.label).array).tolist())
    return frozenset(name for name, value in CLASSES.items() if value in values)


def _scored(
    setting: Setting, labelled: Sequence[Case], left: Sequence[Case], folder: Path, seed: int
) -> dict[str, Any]:
    """Train on what is labelled, all else without its label, and score; kept, if it was."""
    kept = folder / "scores.json"
    asked = {
        "labelled": sorted(case.name for case in labelled),
        "pool": sorted(case.name for case in left),
        "held_out": [case.name for case in setting.held_out],
        "settings": [setting.model, setting.strategy, setting.steps, setting.image_size],
    }
    if kept.is_file():
        known = json.loads(kept.read_text(encoding="utf-8"))
        if known["asked"] == asked:
            return known
    shutil.rmtree(folder, ignore_errors=True)
    config = configured(
        {
            "strategy": setting.strategy,
            "model": setting.model,
            "image_size": setting.image_size,
            "steps": setting.steps,
            "seed": seed,
            "classes": CLASSES,
            "mode": "auto",
            "spacing": VOXELS,
            "tensorboard": False,
            "validate_every": setting.steps,
            "checkpoint_every": setting.steps,
        }
    )
    pool = tuple(Case(case.name, case.image) for case in left)
    train(config, CaseLists(tuple(labelled), pool), folder)
    scores = evaluate(load_trained(folder), setting.held_out, spacing=VOXELS)
    scores = json.loads(json.dumps(scores)) | {"asked": asked}
    kept.write_text(json.dumps(scores), encoding="utf-8")
    return scores


def _labelled(data: Path, names: Sequence[str]) -> tuple[Case, ...]:
    return find_cases(data / "images", data / "labels", train_names=names).labelled


def _draw(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
    for arm, colour in zip(ARMS, ("#0072b2", "#d55e00"), strict=True):
        own = [line for line in lines if line["arm"] == arm]
        axes.errorbar(
            [line["count"] for line in own],
            [line["dice"] for line in own],
            yerr=[line["sd"] or 0.0 for line in own],
            label=arm, color=colour, marker="o", capsize=3,
        )  # fmt: skip
    axes.set(xlabel="labelled cases", ylabel="Dice on held-out cases", xscale="log")
    counts = sorted({line["count"] for line in lines})
    axes.set_xticks(counts, [str(count) for count in counts], minor=False)
    axes.legend(title="order")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA / "acdc", help="ACDC's folder")
    parser.add_argument("--runs", type=Path, required=True, help="where trainings are kept")
    parser.add_argument("--model", default="embedded", help="the model to start from")
    parser.add_argument("--strategy", default="supervised", help="how it is fine-tuned")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=150, help="of each training")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--pool", type=int, default=16, help="cases drawn; 0: all")
    parser.add_argument("--held-out", type=int, default=8, help="cases scored on; 0: all")
    parser.add_argument("--quick", action="store_true", help="a few steps, only to try it")
    parser.add_argument("--out", type=Path, help="the JSON file")
    args = parser.parse_args()
    if args.quick:
        args.counts, args.seeds, args.steps, args.pool, args.held_out = [1, 2], [0], 4, 4, 1
    return args


if __name__ == "__main__":
    main()

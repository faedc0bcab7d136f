"""What the training benchmarks share: rows of a table, running them, comparing them.

Every training runs in a process of its own, so that its peak memory is its own, and keeps a
folder: a table that is interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from _schedule import TRIED, Pool
from scipy import stats

SCORES_NAME = "scores.json"
FEW = 2  # unlabelled volumes while the time of a step is taken


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Parameters
    ----------
    name : str
        As the table shows it.
    settings : mapping
        What differs from the table's common settings.
    labelled : str
        ``"few"``, the budget's cases, or ``"all"`` of the training list.
    """

    name: str
    settings: Mapping[str, Any]
    labelled: str = "few"


def _less(**switched: Any) -> dict[str, Any]:
    return {"strategy": "sss", **switched}


ROWS = (
    Row("supervised", {"strategy": "supervised"}),
    Row("fixmatch", {"strategy": "fixmatch"}),
    Row("mean-teacher", {"strategy": "mean-teacher"}),
    Row("cps", {"strategy": "cps"}),
    Row("bcp", {"strategy": "bcp"}),
    Row("unimatch-v2", {"strategy": "unimatch-v2"}),
    Row("sss-paper", {"preset": "paper"}),
    Row("sss", {"strategy": "sss"}),
    Row("sss less dfe", _less(dfe=False)),
    Row("sss less pcsw", _less(pcsw=False)),
    Row("sss less sam", _less(sam=False)),
    Row("sss less memory", _less(memory=False)),
    Row("sss less dropout", _less(channel_dropout=False)),
    Row("sss less cutmix", _less(cutmix=0.0)),
    Row("sss less ema", _less(ema=0.0)),
    Row("supervised, all labels", {"strategy": "supervised"}, "all"),
)


@dataclass(frozen=True)
class Job:
    """One training with its evaluation.

    Parameters
    ----------
    row : str
        The row it belongs to.
    budget : str
        The label budget it belongs to.
    seed : int
        Its seed.
    folder : Path
        Where it runs; what it finds is ``scores.json`` in it.
    settings : dict
        For :func:`~napari_sss.engine.training.config.configured`.
    preset : str, optional
        Named settings below these.
    cases : CaseLists
        To train and validate on.
    test : tuple of Case
        To be scored on, once, by the model that validation chose; where there is nothing to
        validate on, by the last.
    spacing : (float, float, float), optional
        For the surface distances.
    stages : tuple of str
        Ways of predicting that are scored; the first is the table's.
    """

    row: str
    budget: str
    seed: int
    folder: Path
    settings: dict[str, Any]
    preset: str | None
    cases: Any
    test: tuple[Any, ...]
    spacing: tuple[float, float, float] | None = None
    stages: tuple[str, ...] = ("head",)


@dataclass
class Table:
    """The scores of all jobs."""

    found: dict[tuple[str, str], dict[int, dict[str, Any]]] = field(default_factory=dict)

    def add(self, job: Job, scores: dict[str, Any]) -> None:
        """Add one job's scores."""
        self.found.setdefault((job.row, job.budget), {})[job.seed] = scores

    def seeds(self, job: Job) -> set[int]:
        """The seeds with which a job's row is there."""
        return set(self.found.get((job.row, job.budget), {}))

    def summary(self) -> list[dict[str, Any]]:
        """For each row and budget the mean and spread over seeds, seconds and memory."""
        rows = []
        for (row, budget), seeds in self.found.items():
            line: dict[str, Any] = {"row": row, "budget": budget, "seeds": len(seeds)}
            for metric in ("dice", "jaccard", "hd95", "assd"):
                values = [s["mean"][metric] for s in seeds.values() if s["mean"][metric]]
                line[metric] = float(np.mean(values)) if values else None
                line[f"{metric}_sd"] = float(np.std(values, ddof=1)) if values[1:] else None
            for figure in ("seconds", "steps", "peak_memory_mb"):
                line[figure] = float(np.mean([s[figure] for s in seeds.values()]))
            rows.append(line)
        return rows

    def paired(self, one: str, other: str, budget: str) -> dict[str, Any] | None:
        """Difference of Dice between two rows, patient by patient, with its 95 % interval.

        A patient's difference is the mean over its volumes, classes and the seeds that both
        rows have; the interval is Student's over patients.
        """
        ours, theirs = self.found.get((one, budget)), self.found.get((other, budget))
        common = sorted(set(ours or ()) & set(theirs or ()))
        if not (ours and theirs and common):
            return None
        differences: dict[str, list[float]] = {}
        for seed in common:
            a, b = _by_patient(ours[seed]), _by_patient(theirs[seed])
            for patient in a:
                differences.setdefault(patient, []).append(a[patient] - b[patient])
        means = np.array([np.mean(values) for values in differences.values()])
        interval = None
        if len(means) > 1:
            half = stats.t.ppf(0.975, len(means) - 1) * stats.sem(means)
            interval = [float(means.mean() - half), float(means.mean() + half)]
        return {
            "rows": [one, other],
            "budget": budget,
            "seeds": common,
            "patients": len(means),
            "dice": float(means.mean()),
            "interval_95": interval,
        }

    def error_removed(self, one: str, bound: str, budget: str) -> float | None:
        """Share of a bound's error (1 - Dice) that a row removes."""
        lines = {(r["row"], r["budget"]): r["dice"] for r in self.summary()}
        ours, theirs = lines.get((one, budget)), lines.get((bound, budget))
        if ours is None or theirs is None:
            return None
        return 1 - (1 - ours) / (1 - theirs)

    def text(self) -> str:
        """The table in Markdown; Dice and Jaccard in per cent, mean ± spread over seeds."""
        lines = [
            "| method | labelled | seeds | Dice | Jaccard | HD95 | ASSD | s | MB |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for r in self.summary():
            cells = [r["row"], r["budget"], str(r["seeds"])]
            for metric, factor in (("dice", 100), ("jaccard", 100), ("hd95", 1), ("assd", 1)):
                cells.append(_spread(r[metric], r[f"{metric}_sd"], factor))
            cells += [f"{r['seconds']:.0f}", f"{r['peak_memory_mb']:.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)


def run_jobs(jobs: Sequence[Job], processes: int = 1, deadline: float | None = None) -> Table:
    """Run what has not run yet and read all scores.

    Parameters
    ----------
    jobs : sequence of Job
        In the order in which they are to run.
    processes : int
        Trainings at once, one thread each.
    deadline : float, optional
        ``time.monotonic()`` at which the rest is left for another time.
    """
    Pool(processes, deadline).run(
        [(j.folder, _run, (j,)) for j in jobs if not (j.folder / SCORES_NAME).is_file()]
    )
    table = Table()
    for job in jobs:
        path = job.folder / SCORES_NAME
        if path.is_file():
            table.add(job, json.loads(path.read_text(encoding="utf-8")))
    return table


def seconds_per_step(jobs: Sequence[Job], trial: Path, processes: int) -> list[float]:
    """What a step of each row costs on this machine, with as many at once as later.

    The burn-in's steps are like supervised ones; they are weighed as the job has them.
    """
    settings = {"steps": TRIED + 1, "log_every": 1, "validate_every": 10**6}
    eager = {"burn_in": 0.0, "prompt_start": 0.0, "checkpoint_every": 10**6}
    rows = {job.row: job for job in jobs}
    tried = [
        replace(
            job,
            settings=job.settings | settings | eager | extra,
            folder=trial / f"{number}-{kind}",
        )
        for number, job in enumerate(rows.values())
        for kind, extra in (("whole", {}), ("burn", {"burn_in": 0.99}))
    ]
    Pool(processes).run([(job.folder, _try, (job,)) for job in tried])
    found: dict[str, float] = {}
    for number, (row, job) in enumerate(rows.items()):
        whole, burn = (_logged_step(trial / f"{number}-{kind}") for kind in ("whole", "burn"))
        share = configured_burn_in(job)
        found[row] = share * burn + (1 - share) * whole
        sys.stderr.write(f"{row}: {found[row]:.2f} s a step\n")
    return [found[job.row] for job in jobs]


def configured_burn_in(job: Job) -> float:
    """The share of a job's steps that only labelled slices are learned from."""
    from napari_sss.engine.training.config import configured

    return configured(job.settings, {"seed": job.seed}, preset=job.preset).burn_in


def _logged_step(folder: Path) -> float:
    """Median seconds between logged steps, the first of which are slower."""
    from napari_sss.engine.training.events import read_events

    times = [e["seconds"] for e in read_events(folder) if e["event"] == "step"]
    return float(np.median(np.diff(times)))


def _try(job: Job) -> None:
    """Train a few steps, to see how long they take."""
    from napari_sss.engine.models.environment import prepare_for_torch

    prepare_for_torch()
    from napari_sss.engine.models.devices import set_threads
    from napari_sss.engine.training.config import configured
    from napari_sss.engine.training.loop import train

    set_threads()
    config = configured(job.settings, {"seed": job.seed}, preset=job.preset)
    # A small pool is soon looked over; later that is a small part of a step.
    few = replace(job.cases, unlabelled=job.cases.unlabelled[:FEW], validation=())
    train(config, few, job.folder)


def _run(job: Job) -> None:
    """Train, score, write; in a process of its own."""
    from napari_sss.engine.models.environment import prepare_for_torch

    prepare_for_torch()
    from napari_sss.engine.inference.prediction import PredictOptions
    from napari_sss.engine.models.devices import set_threads
    from napari_sss.engine.models.sss.trained import load_trained
    from napari_sss.engine.training.checkpoint import CHECKPOINT_NAME
    from napari_sss.engine.training.config import configured
    from napari_sss.engine.training.evaluation import evaluate
    from napari_sss.engine.training.events import read_events
    from napari_sss.engine.training.loop import train

    set_threads()
    config = configured(job.settings, {"seed": job.seed}, preset=job.preset)
    resume = (job.folder / CHECKPOINT_NAME).is_file()
    result = train(config, job.cases, job.folder, resume=resume)
    trained = load_trained(job.folder, device=config.device)
    by_stage = {
        stage: evaluate(
            trained, job.test, PredictOptions(stages=stage), spacing=job.spacing  # type: ignore[arg-type]
        )
        for stage in job.stages
    }  # fmt: skip
    finished = read_events(job.folder)[-1]
    scores = by_stage[job.stages[0]] | {
        "stages": {stage: found["mean"] for stage, found in by_stage.items()},
        "seconds": finished["seconds"],
        "steps": result.steps,
        "peak_memory_mb": finished["peak_memory_mb"],
        "chosen_step": result.best_step,
    }
    path = job.folder / SCORES_NAME
    path.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")


def _by_patient(scores: Mapping[str, Any]) -> dict[str, float]:
    """Mean Dice of each patient; ``patient099_ED`` and ``patient099_ES`` are one."""
    values: dict[str, list[float]] = {}
    for name, classes in scores["cases"].items():
        patient = name.partition("_")[0]
        known = [c["dice"] for c in classes.values() if c["dice"] is not None]
        values.setdefault(patient, []).extend(known)
    return {patient: float(np.mean(found)) for patient, found in values.items() if found}


def _spread(value: float | None, sd: float | None, factor: float) -> str:
    if value is None:
        return "-"
    return f"{factor * value:.2f}" + (f" ± {factor * sd:.2f}" if sd is not None else "")

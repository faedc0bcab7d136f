"""The work itself, case after case; it runs in the background process or in a terminal."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sss.engine.background.job import PoolJob, write_failures
from napari_sss.engine.background.results import make_current
from napari_sss.engine.errors import InputError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import Case
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus
from napari_sss.engine.ranking.ranking import rank_project, read_ranking

if TYPE_CHECKING:
    from napari_sss.engine.background.labelling import Labeller
    from napari_sss.engine.models.sam2_model import Sam2Model
    from napari_sss.engine.models.sss.trained import TrainedModel

log = logging.getLogger(__name__)

UNTOUCHED = (CaseStatus.NEW, CaseStatus.SUGGESTED)
"""Cases in which no person has done anything."""


@dataclass(frozen=True)
class Done:
    """What came of it.

    Parameters
    ----------
    labelled : int
        Cases whose results are there now, those of earlier times included.
    failures : dict
        Cases that could not be done, by name, and why.
    """

    labelled: int
    failures: dict[str, str]


def work_on_pool(
    project: Project, folder: Path, job: PoolJob, control: JobControl | None = None
) -> Done:
    """Rank and pre-label the pool of a project, as far as that is not done yet.

    Parameters
    ----------
    project : Project
        Open, for reading at least; nothing is written into its database.
    folder : Path
        Where results go.
    job : PoolJob
        What to do.
    control : JobControl, optional
        Told each case; honoured between slices. What is done stays.

    Raises
    ------
    ModelError, ConfigError
        The model cannot be used.
    WriteError
        The disk is full, or the folder cannot be written.
    Cancelled
        When asked to.
    """
    control = control or JobControl()
    control.report("loading the model", 0)
    model, trained = load(job)
    failures: dict[str, str] = {}
    if job.rank:
        from napari_sss.engine.ranking.examining import Examiner

        run = None if job.run is None else Path(job.run)
        examiner = Examiner.of(model, trained, run)
        ranking = rank_project(project, examiner, job.model_name, control)
        failures |= dict(ranking.skipped)
    labelled = 0
    if job.prelabel:
        from napari_sss.engine.background.labelling import Labeller

        labelled = _label(project, folder, Labeller(model, trained, job), failures, control)
    write_failures(folder, failures)
    return Done(labelled, failures)


def load(job: PoolJob) -> tuple[Sam2Model, TrainedModel | None]:
    """The job's model, and the same with its classes where it knows some.

    Raises
    ------
    ModelError
        It cannot be loaded.
    """
    if job.trained:
        from napari_sss.engine.models.sss.trained import load_trained

        trained = load_trained(Path(job.model), device=job.device)
        return trained.segmenter.sam2, trained
    from napari_sss.engine.models.loading import load_model

    return load_model(job.model, device=job.device), None


def queue(project: Project) -> list[Case]:
    """The cases in which no person has done anything, those first that are ranked first."""
    cases = {case.id: case for case in project.cases_now() if case.status in UNTOUCHED}
    ranking = read_ranking(project.folder)
    first = [] if ranking is None else [c.case_id for c in ranking.cases if c.case_id in cases]
    return [cases[i] for i in dict.fromkeys([*first, *cases])]


def _label(
    project: Project,
    folder: Path,
    labeller: Labeller,
    failures: dict[str, str],
    control: JobControl,
) -> int:
    store = make_current(folder, labeller.key)
    cases, done = queue(project), 0
    for number, case in enumerate(cases):
        control.report("pre-labelling", number, len(cases))
        if store.has(case):
            done += 1
            continue
        try:
            volume = project.cases.read(case.id, control)
            store.put(case, labeller.label(volume, _Quiet(control)))
            done += 1
        except InputError as error:
            log.warning("%s is left out: %s", case.name, error)
            failures[case.name] = str(error)
            write_failures(folder, failures)
    control.report("pre-labelling", len(cases), len(cases))
    return done


class _Quiet(JobControl):
    """Passes on requests to stop, but not the stages within a case."""

    def __init__(self, control: JobControl) -> None:
        super().__init__()
        self._control = control

    def check(self) -> None:
        self._control.check()

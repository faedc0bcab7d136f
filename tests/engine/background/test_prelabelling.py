"""Pre-labelling a pool: what is done, skipped, kept, entered, and never overwritten."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.background.entering import enter_results, waiting
from napari_sss.engine.background.job import PoolJob, read_failures
from napari_sss.engine.background.labelling import Labeller, without_specks
from napari_sss.engine.background.results import FoundObject, current_store
from napari_sss.engine.background.work import load, queue, work_on_pool
from napari_sss.engine.errors import Cancelled, ConfigError, WriteError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus, Flag, Maker, Review
from napari_sss.engine.prompts.types import ObjectPrompts, Plane
from napari_sss.engine.volumes.region import Region

BALL = Region((1, 15, 15), np.ones((3, 8, 8), dtype=bool))


def status(project, case_id):
    return project.cases.get(case_id).status


def test_results_wait_in_files_and_become_suggestions_with_confidence(
    project, folder, job, bright
):
    done = work_on_pool(project, folder, job)
    assert (done.labelled, done.failures) == (4, {})
    assert all(case.status is CaseStatus.NEW for case in project.cases.select())
    assert len(waiting(project, folder)) == 4
    entered = enter_results(project, folder)
    assert entered.cases == (1, 2, 3, 4)
    assert entered.objects == 4  # one ball each, no lesion
    assert all(case.status is CaseStatus.SUGGESTED for case in project.cases.select())
    state = project.annotation(2)
    (record,) = state.objects.values()
    assert record.class_id == 1
    assert 0 < record.confidence <= 1
    assert {section.maker for section in state.sections.values()} == {Maker.AUTO}
    (run,) = state.runs.values()
    assert (run.model, run.settings["source"]) == ("Bright", "model")
    # The ball: about 3 x pi/6 x 14 x 14 x 6 voxels around column 19 and row 20.
    _, y, x = np.nonzero(state.labels)
    assert (y.mean(), x.mean()) == (pytest.approx(20, abs=1.5), pytest.approx(19, abs=1.5))
    assert waiting(project, folder) == []
    assert enter_results(project, folder).cases == ()


def test_specks_the_model_doubts_are_left_out():
    """Largest organ 1000 voxels: of the doubted ones 100 stay and 99 do not, the sure stay."""

    def found(name, voxels, confidence):
        region = Region((0, 0, 0), np.ones((1, 1, voxels), dtype=bool))
        return FoundObject(ObjectPrompts(1, name, (), confidence), region, confidence)

    objects = [
        found("organ", 1000, 0.9),
        found("organ", 100, 0.54),
        found("organ", 99, 0.54),
        found("organ", 3, 0.55),
        found("lesion", 2, 0.51),  # the largest of its class
        found("lesion", 0, 0.99),
    ]
    kept = [(o.prompts.class_name, o.region.voxels) for o in without_specks(objects)]
    assert kept == [("organ", 1000), ("organ", 100), ("organ", 3), ("lesion", 2)]


def test_a_class_that_the_project_lacks_is_added(project, folder, job, bright):
    project.remove_class(1)
    work_on_pool(project, folder, job)
    enter_results(project, folder)
    assert [record.name for record in project.classes] == ["organ"]


def test_what_is_done_is_not_done_again(project, folder, job, bright, monkeypatch):
    work_on_pool(project, folder, job)
    monkeypatch.setattr(Labeller, "label", lambda *_: pytest.fail("labelled again"))
    assert work_on_pool(project, folder, job).labelled == 4


def test_a_stop_in_the_middle_keeps_what_is_done_and_goes_on_there(
    project, folder, job, bright
):
    def stop(progress):
        if progress.stage == "pre-labelling" and progress.done == 2:
            control.cancel()

    control = JobControl(stop)
    with pytest.raises(Cancelled):
        work_on_pool(project, folder, job, control)
    store = current_store(folder)
    assert sum(store.has(case) for case in project.cases.select()) == 2
    assert len(enter_results(project, folder).cases) == 2
    assert work_on_pool(project, folder, job).labelled == 4


def test_a_case_that_cannot_be_read_is_told_and_the_others_are_done(
    project, folder, job, bright
):
    project.cases.get(2).absolute_path.write_bytes(b"damaged")
    done = work_on_pool(project, folder, job)
    assert done.labelled == 3
    assert list(done.failures) == ["b"]
    assert "changed" in dict(read_failures(folder))["b"]
    assert enter_results(project, folder).cases == (1, 3, 4)


def test_a_person_s_work_is_neither_queued_nor_touched(project, folder, job, bright):
    work_on_pool(project, folder, job)
    # Between the finding and the entering a person works on all but the last case.
    painted = project.open_case(1)
    own = painted.add_object(1)
    painted.set_region(own, BALL)
    painted.close()
    accepted = project.open_case(2)
    accepted.review_case(Review.ACCEPTED)
    accepted.close()
    parked = project.open_case(3)
    parked.set_flag(None, Flag.UNCLEAR_BOUNDARY)
    project.park(parked)
    before = {i: project.annotation(i).labels.copy() for i in (1, 2, 3)}
    assert enter_results(project, folder).cases == (4,)
    for case_id, labels in before.items():
        assert np.array_equal(project.annotation(case_id).labels, labels)
    assert [case.id for case in queue(project)] == [4]
    assert status(project, 3) is CaseStatus.PARKED


def test_a_case_that_somebody_has_open_waits(project, folder, job, bright):
    work_on_pool(project, folder, job)
    session = project.open_case(2)  # looked at, nothing done yet
    assert 2 not in enter_results(project, folder).cases
    assert session.is_open
    assert not session.labels.any()
    session.close()
    assert enter_results(project, folder).cases == (2,)


def test_who_opens_a_case_during_the_entering_finds_it_entered(project, folder, job, bright):
    import threading

    work_on_pool(project, folder, job)
    opened = []
    real = project._open_case

    def slow(case_id):
        session = real(case_id)
        if threading.current_thread() is not other and not other.is_alive():
            other.start()
            other.join(0.3)  # it must wait
            assert not opened
        return session

    other = threading.Thread(target=lambda: opened.append(project.open_case(1)))
    project._open_case = slow
    enter_results(project, folder, most=1)
    other.join(10)
    assert opened[0].is_open
    assert opened[0].labels.any()


def test_what_was_undone_by_a_person_is_not_entered_again(project, folder, job, bright):
    work_on_pool(project, folder, job)
    enter_results(project, folder)
    session = project.open_case(1)
    session.undo()
    session.close()
    assert status(project, 1) is CaseStatus.NEW
    assert enter_results(project, folder).cases == ()


def test_a_better_model_replaces_suggestions_nobody_touched(
    project, folder, job, bright, monkeypatch
):
    work_on_pool(project, folder, job)
    enter_results(project, folder)
    edited = project.open_case(2)
    edited.review_section(1, Plane.AXIAL, 2, Review.ACCEPTED)
    edited.close()
    monkeypatch.setattr(Labeller, "key", "of another model")
    other = job.model_copy(update={"model_name": "Other"})
    work_on_pool(project, folder, other)
    entered = enter_results(project, folder)
    assert entered.cases == (1, 3, 4)
    state = project.annotation(1)
    assert len(state.objects) == 1
    assert {project.annotation(1).runs[s.run].model for s in state.sections.values()} == {
        "Other"
    }
    assert project.annotation(2).sections  # the person's case is as it was


def test_a_tissue_preset_serves_where_the_model_knows_no_classes(
    project, folder, tiny_model, monkeypatch
):
    monkeypatch.setattr(
        "napari_sss.engine.background.work.load", lambda job: (tiny_model, None)
    )
    with pytest.raises(ConfigError, match="knows no classes"):
        work_on_pool(project, folder, PoolJob(rank=False))
    done = work_on_pool(project, folder, PoolJob(rank=False, preset="bone"))
    assert done.labelled == 4
    enter_results(project, folder)
    assert {status(project, i) for i in (1, 2, 3, 4)} == {CaseStatus.SUGGESTED}
    assert "bone" in {record.name for record in project.classes}


def test_a_full_disk_stops_the_work_with_the_reason_and_loses_nothing(
    project, folder, job, bright, monkeypatch
):
    import errno

    from napari_sss.engine.volumes import atomic

    real, count = atomic._flush, [0]

    def flush(path):
        count[0] += path.suffix == ".npz"
        if count[0] > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path)

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "_flush", flush)
        with pytest.raises(WriteError, match="No space left"):
            work_on_pool(project, folder, job)
    assert len(enter_results(project, folder).cases) == 2
    assert work_on_pool(project, folder, job).labelled == 4


def test_a_damaged_result_is_done_again(project, folder, job, bright):
    work_on_pool(project, folder, job)
    store = current_store(folder)
    for path in store.folder.iterdir():
        path.write_bytes(b"PK\x03\x04")
    assert enter_results(project, folder).cases == ()
    assert work_on_pool(project, folder, job).labelled == 4
    assert len(enter_results(project, folder).cases) == 4


def test_a_killed_entering_is_finished_without_doubles(project, folder, job, bright):
    """Killed between the act and the note of it: the same act is done again."""
    work_on_pool(project, folder, job)
    enter_results(project, folder)
    (folder / "entered.json").unlink()
    enter_results(project, folder)
    assert len(project.annotation(1).objects) == 1


def test_ranking_gives_the_order_of_the_queue(project, folder, job, bright):
    work_on_pool(project, folder, job.model_copy(update={"rank": True, "prelabel": False}))
    from napari_sss.engine.ranking.ranking import read_ranking

    ranking = read_ranking(project.folder)
    assert [case.id for case in queue(project)] == [c.case_id for c in ranking.cases]
    assert ranking.model == "Bright"


def test_a_model_that_is_gone_is_told(project, folder, job, tmp_path):
    from napari_sss.engine.errors import ModelError

    with pytest.raises(ModelError):
        load(job.model_copy(update={"model": str(tmp_path / "gone")}))


def test_it_reads_a_project_that_somebody_else_writes(project, folder, job, bright):
    with Project.open(project.folder, read_only=True) as reader:
        assert work_on_pool(reader, folder, job).labelled == 4
    assert len(enter_results(project, folder).cases) == 4

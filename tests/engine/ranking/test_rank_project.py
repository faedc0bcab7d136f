"""Ranking the pool of a real project, and finding the result again."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import Review
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.ranking.examining import Examiner
from napari_sss.engine.ranking.ranking import next_slices, rank_project, read_ranking
from napari_sss.engine.volumes.region import Region


def _accept(project, case_id, *, whole=True):
    session = project.open_case(case_id)
    object_id = session.add_object(1)
    session.set_region(object_id, Region((1, 15, 15), np.ones((3, 8, 8), dtype=bool)))
    if whole:
        session.review_case(Review.ACCEPTED)
    else:
        session.review_slice(Plane.AXIAL, 2, Review.ACCEPTED)
    session.close()


def test_an_untouched_project_is_ranked_by_the_embedded_kind_of_model(pool, tiny_model):
    ranking = rank_project(pool, Examiner.of(tiny_model), "Tiny")
    assert sorted(c.case_id for c in ranking.cases) == [1, 2, 3, 4]
    assert all(case.reasons and case.slices for case in ranking.cases)
    assert ranking.accepted == ()
    assert read_ranking(pool.folder) == ranking


def test_accepted_cases_leave_the_pool_and_their_like_falls(pool, tiny_model):
    _accept(pool, 1)
    ranking = rank_project(pool, Examiner.of(tiny_model))
    order = [case.case_id for case in ranking.cases]
    assert ranking.accepted == (1,)
    assert sorted(order) == [2, 3, 4]
    assert order[0] != 2  # it is like the accepted one
    assert ranking.without({order[0]}).cases[0].case_id == order[1]


def test_the_second_ranking_reads_no_scan(pool, tiny_model, monkeypatch):
    examiner = Examiner.of(tiny_model)
    first = rank_project(pool, examiner)
    monkeypatch.setattr(type(pool.cases), "read", lambda *_: pytest.fail("read a scan"))
    assert rank_project(pool, examiner).cases == first.cases


def test_a_case_that_cannot_be_read_is_told_and_skipped(pool, tiny_model):
    path = pool.cases.get(3).absolute_path
    path.write_bytes(b"damaged")
    pool.cases.get(4).absolute_path.unlink()
    ranking = rank_project(pool, Examiner.of(tiny_model))
    assert sorted(c.case_id for c in ranking.cases) == [1, 2]
    assert [name for name, _ in ranking.skipped] == ["c", "d"]
    assert "changed" in ranking.skipped[0][1]


def test_a_read_only_project_can_be_ranked(pool, tiny_model):
    with Project.open(pool.folder, read_only=True) as reader:
        assert len(rank_project(reader, Examiner.of(tiny_model)).cases) == 4


def test_what_was_measured_before_a_cancelling_is_kept(pool, tiny_model):
    control = JobControl(lambda progress: progress.done >= 2 and control.cancel())
    with pytest.raises(Cancelled):
        rank_project(pool, Examiner.of(tiny_model), control=control)
    assert len(list((pool.folder / "ranking").glob("*/*.npz"))) == 2
    assert read_ranking(pool.folder) is None


def test_next_slices_follow_what_is_accepted_without_a_model(pool, tiny_model):
    assert next_slices(pool, 1) == ()  # nothing was measured yet
    rank_project(pool, Examiner.of(tiny_model))
    first = next_slices(pool, 1)
    assert first
    assert all(hint.plane is Plane.AXIAL and 0 <= hint.index < 6 for hint in first)
    _accept(pool, 1, whole=False)
    later = {hint.index for hint in next_slices(pool, 1, count=6)}
    assert not later & {1, 2, 3}  # slice 2 is accepted, and 1 and 3 carry accepted voxels
    _accept_rest = pool.open_case(1)
    _accept_rest.review_case(Review.ACCEPTED)
    assert next_slices(pool, 1) == ()


def test_a_damaged_ranking_is_as_none(pool):
    (pool.folder / "ranking").mkdir()
    (pool.folder / "ranking" / "ranking.json").write_text("{")
    assert read_ranking(pool.folder) is None

"""The journal: how deep undo goes, how it is folded, and how damage shows."""

from __future__ import annotations

import sqlite3
import time

import numpy as np
import pytest

from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import ProjectError, ReadOnlyError
from napari_sss.engine.project.history import UNDO_DEPTH
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import Review
from napari_sss.engine.prompts.types import Plane


def paint_voxel(session, number, value=1, joins=None):
    """Give one voxel, counted from 0, a value."""
    before = session.labels.reshape(-1)[number]
    return session.paint(LabelDiff.of_voxels([number], before, value), class_id=1, joins=joins)


def stored(project, sql):
    project.flush()
    with sqlite3.connect(project.folder / "project.db") as connection:
        return connection.execute(sql).fetchall()


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_undo_reaches_200_steps_back_also_after_folding_and_reopening(project):
    """450 strokes: at 401 the floor is raised to 201, so 249 can be undone at the end."""
    session = project.open_case(1)
    for number in range(450):
        paint_voxel(session, number)
    assert session.history.undoable == 450 - (2 * UNDO_DEPTH + 1 - UNDO_DEPTH)
    wait_for(lambda: stored(project, "SELECT floor FROM scan") == [(201,)])
    assert stored(project, "SELECT count(*), min(seq) FROM entry") == [(249, 202)]
    project.close()
    with Project.open(project.folder) as reopened:
        again = reopened.open_case(1)
        assert (again.labels != 0).sum() == 450
        undone = 0
        while not again.undo().is_empty:
            undone += 1
        assert undone == 249 >= UNDO_DEPTH
        assert (again.labels != 0).sum() == 201


def test_a_long_propagation_does_not_push_steps_out(project):
    """300 steps, then one of 700 entries: 1000 entries, but 301 steps, and none is lost."""
    session = project.open_case(1)
    for number in range(300):
        paint_voxel(session, number % 600, value=1 + number // 600)
    seq = None
    for number in range(700):
        seq = paint_voxel(session, number % 672, value=2 + number // 672, joins=seq).seq
    assert session.history.undoable == 301
    session.undo()
    assert (session.labels == 1).sum() == 300
    assert (session.labels > 1).sum() == 0


def test_a_new_act_drops_what_could_be_redone_also_behind_the_snapshot(project):
    """The stored array stands at act 70; undoing to 10 and going on must take it back."""
    session = project.open_case(1)
    for number in range(70):
        paint_voxel(session, number)
    wait_for(lambda: stored(project, "SELECT snapshot FROM scan")[0][0] >= 64)
    for _ in range(60):
        session.undo()
    paint_voxel(session, 600)
    assert session.history.redoable == 0
    expected = session.labels.copy()
    assert (expected != 0).sum() == 11
    project.close()
    with Project.open(project.folder) as reopened:
        again = reopened.open_case(1)
        assert np.array_equal(again.labels, expected)
        assert again.history.undoable == 11


def test_reopening_in_the_middle_of_the_history(project):
    session = project.open_case(1)
    for number in range(20):
        paint_voxel(session, number)
    for _ in range(5):
        session.undo()
    project.close()
    with Project.open(project.folder) as reopened:
        again = reopened.open_case(1)
        assert (again.labels != 0).sum() == 15
        assert (again.history.undoable, again.history.redoable) == (15, 5)
        for _ in range(5):
            again.redo()
        assert (again.labels != 0).sum() == 20
        assert again.redo().is_empty


def test_the_mark_moves_only_over_what_is_stored(project):
    session = project.open_case(1)
    marks = []
    session.saved.connect(
        lambda op: marks.append((op, stored_op(project.folder))), check_nargs=False
    )
    for number in range(30):
        paint_voxel(session, number)
    session.flush()
    assert session.is_saved
    assert marks[-1][0] == session.saved_through == 30
    assert all(in_database >= op for op, in_database in marks)


def stored_op(folder):
    with sqlite3.connect(folder / "project.db") as connection:
        return connection.execute("SELECT op FROM scan").fetchone()[0]


def test_a_listeners_fault_does_not_stop_the_saving(project):
    session = project.open_case(1)

    def fail(op):
        raise ValueError(op)

    session.saved.connect(fail)
    paint_voxel(session, 1)
    paint_voxel(session, 2)
    session.flush(timeout=10)
    assert session.is_saved


def test_the_history_can_be_listed(project):
    session = project.open_case(1)
    session.add_object(1)
    session.review_slice(Plane.AXIAL, 2, Review.ACCEPTED)
    session.undo()
    titles = [(step.title, step.in_force) for step in session.history.steps()]
    assert titles == [("Add object 1", True), ("Accept axial slice 2", False)]
    assert session.history.undo_title == "Add object 1"
    assert session.history.redo_title == "Accept axial slice 2"


def test_a_closed_case_takes_no_more_acts(project):
    session = project.open_case(1)
    session.close()
    with pytest.raises(ReadOnlyError, match="closed"):
        session.add_object(1)
    assert project.open_case(1) is not session
    assert project.open_case(1) is project.open_case(1)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("UPDATE entry SET voxels = x'0102' WHERE seq = 2", "damaged"),
        ("DELETE FROM entry WHERE seq = 2", "lacks entries"),
        ("UPDATE record SET content = '{' WHERE kind = 'object'", "stored object is damaged"),
        (
            "UPDATE entry SET voxels = (SELECT voxels FROM entry WHERE seq = 1) WHERE seq = 2",
            "does not fit",
        ),
    ],
)
def test_damage_is_told_and_nothing_is_changed(project, damage, says):
    session = project.open_case(1)
    for number in range(3):
        paint_voxel(session, number)
    project.flush()
    with sqlite3.connect(project.folder / "project.db") as connection:
        connection.execute(damage)
    with (
        Project.open(project.folder, read_only=True) as beside,
        pytest.raises(ProjectError, match=says),
    ):
        beside.open_case(1)


def test_what_is_in_memory_outlives_a_journal_damaged_behind_our_back(project):
    session = project.open_case(1)
    for number in range(3):
        paint_voxel(session, number)
    project.flush()
    with sqlite3.connect(project.folder / "project.db") as connection:
        connection.execute("DELETE FROM entry WHERE seq = 2")
    session.close()
    assert (project.open_case(1).labels != 0).sum() == 3


def test_time_is_counted_but_not_the_pauses(project, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("napari_sss.engine.project.session.time.monotonic", lambda: now)
    session = project.open_case(1)
    now += 7.0
    session.add_object(1)
    now += 5.0
    paint_voxel(session, 0)
    now += 3600.0  # lunch: counts as a minute
    paint_voxel(session, 1)
    session.undo()
    spent = project.seconds_spent(1)
    assert spent[""] == pytest.approx(7.0)
    assert spent["1/axial/0"] == pytest.approx(65.0)

"""What a run fixes when it is made."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.project import adding
from napari_sss.engine.project.masks import IGNORE
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import Review
from napari_sss.engine.runs.snapshot import read_snapshot, take_snapshot
from napari_sss.engine.runs.split import Side, read_split
from napari_sss.engine.training.errors import DataError
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.region import Region
from napari_sss.engine.volumes.writing import read_labels


def names(cases):
    return [case.name for case in cases]


def test_the_sides_are_fixed_and_read_back(make_project, tmp_path):
    project = make_project(accepted=6, total=8)
    made, seen = take_snapshot(project, tmp_path / "run")
    assert names(made.lists.labelled) == ["scan0", "scan1", "scan2", "scan4"]
    assert names(made.held_out) == ["scan3"]
    assert names(made.lists.validation) == ["scan5"]
    assert names(made.lists.unlabelled) == ["scan6", "scan7"]
    assert made.classes == {"bright": 1, "dark": 2}
    assert read_snapshot(tmp_path / "run") == made
    assert len(read_split(project)) == 6
    assert seen.on(Side.HELD_OUT)[0].name == "scan3"
    # Each ball spans 5 slices of 4 cases, and is one object in each.
    assert made.counts["classes"]["bright"] == {"cases": 4, "slices": 20, "objects": 4}


def test_a_look_ahead_gives_no_side_for_good(make_project, tmp_path):
    project = make_project(accepted=4, total=4)
    take_snapshot(project, tmp_path / "run", keep_sides=False)
    assert read_split(project) == {}


def test_other_scans_of_a_patient_that_judges_are_no_pool(make_project, tmp_path, monkeypatch):
    # Scans 3 and 6 are of one patient; scan 3, the fourth patient accepted, is held out.
    patients = {"scan3": "p", "scan6": "p"}
    monkeypatch.setattr(
        adding, "_patient", lambda path, _: patients.get(path.name.removesuffix(".nii.gz"))
    )
    made, _ = take_snapshot(make_project(accepted=4, total=8), tmp_path / "run")
    assert names(made.held_out) == ["scan3"]
    assert names(made.lists.unlabelled) == ["scan4", "scan5", "scan7"]


def test_a_class_that_only_a_held_out_case_shows_is_unknown_there(make_project, tmp_path):
    project = make_project(accepted=4, total=4)
    take_snapshot(project, tmp_path / "first")
    with Project.open(project) as opened:
        opened.add_class("late")
        session = opened.open_case(4)
        session.review_case(Review.OPEN)
        made = session.add_object(3)
        session.set_region(made, Region((0, 0, 0), np.ones((2, 4, 4), dtype=bool)))
        session.review_case(Review.ACCEPTED)
        session.close()
    made, seen = take_snapshot(project, tmp_path / "second")
    assert "late" not in made.classes
    (held,) = made.held_out
    labels = read_labels(held.label, read_volume(held.image).grid)
    assert (labels[:2, :4, :4] == IGNORE).all()
    assert set(np.unique(labels)) == {0, 1, 2, IGNORE}
    assert any("late is only in cases that judge" in a.text for a in seen.advice())


def test_nothing_accepted_is_said_with_what_to_do(make_project, tmp_path):
    with pytest.raises(DataError, match=r"Nothing is accepted yet\. Accept"):
        take_snapshot(make_project(accepted=0, total=2), tmp_path / "run")

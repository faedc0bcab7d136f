"""A project's accepted annotations as cases to train on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_sss.engine.cli import main
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import Review
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.training.data.preparing import IGNORE
from napari_sss.engine.training.data.project_cases import project_cases
from napari_sss.engine.training.data.store import CaseStore, Preparation, survey
from napari_sss.engine.training.errors import DataError
from napari_sss.engine.volumes.region import Region


@pytest.fixture
def project(data_folder, tmp_path):
    """Three cases: one accepted as a whole, one in part, one not looked at."""
    folder = tmp_path / "project"
    scans = [data_folder / "images" / f"case{i}.nii.gz" for i in range(3)]
    block = np.ones((3, 12, 12), dtype=bool)
    with Project.create(folder) as made:
        made.cases.add(scans)
        made.add_class("bright")
        made.add_class("never used")
        for case_id in (1, 2):
            session = made.open_case(case_id)
            one = session.add_object(1)
            session.set_region(one, Region((1, 18, 10), block))
            if case_id == 1:
                session.review_case(Review.ACCEPTED)
            else:
                other = session.add_object(1)
                session.set_region(other, Region((1, 18, 36), block))
                session.review_objects([one], Review.ACCEPTED)
                session.review_slice(Plane.AXIAL, 2, Review.ACCEPTED)
            session.close()
    return folder


def test_what_was_accepted_teaches_and_all_else_is_pool(project, tmp_path):
    cases, classes = project_cases(project, tmp_path / "labels")
    assert classes == {"bright": 1}
    assert [(c.name, c.partial) for c in cases.labelled] == [("case0", False), ("case1", True)]
    assert [c.name for c in cases.unlabelled] == ["case2"]
    preparation = Preparation(64, classes)
    whole, part = (preparation.truth(case) for case in cases.labelled)
    assert set(np.unique(whole)) == {0, 1}
    # Slice 2 was accepted: it teaches whole, the other object on it too.
    assert set(np.unique(part[2])) == {0, 1}
    assert (part[2, 18:30, 36:48] == 1).all()
    # On slice 1 the accepted object teaches its own voxels, and nothing else is known.
    assert (part[1, 18:30, 10:22] == 1).all()
    assert (part[1, 18:30, 36:48] == IGNORE).all()
    assert set(np.unique(part[1])) == {1, IGNORE}
    assert (part[0] == IGNORE).all()


def test_slices_of_which_nothing_is_known_are_not_drawn_as_labelled(project, tmp_path):
    cases, classes = project_cases(project, tmp_path / "labels")
    seen = survey(CaseStore(cases.labelled, Preparation(64, classes)), [0, 1], classes)
    assert [index for number, index in seen.slices if number == 1] == [1, 2, 3]


def test_a_project_in_which_nothing_was_accepted(data_folder, tmp_path):
    with Project.create(tmp_path / "empty") as made:
        made.cases.add([data_folder / "images/case0.nii.gz"])
    with pytest.raises(DataError, match="Nothing has been accepted"):
        project_cases(tmp_path / "empty", tmp_path / "labels")


def test_a_project_trains_from_the_command_line(project, tiny_folder, tmp_path):
    run = tmp_path / "run"
    arguments = [
        "train", "--project", project, "--model", tiny_folder, "--steps", 1, "--out", run,
        "--device", "cpu", "--set", "batch=2", "--set", "unlabelled_batch=2",
        "--set", "tensorboard=false",
    ]  # fmt: skip
    assert main([str(a) for a in arguments]) == 0
    assert json.loads((run / "config.json").read_text())["classes"] == {"bright": 1}
    data = json.loads((run / "data.json").read_text())
    assert [case.get("partial", False) for case in data["labelled"]] == [False, True]
    assert main(["train", "--out", str(run), "--resume"]) == 0
    assert main([*map(str, arguments), "--images", "here"]) == 2

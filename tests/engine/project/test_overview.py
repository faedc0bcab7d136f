"""What the case list shows of each case."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.project.locating import Trouble
from napari_sss.engine.project.mask_actions import Suggestion
from napari_sss.engine.project.overview import CaseLine, Findings, overview
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus, Flag, Review
from napari_sss.engine.prompts.types import Box, ObjectPrompts, Plane, SlicePrompt
from napari_sss.engine.volumes.region import Region


def suggestion(x, confidence):
    """An object of 1 x 2 x 2 voxels, ``x`` to the right."""
    prompts = ObjectPrompts(1, "organ", (SlicePrompt(1, box=Box(x, 2, x + 2, 4)),))
    return Suggestion(prompts, 1, Region((1, 2, x), np.ones((1, 2, 2), bool)), confidence)


@pytest.fixture
def suggested(session):
    """Three suggestions, of which the surest is accepted."""
    ids = session.suggest([suggestion(1, 0.9), suggestion(4, 0.4), suggestion(7, 0.6)])
    session.review_objects(ids[:1], Review.ACCEPTED)
    return session


def test_the_least_sure_open_suggestion_counts(project, suggested):
    (line,) = overview(project)
    assert line.findings == Findings(objects=3, open_objects=2, confidence=0.4)
    suggested.review_objects([2], Review.REJECTED)
    assert overview(project)[0].findings.confidence == 0.6


def test_what_is_stored_tells_the_same_as_what_is_in_memory(project, suggested):
    suggested.set_flag(None, Flag.UNCERTAIN_CLASS)
    suggested.set_flag(2, Flag.UNCLEAR_BOUNDARY)
    at_work = overview(project)
    assert at_work[0].findings.flags == set(Flag)
    suggested.close()
    assert [line.findings for line in overview(project)] == [at_work[0].findings]
    with Project.open(project.folder, read_only=True) as second:
        assert [line.findings for line in overview(second)] == [at_work[0].findings]


@pytest.mark.parametrize("target", ["object", "slice", "case"])
def test_flags_are_found_wherever_they_are(project, session, target):
    object_id = session.add_object(1)
    from napari_sss.engine.project.records import SliceKey

    where = {"object": object_id, "slice": SliceKey(Plane.CORONAL, 3), "case": None}[target]
    session.set_flag(where, Flag.UNCLEAR_BOUNDARY)
    session.close()
    assert overview(project)[0].findings.flags == {Flag.UNCLEAR_BOUNDARY}


def test_only_some_cases(project, suggested, make_scan):
    project.cases.add([make_scan("b.nii.gz", seed=1), make_scan("c.nii.gz", seed=2)])
    assert [line.case.name for line in overview(project)] == ["scan", "b", "c"]
    (line,) = overview(project, only=[3])
    assert isinstance(line, CaseLine)
    assert (line.case.name, line.case.status) == ("c", CaseStatus.NEW)
    assert line.findings == Findings()
    assert overview(project, only=[]) == []


def test_troubles_name_what_vanished_and_what_changed(project, make_scan):
    vanished, changed = make_scan("b.nii.gz", seed=1), make_scan("c.nii.gz", seed=2)
    project.cases.add([vanished, changed])
    assert project.cases.troubles() == {}
    vanished.unlink()
    make_scan("c.nii.gz", seed=3)
    assert project.cases.troubles() == {2: Trouble.MISSING, 3: Trouble.CHANGED}
    before = project.cases.thumbnail(3)
    project.cases.accept_change(3)
    assert project.cases.troubles() == {2: Trouble.MISSING}
    assert project.cases.thumbnail(3) != before


def test_a_folder_added_again_is_not_read_again(project, make_scan, monkeypatch):
    from napari_sss.engine.project import pool

    scan = make_scan("b.nii.gz", seed=1)
    seen = []
    added = project.cases.add([scan], on_added=seen.append)
    assert [case.name for case in seen] == ["b"] == [case.name for case in added.cases]
    monkeypatch.setattr(pool, "examine", lambda *_: pytest.fail("it was read"))
    again = project.cases.add([scan.parent])
    assert [reason for _, reason in again.skipped] == [
        "It is in the project already, as b.",
        "It is in the project already, as scan.",
    ]


def test_another_frame_of_the_same_file_is_another_case(project, tmp_path):
    import SimpleITK as sitk  # noqa: N813

    from napari_sss.engine.project.cases import Reading

    frames = np.random.default_rng(0).integers(0, 99, (2, 3, 4, 5)).astype(np.int16)
    path = tmp_path / "moving.nii.gz"
    image = sitk.JoinSeries([sitk.GetImageFromArray(frame) for frame in frames])
    sitk.WriteImage(image, str(path))
    assert len(project.cases.add([path], Reading(frame=1)).cases) == 1
    assert len(project.cases.add([path]).cases) == 1
    for frame in (None, 0, 1):
        assert not project.cases.add([path], Reading(frame=frame)).cases

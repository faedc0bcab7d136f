"""The class table: ids that are never given twice, removal that orphans nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_sss.engine.project.errors import ClassInUseError, ProjectError
from napari_sss.engine.project.masks import class_mask
from napari_sss.engine.project.project import Project
from napari_sss.engine.volumes.region import Region


@pytest.fixture
def second(project, make_scan):
    """A second case, open."""
    project.cases.add([make_scan("second.nii.gz", seed=1)])
    return project.open_case(2)


def names(project):
    return [(record.id, record.name) for record in project.classes]


def test_classes_get_ids_colours_and_keys_in_turn(project):
    assert project.add_class("vessel") == 3
    assert [r.key for r in project.classes] == ["1", "2", "3"]
    assert len({r.colour for r in project.classes}) == 3
    with Project.open(project.folder, read_only=True) as beside:
        assert beside.classes == project.classes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("organ",), "already"),
        (("  ",), "needs a name"),
        (("new", "red"), "no colour"),
        (("new", "#ff0000", "1"), "belongs to the class 'organ'"),
    ],
)
def test_what_would_confuse_is_refused(project, arguments, says):
    with pytest.raises(ProjectError, match=says):
        project.add_class(*arguments)
    assert len(project.classes) == 2


def test_a_class_in_use_goes_only_into_another(session, second, project):
    lesion = session.add_object(2)
    session.set_region(lesion, Region.of(_ones()))
    with pytest.raises(ClassInUseError, match="has 1 objects: scan"):
        second.remove_class(2)
    second.remove_class(2, into=1)
    assert names(project) == [(1, "organ")]
    assert project.class_of(2).name == "organ"
    assert class_mask(session.state).max() == 1
    assert session.prompts(lesion).class_name == "organ"


def test_ids_of_removed_classes_are_not_given_again(session, project):
    session.remove_class(2)
    assert session.add_class("vessel") == 3
    assert names(project) == [(1, "organ"), (3, "vessel")]


def test_undo_takes_a_new_class_back_and_redo_brings_it(session, project):
    vessel = session.add_class("vessel")
    session.undo()
    assert names(project) == [(1, "organ"), (2, "lesion")]
    session.redo()
    assert names(project)[-1] == (vessel, "vessel")


def test_undo_keeps_a_class_that_another_case_uses(session, second, project):
    vessel = session.add_class("vessel")
    second.add_object(vessel)
    applied = session.undo()
    assert any("used in other cases" in note for note in applied.notes)
    assert names(project)[-1] == (vessel, "vessel")


def test_undo_keeps_what_was_changed_from_elsewhere_since(session, project):
    session.edit_class(replace(project.classes[0], name="liver"))
    project.edit_class(replace(project.classes[0], name="Leber"))
    applied = session.undo()
    assert any("changed since" in note for note in applied.notes)
    assert names(project)[0] == (1, "Leber")


def test_a_removed_class_comes_back_with_its_object(session, project):
    lesion = session.add_object(2)
    session.delete([lesion])
    project.remove_class(2)
    project.add_class("lesion")
    applied = session.undo()
    assert any("is back" in note for note in applied.notes)
    assert names(project) == [(1, "organ"), (2, "lesion (2)"), (3, "lesion")]
    session.flush()
    with Project.open(project.folder, read_only=True) as beside:
        assert beside.classes == project.classes


def test_reclassify_moves_all_objects_of_a_class(session):
    ids = [session.add_object(class_id) for class_id in (1, 2, 1)]
    session.reclassify(1, into=2)
    assert [session.state.objects[i].class_id for i in ids] == [2, 2, 2]
    session.undo()
    assert [session.state.objects[i].class_id for i in ids] == [1, 2, 1]


def _ones():
    import numpy as np

    return np.ones((1, 2, 2), dtype=bool)

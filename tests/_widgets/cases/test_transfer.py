"""What leaves a project by the tab's menu, and what enters it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss._widgets.cases.transfer import ExportOptions, Form, ImportQuestion
from napari_sss._widgets.status import Severity
from napari_sss.engine.project.importing import LabelValue
from napari_sss.engine.project.records import CaseStatus, Review


def voxels(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture
def annotated(desk, folder, suggest):
    """Case ``a`` has two organs, of which the first is accepted; ``b`` is accepted."""
    desk.open(folder)
    project = desk.room.project
    session = project.open_case(1)
    suggest(session)
    suggest(session, x=8)
    session.review_objects([1], Review.ACCEPTED)
    session = project.open_case(2)
    suggest(session)
    session.review_case(Review.ACCEPTED)
    project.flush()
    desk.catalogue.refresh()
    desk.settle()
    return desk


class TestWhyNot:
    def test_without_a_project(self, desk):
        assert desk.transfers.why_not(Form.MASK, []) == "No project is open."

    def test_what_is_missing_is_named(self, annotated):
        why_not = annotated.transfers.why_not
        assert why_not(Form.MASK, []) == "Select a case in the list."
        assert why_not(Form.MASK, [annotated.row("c")]) == (
            "The selected cases have no objects yet."
        )
        assert why_not(Form.MASK, [annotated.row("a"), annotated.row("c")]) == ""
        assert why_not(Form.NNUNET, []) == ""
        assert "a is no DICOM series" in why_not(Form.DICOM_SEG, [annotated.row("a")])

    def test_nothing_accepted_yet(self, desk, folder):
        desk.open(folder)
        assert desk.transfers.why_not(Form.NNUNET, []) == "No case is accepted yet."

    def test_without_the_extra(self, annotated, make_series, suggest, monkeypatch):
        annotated.actions.add([make_series()])
        annotated.settle()
        suggest(annotated.room.project.open_case(5), x=1)
        annotated.catalogue.refresh([5])
        annotated.settle()
        series = [annotated.row("series")]
        assert annotated.transfers.why_not(Form.DICOM_SEG, series) == ""
        monkeypatch.setattr("napari_sss.engine.project.dicom_seg.find_spec", lambda name: None)
        assert "pip install" in annotated.transfers.why_not(Form.DICOM_SEG, series)


class TestExports:
    @pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
    def test_one_case_is_one_file_with_its_sidecar(self, annotated, tmp_path, suffix):
        target = tmp_path / f"mask{suffix}"
        annotated.transfers.export(Form.MASK, [annotated.row("a")], target)
        annotated.settle()
        assert np.count_nonzero(voxels(target) == 1) == 8  # two organs of 2 x 2 voxels
        assert annotated.said[-1] == f"a was exported to {target}."
        text = (tmp_path / "mask.json").read_text()
        assert str(tmp_path) not in text
        assert json.loads(text)["objects"][0]["sections"][0]["made_by"] == "auto"

    def test_accepted_objects_only_and_with_names(self, annotated, tmp_path):
        rows = [annotated.row("a"), annotated.row("b"), annotated.row("c")]
        options = ExportOptions(accepted_only=True, identify=True)
        annotated.transfers.export(Form.MASK, rows, tmp_path / "out", options)
        annotated.settle()
        names = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert names == ["a.json", "a.nii.gz", "b.json", "b.nii.gz"]
        assert np.count_nonzero(voxels(tmp_path / "out" / "a.nii.gz")) == 4
        source = json.loads((tmp_path / "out" / "a.json").read_text())["source"]
        assert source["name"] == "a"
        assert source["path"].endswith("a.nii.gz")

    def test_several_cases_get_names_that_tell_nothing(self, annotated, tmp_path):
        rows = [annotated.row("a"), annotated.row("b")]
        annotated.transfers.export(Form.OBJECTS, rows, tmp_path / "out")
        annotated.settle()
        files = sorted(
            p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("00*")
        )
        assert files == [
            "case_0001/001_organ.nii.gz",
            "case_0001/002_organ.nii.gz",
            "case_0002/001_organ.nii.gz",
        ]
        assert annotated.said[-1].startswith("2 cases were exported to")
        assert "(3 files, with sidecars)" in annotated.said[-1]

    def test_the_dataset_holds_the_accepted_cases(self, annotated, tmp_path):
        annotated.transfers.export(Form.NNUNET, [], tmp_path / "Dataset501_Organ")
        annotated.settle()
        dataset = tmp_path / "Dataset501_Organ"
        assert [p.name for p in (dataset / "labelsTr").iterdir()] == ["case_0002.nii.gz"]
        assert [p.name for p in (dataset / "imagesTr").iterdir()] == ["case_0002_0000.nii.gz"]
        assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 1

    def test_a_dicom_series_as_segmentation(self, desk, folder, make_series, suggest, tmp_path):
        desk.open(folder)
        desk.actions.add([make_series()])
        desk.settle()
        suggest(desk.room.project.open_case(5), x=1)
        desk.catalogue.refresh([5])
        desk.settle()
        desk.transfers.export(Form.DICOM_SEG, [desk.row("series")], tmp_path / "seg.dcm")
        desk.settle()
        assert desk.said[-1] == f"series was exported to {tmp_path / 'seg.dcm'}."
        assert (tmp_path / "seg.dcm").read_bytes()[128:132] == b"DICM"
        assert (tmp_path / "seg.json").exists()

    def test_a_fault_is_told_with_the_remedy(self, annotated, tmp_path):
        (tmp_path / "file").write_text("")
        annotated.transfers.export(
            Form.MASK, [annotated.row("a")], tmp_path / "file" / "m.nrrd"
        )
        annotated.settle()
        assert annotated.notices[-1].severity is Severity.ERROR
        assert "you may write there" in annotated.said[-1]


class TestImports:
    def ask(self, desk, path, case_id=1):
        asked = []
        desk.transfers.ask_about(path, case_id, asked.append)
        desk.settle()
        return asked[0] if asked else None

    def test_a_mask_of_another_viewer_goes_back_in(self, annotated, tmp_path):
        path = tmp_path / "mask.nii.gz"
        annotated.transfers.export(Form.MASK, [annotated.row("a")], path)
        annotated.settle()
        question = self.ask(annotated, path, case_id=3)
        assert question == ImportQuestion(
            path, 3, "c", (LabelValue(1, 8, "organ"),), {1: "organ"}
        )
        assert question.suggested(question.values[0]) == 1
        annotated.transfers.enter(question, {1: 1}, "part")
        annotated.settle()
        assert annotated.said[-1] == "mask.nii.gz: 2 objects imported into c."
        assert annotated.row("c").objects == 2
        assert annotated.row("c").status is CaseStatus.IN_WORK

    def test_new_classes_are_made_by_name(self, annotated, tmp_path):
        labels = np.zeros((4, 12, 14), np.uint8)
        labels[0, 0, :3], labels[1, 5, 5], labels[2, 2, 2] = 1, 7, 9
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing((1.0, 0.5, 3.0))
        sitk.WriteImage(image, str(tmp_path / "other.nrrd"))
        question = self.ask(annotated, tmp_path / "other.nrrd", case_id=3)
        assert [(v.value, v.voxels) for v in question.values] == [(1, 3), (7, 1), (9, 1)]
        assert [question.suggested(v) for v in question.values] == [1, None, None]
        annotated.transfers.enter(question, {1: 1, 7: "tumour"})
        annotated.settle()
        project = annotated.room.project
        assert [record.name for record in project.classes] == ["organ", "tumour"]
        state = project.annotation(3)
        assert [record.class_id for record in state.objects.values()] == [1, 2]
        assert np.count_nonzero(state.labels) == 4  # the value 9 was left out

    def test_into_the_case_at_work_it_can_be_undone(self, annotated, tmp_path):
        path = tmp_path / "mask.nii.gz"
        annotated.transfers.export(Form.MASK, [annotated.row("a")], path)
        annotated.actions.open_case(4)
        annotated.settle()
        question = self.ask(annotated, path, case_id=4)
        annotated.transfers.enter(question, {1: 1})
        annotated.settle()
        session = annotated.room.session
        assert len(session.state.objects) == 1
        session.undo()
        assert not session.state.objects

    def test_another_grid_is_refused_with_the_remedy(self, annotated, make_scan, tmp_path):
        other = make_scan("other.nii.gz", shape=(3, 12, 14))
        assert self.ask(annotated, other) is None
        assert annotated.notices[-1].severity is Severity.ERROR
        assert "Resample" in annotated.said[-1] or "grid" in annotated.said[-1]

    def test_a_project_only_read_takes_nothing(self, annotated, second_desk, folder, tmp_path):
        path = tmp_path / "mask.nii.gz"
        annotated.transfers.export(Form.MASK, [annotated.row("a")], path)
        annotated.settle()
        second_desk.open(folder)
        question = self.ask(second_desk, path, case_id=3)
        second_desk.transfers.enter(question, {1: 1})
        second_desk.settle()
        assert "reading only" in second_desk.said[-1]

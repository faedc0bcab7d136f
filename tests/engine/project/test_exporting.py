"""What leaves a project: masks, datasets, provenance, training data; what comes in."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.errors import GeometryError, InputError, VolumeError
from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.exporting import (
    case_provenance,
    chosen_cases,
    export_mask,
    export_objects,
)
from napari_sss.engine.project.importing import LabelValue, import_labels, label_values
from napari_sss.engine.project.mask_actions import Making
from napari_sss.engine.project.masks import known_voxels, training_mask
from napari_sss.engine.project.nnunet import export_nnunet
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.provenance import Replay
from napari_sss.engine.project.records import Flag, Review, RunRecord
from napari_sss.engine.project.training_data import accepted_training_data
from napari_sss.engine.prompts.types import Box, Plane, Point, SlicePrompt
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.region import Region
from napari_sss.engine.volumes.writing import read_labels, write_labels

RUN = RunRecord("embedded", "ab" * 32, 256, {"low": -160.0, "high": 240.0, "name": "soft"})


def block(offset, shape):
    return Region(offset, np.ones(shape, dtype=bool))


def voxels_at(labels, value):
    return Region.of(labels == value)


@pytest.fixture
def annotated(session):
    """Organ 1 (2 x 4 x 4 from a model, accepted), lesion 2 (2 x 2 painted on slice 3)."""
    organ = session.add_object(1, [SlicePrompt(0, box=Box(2, 2, 6, 6))])
    session.set_region(organ, block((0, 2, 2), (2, 4, 4)), Making(run=RUN), confidence=0.9)
    where = np.ravel_multi_index(np.mgrid[3:4, 8:10, 8:10].reshape(3, -1), (4, 12, 14))
    session.paint(LabelDiff.of_voxels(where, 0, 2), class_id=2)
    session.review_objects([organ], Review.ACCEPTED)
    return session


class TestMasks:
    @pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
    def test_a_mask_lies_on_the_scans_grid(self, project, annotated, tmp_path, suffix):
        path = export_mask(project, 1, tmp_path / f"mask{suffix}")
        volume = project.cases.read(1)
        labels = read_labels(path, volume.grid)
        assert read_volume(path).grid.distance_to(volume.grid) < 1e-6
        assert np.array_equal(labels, annotated.labels)  # class ids equal object ids here
        sidecar = json.loads((tmp_path / "mask.json").read_text())
        assert sidecar["classes"] == {"organ": 1, "lesion": 2}

    def test_only_what_is_accepted(self, project, annotated, tmp_path):
        path = export_mask(project, 1, tmp_path / "m.nii.gz", accepted_only=True)
        assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))) == {0, 1}

    def test_object_ids_instead_of_classes(self, project, annotated, tmp_path):
        annotated.change_class([2], 1)
        path = export_mask(project, 1, tmp_path / "m.nii.gz", values="objects")
        assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))) == {0, 1, 2}

    def test_a_file_for_each_object_never_outside_the_folder(
        self, project, annotated, tmp_path
    ):
        from dataclasses import replace

        project.edit_class(replace(project.classes[1], name="../../evil"))
        files = export_objects(project, 1, tmp_path / "out")
        assert [path.name for path in files] == ["001_organ.nii.gz", "002_evil.nii.gz"]
        counts = [sitk.GetArrayFromImage(sitk.ReadImage(str(f))).sum() for f in files]
        assert counts == [32, 4]
        assert (tmp_path / "out" / "objects.json").exists()
        with pytest.raises(InputError, match="no extension"):
            export_objects(project, 1, tmp_path / "out", suffix=".png")

    def test_which_cases(self, project, annotated, make_scan):
        project.cases.add([make_scan("new.nii.gz", seed=4)])
        assert chosen_cases(project) == [1]
        assert chosen_cases(project, ["new"]) == [2]
        with pytest.raises(ProjectError, match="accepted"):
            chosen_cases(project, accepted_only=True)


class TestProvenance:
    def test_who_made_what(self, project, annotated):
        annotated.set_flag(2, Flag.UNCLEAR_BOUNDARY)
        content = case_provenance(project, 1)
        organ, lesion = content["objects"]
        assert (organ["class"], organ["accepted"], organ["confidence"]) == ("organ", True, 0.9)
        assert [s["made_by"] for s in organ["sections"]] == ["prompted", "prompted"]
        assert [s["run"] for s in organ["sections"]] == [RUN.key, RUN.key]
        assert (lesion["accepted"], lesion["flags"]) == (False, ["unclear boundary"])
        assert [(s["index"], s["made_by"], s["stored"]) for s in lesion["sections"]] == [
            (3, "painted", True)
        ]
        assert content["runs"][RUN.key]["model"] == "embedded"
        assert content["prompts"]["objects"][0]["prompts"] == [{"z": 0, "box": [2, 2, 6, 6]}]
        assert content["case"]["seconds"] >= 0
        assert content["grid"]["shape_zyx"] == [4, 12, 14]

    def test_no_name_no_path_no_patient(self, tmp_path, make_scan):
        with Project.create(tmp_path / "secret project") as project:
            project.cases.add([make_scan("Doe_Jane.nii.gz")])
            project.add_class("organ")
            project.open_case(1).add_object(1)
            text = json.dumps(case_provenance(project, 1))
        for secret in ("Doe", "Jane", "secret", str(tmp_path), "scans"):
            assert secret not in text

    def test_names_and_paths_only_where_asked_for(self, project, annotated, tmp_path):
        for identify in (False, True):
            export_mask(project, 1, tmp_path / "m.nii.gz", identify=identify)
            told = json.loads((tmp_path / "m.json").read_text())["source"]
            assert (told.get("name") == "scan") is identify
            assert (str(tmp_path) in str(told.get("path"))) is identify

    def test_a_mask_of_some_objects_says_which(self, project, annotated, tmp_path):
        export_mask(project, 1, tmp_path / "m.nii.gz", accepted_only=True)
        content = json.loads((tmp_path / "m.json").read_text())
        assert content["exported"] == [1]
        assert [o["id"] for o in content["objects"]] == [1, 2]
        assert Replay.of(content).exported == (1,)
        del content["exported"]  # a sidecar of an older program
        assert Replay.of(content).exported == (1, 2)

    def test_a_replay_gives_the_same_mask(self, project, annotated):
        """The model gives its whole block again; a stroke had cut a corner off it since."""
        annotated.review_objects([1], Review.OPEN)
        where = np.ravel_multi_index(np.mgrid[1:2, 2:4, 2:4].reshape(3, -1), (4, 12, 14))
        annotated.paint(LabelDiff.of_voxels(where, 1, 2))
        content = json.loads(json.dumps(case_provenance(project, 1)))
        replay = Replay.of(content)
        assert [o.id for o in replay.prompts.objects] == [1]
        made = {1: block((0, 2, 2), (2, 4, 4))}
        labels = replay.labels(made)
        assert np.array_equal(labels, annotated.labels)
        assert replay.is_same(labels)
        assert not replay.is_same(replay.labels({1: block((0, 2, 2), (1, 4, 4 - 1))}))

    def test_what_followed_from_earlier_answers_is_stored(self, project, session):
        """Three slices of a propagation; slice 1 was then answered by clicking about."""
        clicked = replace(RUN, settings={"repeatable": False})
        organ = session.add_object(1, [SlicePrompt(0, box=Box(2, 2, 6, 6))])
        session.set_region(organ, block((0, 2, 2), (3, 4, 4)), Making(run=RUN))
        answer = SliceMask(organ, 1, Plane.AXIAL, (2, 2), np.eye(4, dtype=bool), 0.9)
        session.set_slices(organ, [answer], Making(run=clicked))
        # Another object was made by clicks alone: nothing of it is asked of a model.
        other = session.add_object(2, [SlicePrompt(3, points=(Point(9, 9),))])
        dot = SliceMask(other, 3, Plane.AXIAL, (8, 8), np.ones((2, 2), bool), 0.9)
        session.set_slices(other, [dot], Making(run=clicked))
        content = json.loads(json.dumps(case_provenance(project, 1)))
        assert [o["run"] for o in content["objects"]] == [RUN.key, None]
        assert [s["stored"] for s in content["objects"][0]["sections"]] == [False, True, False]
        replay = Replay.of(content)
        assert [o.id for o in replay.prompts_of(RUN.key).objects] == [organ]
        labels = replay.labels({organ: block((0, 2, 2), (3, 4, 4))})
        assert np.array_equal(labels, session.labels)
        assert replay.is_same(labels)

    def test_what_is_no_sidecar_is_refused(self):
        with pytest.raises(ProjectError, match="not the sidecar"):
            Replay.of({"format": "napari-sss mask", "version": 1})


class TestTrainingData:
    def test_accepted_slices_teach_everything_accepted_objects_only_themselves(
        self, project, annotated
    ):
        """Slice 3 is accepted: background too. The organ on slices 0 and 1: itself only."""
        annotated.review_slice(Plane.AXIAL, 3, Review.ACCEPTED)
        mask = training_mask(annotated.state)
        assert (mask[3] == 2).sum() == 4
        assert (mask[3] == 0).sum() == 12 * 14 - 4
        assert (mask[0] == 1).sum() == (mask[1] == 1).sum() == 16
        assert (mask[0] == 255).sum() == 12 * 14 - 16
        assert (mask[2] == 255).all()

    def test_single_sections_and_other_planes(self, session):
        lesion = session.add_object(2)
        session.set_region(lesion, block((0, 2, 2), (2, 4, 4)))
        session.review_section(lesion, Plane.AXIAL, 1, Review.ACCEPTED)
        session.review_slice(Plane.SAGITTAL, 9, Review.ACCEPTED)
        known = known_voxels(session.state)
        assert known[1].sum() == 16 + 12
        assert known[0].sum() == 12
        session.review_slice(Plane.AXIAL, 1, Review.REJECTED)
        assert not known_voxels(session.state)[1].any()

    def test_cases_are_labelled_pool_or_missing(self, project, annotated, make_scan):
        annotated.review_slice(Plane.AXIAL, 3, Review.ACCEPTED)
        scans = [make_scan(f"{n}.nii.gz", seed=k) for k, n in enumerate(("pool", "gone"), 5)]
        project.cases.add(scans)
        scans[1].unlink()
        data = accepted_training_data(project)
        (case,) = data.labelled
        assert (case.whole, case.objects) == (False, {1: 1})
        assert [(k.plane, k.index) for k in case.slices] == [(Plane.AXIAL, 3)]
        assert case.image == make_scan().absolute()
        assert [c.name for c in data.unlabelled] == ["pool"]
        assert [name for name, _ in data.missing] == ["gone"]
        assert data.classes == {"organ": 1, "lesion": 2}
        grid = project.cases.get(1).grid
        assert np.array_equal(read_labels(case.label, grid), training_mask(annotated.state))
        assert case.label.parent == project.folder / "masks"

    def test_label_files_are_written_only_when_they_would_differ(self, project, annotated):
        (case,) = accepted_training_data(project).labelled
        first = case.label.stat().st_mtime_ns
        assert accepted_training_data(project).labelled[0].label.stat().st_mtime_ns == first
        annotated.review_case(Review.ACCEPTED)
        (case,) = accepted_training_data(project).labelled
        assert case.whole
        assert case.objects == {1: 1, 2: 2}
        assert case.label.stat().st_mtime_ns != first
        assert 255 not in sitk.GetArrayFromImage(sitk.ReadImage(str(case.label)))

    def test_a_project_only_read_needs_a_folder_for_labels(self, project, annotated, tmp_path):
        project.flush()
        with Project.open(project.folder, read_only=True) as beside:
            with pytest.raises(ProjectError, match="Name a folder"):
                accepted_training_data(beside)
            data = accepted_training_data(beside, tmp_path / "labels")
            assert data.labelled[0].label.parent == tmp_path / "labels"


class TestNnunet:
    def test_the_layout_and_the_numbers(self, project, annotated, make_scan, tmp_path):
        project.remove_class(1, into=2)  # classes left: 2, which must become label 1
        annotated.review_case(Review.ACCEPTED)
        dataset = export_nnunet(project, tmp_path / "Dataset501_X")
        folder = dataset.folder
        description = json.loads((folder / "dataset.json").read_text())
        assert description == {
            "channel_names": {"0": "scan"},
            "labels": {"background": 0, "lesion": 1},
            "numTraining": 1,
            "file_ending": ".nii.gz",
        }
        image = folder / "imagesTr" / "case_0001_0000.nii.gz"
        assert image.read_bytes() == make_scan().read_bytes()
        labels = sitk.GetArrayFromImage(
            sitk.ReadImage(str(folder / "labelsTr" / "case_0001.nii.gz"))
        )
        assert (labels == 1).sum() == 36
        assert set(np.unique(labels)) == {0, 1}

    def test_parts_get_the_ignore_label_and_links_are_links(self, project, annotated, tmp_path):
        with pytest.raises(ProjectError, match="Nothing"):
            export_nnunet(project, tmp_path / "d")
        dataset = export_nnunet(
            project, tmp_path / "d", partial=True, images="link", own_names=True
        )
        description = json.loads((dataset.folder / "dataset.json").read_text())
        assert description["labels"] == {"background": 0, "organ": 1, "lesion": 2, "ignore": 3}
        labels = sitk.GetArrayFromImage(
            sitk.ReadImage(str(dataset.folder / "labelsTr" / "scan.nii.gz"))
        )
        assert (labels == 1).sum() == 32
        assert (labels == 3).sum() == labels.size - 32
        assert (dataset.folder / "imagesTr" / "scan_0000.nii.gz").is_symlink()

    def test_other_formats_are_converted(self, project, make_scan, tmp_path):
        (case,) = project.cases.add([make_scan("other.nrrd", seed=9)]).cases
        project.open_case(case.id).review_case(Review.ACCEPTED)
        dataset = export_nnunet(project, tmp_path / "d")
        image = read_volume(dataset.folder / "imagesTr" / f"case_000{case.id}_0000.nii.gz")
        original = project.cases.read(case.id)
        assert np.array_equal(image.array, original.array)
        assert image.grid.distance_to(original.grid) < 1e-6


class TestImport:
    def test_a_mask_in_another_axis_order_finds_its_place(self, project, session, tmp_path):
        """The file holds the scan's voxels flipped and transposed; values 3 and 7."""
        grid = project.cases.get(1).grid
        labels = np.zeros(grid.shape, np.uint8)
        labels[1, 2:5, 3:9] = 3
        labels[2, 8, 1] = labels[2, 8, 12] = 7
        from napari_sss.engine.volumes.grid import AxisView

        view = AxisView((2, 0, 1), (True, False, True))
        path = write_labels(view.apply(labels), grid.viewed(view), tmp_path / "m.nii.gz")
        import_labels(session, grid, path, {3: 1, 7: 2}, each="part")
        assert {i: o.class_id for i, o in session.state.objects.items()} == {1: 1, 2: 2, 3: 2}
        assert np.array_equal(session.labels == 1, labels == 3)
        assert np.array_equal(session.labels >= 2, labels == 7)
        assert session.history.undoable == 1

    def test_the_values_are_told_with_the_names_of_the_sidecar(
        self, project, annotated, tmp_path
    ):
        path = export_mask(project, 1, tmp_path / "m.nii.gz")
        grid = project.cases.get(1).grid
        # 2 x 4 x 4 voxels of the organ, 1 x 2 x 2 of the lesion
        both = (LabelValue(1, 32, "organ"), LabelValue(2, 4, "lesion"))
        assert label_values(path, grid) == both
        path.with_name("m.json").write_text("[]")
        assert [v.name for v in label_values(path, grid)] == ["", ""]
        export_mask(project, 1, path, values="objects")
        assert label_values(path, grid) == both
        write_labels(np.zeros(grid.shape, np.uint8), grid, path)
        with pytest.raises(VolumeError, match="all its voxels are background"):
            label_values(path, grid)

    def test_what_does_not_fit_is_refused(self, project, session, tmp_path, make_scan):
        grid = project.cases.get(1).grid
        path = write_labels(np.full(grid.shape, 5, np.uint8), grid, tmp_path / "m.nii.gz")
        with pytest.raises(VolumeError, match="none of the values"):
            import_labels(session, grid, path, {3: 1})
        with pytest.raises(GeometryError, match="another grid"):
            import_labels(session, grid, make_scan("w.nii.gz", shape=(4, 12, 15)), {3: 1})
        assert session.performed == 0


def test_prompts_in_the_sidecar_are_a_prompt_file(project, session):
    from napari_sss.engine.prompts.promptfile import prompts_from_dict

    given = SlicePrompt(2, points=(Point(1, 2), Point(3, 4, positive=False)))
    session.add_object(1, [given])
    prompts = prompts_from_dict(case_provenance(project, 1)["prompts"])
    assert prompts.objects[0].prompts == (given,)
    assert prompts.objects[0].class_name == "organ"

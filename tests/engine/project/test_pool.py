"""Adding scans, finding them again, and noticing that one has changed."""

from __future__ import annotations

import io
import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from napari_sss.engine.errors import Cancelled, InputError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.cases import CaseFilter, Reading
from napari_sss.engine.project.errors import (
    CaseChangedError,
    CaseMissingError,
    ProjectError,
    ReadOnlyError,
)
from napari_sss.engine.project.paths import inside, safe_name
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus, Flag, Review
from napari_sss.engine.prompts.types import Plane


@pytest.fixture
def dicom_folder(tmp_path):
    """Two series of three slices in one folder, written with SimpleITK; patient P7."""
    folder = tmp_path / "dicom"
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for series in (1, 2):
        for z in range(3):
            image = sitk.GetImageFromArray(
                np.full((1, 6, 5), 100 * series + z, np.int16), isVector=False
            )
            image.SetSpacing((2.0, 2.0, 5.0))
            tags = {
                "0008|0060": "CT",
                "0008|0018": f"1.2.{series}.{z + 1}",
                "0010|0020": "P7",
                "0010|0010": "Doe^Jane",
                "0020|000e": f"1.2.{series}",
                "0020|000d": "1.2",
                "0020|0052": "1.2.9",
                "0020|0032": f"0\\0\\{5 * z}",
                "0020|0037": "1\\0\\0\\0\\1\\0",
                "0020|0013": str(z),
            }
            for tag, value in tags.items():
                image.SetMetaData(tag, value)
            writer.SetFileName(str(folder / f"{series}_{z}.dcm"))
            writer.Execute(image)
    return folder


class TestAdding:
    def test_a_case_knows_its_scan(self, project):
        case = project.cases.get(1)
        assert case.name == "scan"
        assert case.grid.shape == (4, 12, 14)
        assert case.grid.spacing == (3.0, 0.5, 1.0)
        assert case.relative_path == "../scans/scan.nii.gz"
        assert case.status is CaseStatus.NEW
        assert case.patient is None
        assert project.cases.named("scan") == case

    def test_a_thumbnail_has_the_patients_proportions(self, project):
        """12 rows of 0.5 mm by 14 columns of 1 mm: 6 to 14, so 41 to 96 pixels."""
        picture = Image.open(io.BytesIO(project.cases.thumbnail(1)))
        assert (picture.size, picture.mode) == ((96, 41), "L")
        assert np.asarray(picture).std() > 10

    def test_a_folder_is_searched_and_faults_do_not_stop_it(self, project, make_scan, tmp_path):
        for name in ("b.nii.gz", "deep/a.nrrd"):
            (tmp_path / "more").mkdir(exist_ok=True)
            source = make_scan(os.path.basename(name), seed=len(name))
            (tmp_path / "more" / name).parent.mkdir(exist_ok=True)
            shutil.move(source, tmp_path / "more" / name)
        (tmp_path / "more" / "broken.nii.gz").write_bytes(b"nothing")
        (tmp_path / "more" / "notes.txt").write_text("")
        seen = []
        added = project.cases.add([tmp_path / "more"], control=JobControl(seen.append))
        assert [case.name for case in added.cases] == ["b", "a"]
        assert [path.name for path, _ in added.skipped] == ["broken.nii.gz"]
        assert [(p.done, p.total) for p in seen if p.stage == "adding"][-1] == (3, 3)

    def test_the_same_scan_under_another_name_is_not_added_twice(self, project, make_scan):
        copy = make_scan().with_name("copy.nii.gz")
        shutil.copyfile(make_scan(), copy)
        added = project.cases.add([copy])
        assert not added.cases
        assert "already, as scan" in added.skipped[0][1]

    def test_names_are_unique(self, project, make_scan, tmp_path):
        (tmp_path / "other").mkdir()
        other = shutil.move(make_scan("scan2.nii.gz", seed=5), tmp_path / "other/scan.nii.gz")
        assert project.cases.add([other]).cases[0].name == "scan (2)"

    def test_adding_can_be_cancelled_and_keeps_what_was_added(
        self, project, make_scan, tmp_path
    ):
        paths = [make_scan(f"{k}.nii.gz", seed=k + 1) for k in range(3)]
        control = JobControl(lambda p: control.cancel() if p.done == 1 else None)
        with pytest.raises(Cancelled):
            project.cases.add(paths, control=control)
        assert [case.name for case in project.cases.select()] == ["scan", "0"]

    def test_what_is_not_there_is_refused(self, project, tmp_path):
        with pytest.raises(InputError, match="does not exist"):
            project.cases.add([tmp_path / "gone.nii.gz"])
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="holds no scan"):
            project.cases.add([tmp_path / "empty"])

    def test_each_dicom_series_is_a_case(self, project, dicom_folder):
        added = project.cases.add([dicom_folder])
        assert not added.skipped
        assert [case.reading.series_uid for case in added.cases] == ["1.2.1", "1.2.2"]
        assert [case.patient for case in added.cases] == ["P7", "P7"]
        volumes = [project.cases.read(case.id) for case in added.cases]
        assert [int(v.array[2, 0, 0]) for v in volumes] == [102, 202]
        assert volumes[0].grid == added.cases[0].grid

    def test_how_a_scan_was_read_is_kept(self, project, make_scan):
        reading = Reading(spacing=(2.0, 1.0, 1.0), modality="MR")
        (case,) = project.cases.add([make_scan("mr.nii.gz", seed=3)], reading).cases
        volume = project.cases.read(case.id)
        assert volume.grid.spacing == (2.0, 1.0, 1.0)
        assert volume.modality == case.modality == "MR"

    def test_a_case_with_an_annotation_does_not_go_by_accident(self, project, session):
        session.add_object(1)
        session.close()
        with pytest.raises(ProjectError, match="has been annotated"):
            project.cases.remove(1)
        project.cases.remove(1, with_annotation=True)
        assert project.cases.select() == []
        assert project._reader.rows("SELECT * FROM entry") == []


class TestFinding:
    def test_project_and_scans_may_move_together(self, project, tmp_path):
        project.close()
        moved = tmp_path / "elsewhere"
        moved.mkdir()
        for name in ("project", "scans"):
            shutil.move(tmp_path / name, moved / name)
        with Project.open(moved / "project") as again:
            assert again.cases.locate(1) == moved / "scans" / "scan.nii.gz"
            assert again.cases.get(1).absolute_path == moved / "scans" / "scan.nii.gz"

    def test_the_project_may_move_alone(self, project, tmp_path):
        project.close()
        (tmp_path / "far" / "away").mkdir(parents=True)
        shutil.move(project.folder, tmp_path / "far" / "away" / "project")
        with Project.open(tmp_path / "far" / "away" / "project") as again:
            assert again.cases.locate(1) == tmp_path / "scans" / "scan.nii.gz"

    def test_a_vanished_scan_is_told_and_its_annotation_still_opens(self, project, make_scan):
        project.open_case(1).add_object(1)
        path = make_scan()
        path.rename(path.with_name("renamed.nii.gz"))
        with pytest.raises(CaseMissingError, match="annotation is kept"):
            project.cases.read(1)
        assert set(project.open_case(1).state.objects) == {1}

    def test_missing_scans_are_looked_for_by_name_and_content(
        self, project, make_scan, tmp_path
    ):
        path = make_scan()
        decoy = tmp_path / "x" / "scan.nii.gz"
        decoy.parent.mkdir()
        decoy.write_bytes(b"something else")
        true = tmp_path / "y" / "deep" / "scan.nii.gz"
        true.parent.mkdir(parents=True)
        path.rename(true)
        (found,) = project.cases.find_again(tmp_path)
        assert found.absolute_path == true
        assert project.cases.locate(1) == true

    def test_a_changed_scan_is_noticed_though_it_has_the_same_size(self, project, make_scan):
        path = make_scan("plain.nii", seed=3)
        (case,) = project.cases.add([path]).cases
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(CaseChangedError, match="has changed"):
            project.cases.read(case.id)
        project.cases.accept_change(case.id)
        assert project.cases.read(case.id).array.shape == (4, 12, 14)

    def test_a_scan_that_was_only_touched_is_the_same(self, project, make_scan):
        path = make_scan()
        os.utime(path, (1e9, 1e9))
        before = project.cases.get(1).stamp
        project.cases.locate(1)
        assert project.cases.get(1).stamp != before

    def test_a_scan_on_another_grid_is_not_taken_over(self, project, make_scan):
        make_scan(shape=(4, 12, 15))
        with pytest.raises(ProjectError, match="another grid"):
            project.cases.accept_change(1)

    def test_a_dicom_series_is_the_same_under_other_file_names(self, project, dicom_folder):
        first, second = project.cases.add([dicom_folder]).cases
        (dicom_folder / "1_0.dcm").rename(dicom_folder / "anew.dcm")
        assert project.cases.locate(first.id) == dicom_folder
        (dicom_folder / "2_1.dcm").unlink()
        assert project.cases.locate(first.id) == dicom_folder
        with pytest.raises(CaseChangedError):
            project.cases.locate(second.id)


class TestLists:
    @pytest.fixture
    def three(self, project, make_scan):
        project.cases.add([make_scan(f"case{k}.nii.gz", seed=k) for k in (1, 2)])
        project.open_case(1).review_case(Review.ACCEPTED)
        project.open_case(2).set_flag(None, Flag.UNCLEAR_BOUNDARY)
        project.flush()
        return project.cases

    def test_filters(self, three):
        def names(**chosen):
            return [case.name for case in three.select(CaseFilter(**chosen))]

        assert names() == ["scan", "case1", "case2"]
        assert names(statuses=[CaseStatus.NEW, CaseStatus.ACCEPTED]) == ["scan", "case2"]
        assert names(text="CASE") == ["case1", "case2"]
        assert names(flagged=True) == ["case1"]
        assert names(statuses=[]) == []

    def test_next_and_previous(self, three):
        unfinished = CaseFilter(statuses=[CaseStatus.NEW])
        assert three.next(1).name == "case1"
        assert three.next(1, unfinished).name == "case2"
        assert three.previous(3, unfinished) is None
        assert three.next(3) is None
        assert three.previous(3).name == "case1"


class TestParking:
    def test_a_parked_case_is_resumed_with_everything_as_it_was(self, project):
        session = project.open_case(1)
        lesion = session.add_object(2)
        session.review_slice(Plane.AXIAL, 1, Review.ACCEPTED)
        session.undo()
        view = {"plane": "axial", "slice": 2, "object": lesion, "camera": [1.5, 2.0]}
        project.park(session, view)
        assert project.cases.get(1).status is CaseStatus.PARKED
        project.close()
        with Project.open(project.folder) as again:
            assert again.cases.get(1).view == view
            resumed = again.open_case(1)
            assert again.cases.get(1).status is CaseStatus.IN_WORK
            assert (resumed.history.undoable, resumed.history.redoable) == (1, 1)

    def test_the_view_is_saved_also_while_the_case_is_open(self, project, session):
        project.cases.save_view(1, {"slice": 3})
        project.flush()
        assert project.cases.get(1).view == {"slice": 3}

    def test_a_reader_does_not_resume_a_parked_case(self, project, session):
        session.add_object(1)
        project.park(session)
        with Project.open(project.folder, read_only=True) as beside:
            beside.open_case(1)
            assert beside.cases.get(1).status is CaseStatus.PARKED
            with pytest.raises(ReadOnlyError):
                beside.cases.add([project.folder])


class TestSettings:
    def test_settings_are_kept_and_unknown_ones_refused(self, project):
        from napari_sss.engine.errors import ConfigError
        from napari_sss.engine.project.guard import Overwrite

        assert project.settings.policy.accepted is Overwrite.KEEP
        changed = project.settings.model_copy(update={"overwrite_others": Overwrite.ASK})
        project.save_settings(changed)
        with Project.open(project.folder, read_only=True) as beside:
            assert beside.settings.policy.others is Overwrite.ASK
            with pytest.raises(ReadOnlyError):
                beside.save_settings(changed)
        (project.folder / "settings.json").write_text('{"colour": 1}')
        with pytest.raises(ConfigError, match=r"settings\.json"):
            _ = project.settings


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("C:\\Windows\\x", "C_Windows_x"),
        ("kidney (left)", "kidney_left"),
        (".hidden", "hidden"),
        ("", "_"),
        ("nul", "_nul"),
        ("Läsion", "Läsion"),
        ("a" * 200, "a" * 80),
    ],
)
def test_names_make_safe_file_names(name, safe):
    assert safe_name(name) == safe


@pytest.mark.parametrize("text", ["../x", "/etc/passwd", "a/../../x", "C:\\x", "\\\\host\\x"])
def test_stored_paths_do_not_lead_out_of_the_project(tmp_path, text):
    with pytest.raises(ProjectError, match="leads out"):
        inside(tmp_path, text)

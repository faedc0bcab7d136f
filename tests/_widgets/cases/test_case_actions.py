"""Projects and cases: what the tab does, without Qt."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss._widgets.status import Severity
from napari_sss.engine.project import pool
from napari_sss.engine.project.errors import SaveError
from napari_sss.engine.project.locating import Trouble
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus, Flag


class TestProjects:
    def test_a_new_project_is_empty_and_remembered(self, desk, tmp_path):
        desk.actions.create(tmp_path / "new")
        desk.settle()
        assert desk.room.project.folder == tmp_path / "new"
        assert desk.names == []
        assert desk.recent.folders() == (tmp_path / "new",)

    def test_opening_lists_the_cases(self, desk, folder):
        desk.open(folder)
        assert desk.names == ["a", "b", "c", "d"]
        assert {row.status for row in desk.catalogue.rows()} == {CaseStatus.NEW}
        desk.actions.close()
        desk.settle()
        assert desk.names == []

    def test_what_is_open_is_not_opened_again(self, desk, folder):
        desk.open(folder)
        project = desk.room.project
        desk.open(folder)
        assert desk.room.project is project
        assert desk.said == ["study is open already."]

    def test_the_default_project_is_not_among_the_recent_ones(self, desk, make_scan):
        from napari_sss.engine.volumes.reading import read_volume

        desk.room.choose(1, read_volume(make_scan()), "a")
        desk.settle()
        assert desk.names == ["a"]
        assert desk.recent.folders() == ()

    def test_a_newer_database_is_told_and_the_open_project_stays(self, desk, folder, tmp_path):
        newer = tmp_path / "newer"
        shutil.copytree(folder, newer)
        with sqlite3.connect(newer / "project.db") as connection:
            connection.execute("PRAGMA user_version = 99")
        desk.open(folder)
        desk.open(newer)
        assert desk.room.project.folder == folder
        assert "was written by a newer napari-sss" in desk.said[-1]
        assert "Update napari-sss. The project was not touched." in desk.said[-1]

    def test_a_damaged_database_is_told_with_the_remedy(self, desk, folder):
        (folder / "project.db").write_bytes(b"no database at all" * 1000)
        desk.open(folder)
        assert desk.room.project is None
        assert "is damaged" in desk.said[-1]
        assert "backup" in desk.said[-1]

    def test_a_folder_that_is_no_project(self, desk, tmp_path):
        desk.open(tmp_path)
        assert f"{tmp_path} is not a project" in desk.said[-1]

    def test_a_place_that_cannot_be_written(self, desk, tmp_path):
        (tmp_path / "file").write_text("")
        desk.actions.create(tmp_path / "file" / "project")
        desk.settle()
        assert "cannot be made" in desk.said[-1]
        assert desk.room.project is None


class TestAwkwardFolders:
    def test_one_that_may_not_be_written_opens_for_reading(self, desk, folder, monkeypatch):
        from napari_sss.engine.project import opening

        def refuse(path, mode):
            raise SaveError(
                f"{path} cannot be written: readonly database.", "Make it writable."
            )

        monkeypatch.setattr(opening, "open_writable", refuse)
        desk.open(folder)
        assert desk.names == ["a", "b", "c", "d"]
        assert "its folder cannot be written" in desk.actions.why_not_write
        assert any("open for reading only" in text for text in desk.said)

    def test_on_a_share_work_goes_on_without_wal(self, desk, folder, make_scan, monkeypatch):
        from napari_sss.engine.project import opening

        monkeypatch.setattr(opening, "is_network_folder", lambda folder: True)
        desk.open(folder)
        desk.actions.add([make_scan("x.nrrd", 9)])
        desk.settle()
        assert desk.names == ["a", "b", "c", "d", "x"]
        assert not (folder / "project.db-wal").exists()
        assert (folder / "project.owner").exists()
        desk.actions.close()
        desk.settle()
        assert not (folder / "project.owner").exists()


class TestTwoViewers:
    def test_the_second_reads_sees_the_work_and_takes_over_when_asked(
        self, desk, second_desk, folder
    ):
        desk.open(folder)
        second_desk.open(folder)
        assert f"written by process {os.getpid()}" in second_desk.actions.why_not_write
        assert any("reading only" in text for text in second_desk.said)
        session = desk.room.project.open_case(1)
        session.add_object(1)
        desk.room.project.flush()
        second_desk.catalogue.refresh()
        second_desk.settle()
        assert second_desk.row("a").status is CaseStatus.IN_WORK
        second_desk.actions.add([folder])
        assert second_desk.notices[-1].severity is Severity.WARNING
        assert not second_desk.tasks.status.running

        second_desk.actions.try_again()
        second_desk.settle()
        assert second_desk.actions.why_not_write  # the first one still has it
        session.close()
        desk.actions.close()
        desk.settle()
        second_desk.actions.try_again()
        second_desk.settle()
        assert second_desk.actions.why_not_write == ""

    def test_after_a_crash_of_the_first_nothing_has_to_be_removed(self, desk, folder):
        code = (
            "import sys, time; from napari_sss.engine.project.project import Project\n"
            "p = Project.open(sys.argv[1]); s = p.open_case(1); s.add_object(1); p.flush()\n"
            "print('ready', flush=True); time.sleep(60)"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, encoding="utf-8"
        )
        assert child.stdout.readline().strip() == "ready"
        desk.open(folder)
        assert f"process {child.pid}" in desk.actions.why_not_write
        child.kill()
        child.wait()
        child.stdout.close()
        desk.actions.try_again()
        desk.settle()
        assert desk.actions.why_not_write == ""
        assert desk.row("a").objects == 1


class TestAdding:
    def test_without_a_project_it_says_what_to_do_first(self, desk, make_scan):
        desk.actions.add([make_scan()])
        assert desk.said == ["Make a project, or open one, first."]

    def test_a_folder_with_progress_line_by_line(self, desk, folder, make_scan, make_series):
        desk.open(folder)
        for seed in range(3):
            make_scan(f"new_{seed}.nrrd", 10 + seed, folder="more")
        more = make_series(folder="more")
        (more / "broken.nii.gz").write_bytes(b"\x1f\x8b")
        seen = set()
        desk.catalogue.changed.connect(lambda: seen.add(len(desk.names)))
        desk.actions.add([more])
        desk.settle()
        assert desk.names[4:] == ["new_0", "new_1", "new_2", "more"]
        assert {5, 6, 7, 8} & seen - {8}, "the list grew while scans were added"
        lines = [status.line for status in desk.statuses if status.running]
        assert any("of 5" in line for line in lines)
        assert desk.said[-1].startswith("Added 4 cases. Left out 1:\nbroken.nii.gz: ")
        assert not desk.tasks.status.running

    def test_frames_of_a_file_become_cases_when_asked(self, desk, folder, tmp_path):
        desk.open(folder)
        frames = np.random.default_rng(3).integers(0, 9, (3, 2, 4, 5)).astype(np.int16)
        path = tmp_path / "moving.nii.gz"
        sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(f) for f in frames]), str(path))
        desk.actions.add([path])
        desk.settle()
        assert "Of moving the first frame was added" in desk.said[-1]
        assert "several frames" in desk.actions.why_no_frames([1])
        assert desk.actions.why_no_frames([5]) == ""
        desk.actions.add_frames(5)
        desk.settle()
        assert desk.names[4:] == ["moving", "moving (2)", "moving (3)"]
        for case_id, frame in zip((5, 6, 7), frames, strict=True):
            assert np.array_equal(desk.room.project.cases.read(case_id).array, frame)
        desk.actions.add_frames(6)
        desk.settle()
        assert len(desk.names) == 7

    def test_a_cancel_keeps_what_was_added(self, desk, folder, make_scan, monkeypatch):
        desk.open(folder)
        for seed in range(5):
            make_scan(f"new_{seed}.nrrd", 10 + seed, folder="more")
        real = pool.examine

        def examine(found, *rest):
            if found.path.stem == "new_2":
                desk.tasks.cancel()
            return real(found, *rest)

        monkeypatch.setattr(pool, "examine", examine)
        desk.actions.add([folder.parent / "more"])
        desk.settle()
        assert desk.names[4:6] == ["new_0", "new_1"]
        assert len(desk.names) < 9
        assert "stopped; the scans added so far stay" in desk.said[-1]

    def test_one_thing_at_a_time(self, desk, folder, make_scan, monkeypatch):
        desk.open(folder)
        desk.actions.add([make_scan("x.nrrd", 9)])
        desk.actions.add([make_scan("y.nrrd", 10)])
        assert desk.said == ["Adding scans is still under way: wait, or cancel."]
        desk.settle()
        assert desk.names[4:] == ["x"]

    def test_a_full_disk_is_told_and_what_was_added_stays(
        self, desk, folder, make_scan, monkeypatch
    ):
        desk.open(folder)
        paths = [make_scan(f"new_{seed}.nrrd", 10 + seed, folder="more") for seed in range(3)]
        writer, calls = desk.room.project._writer, []
        real = writer.call

        def call(work):
            calls.append(work)
            if len(calls) > 1:
                raise SaveError("The disk is full.", "Free some space.")
            return real(work)

        monkeypatch.setattr(writer, "call", call)
        desk.actions.add(paths)
        desk.settle()
        assert desk.said[-1] == "The disk is full. Free some space."
        assert desk.names[4:] == ["new_0"]


class TestOpeningCases:
    def test_a_case_is_opened_and_marked(self, desk, folder):
        desk.open(folder)
        desk.actions.open_case(2)
        desk.settle()
        assert desk.room.case_id == 2
        assert [row.name for row in desk.catalogue.rows() if row.is_current] == ["b"]

    def test_a_parked_case_goes_on(self, desk, folder):
        desk.open(folder)
        desk.actions.open_case(2)
        desk.settle()
        desk.room.session.add_object(1)
        desk.room.park()
        desk.settle()
        assert desk.row("b").status is CaseStatus.PARKED
        desk.actions.open_case(2)
        desk.settle()
        assert desk.row("b").status is CaseStatus.IN_WORK
        assert set(desk.room.session.state.objects) == {1}

    def test_a_vanished_scan_is_told_and_listed_as_missing(self, desk, folder, make_scan):
        desk.open(folder)
        make_scan("b.nii.gz").unlink()
        desk.actions.open_case(2)
        desk.settle()
        assert desk.room.case_id is None
        assert "The annotation is kept." in desk.said[-1]
        assert desk.row("b").trouble is Trouble.MISSING

    def test_moved_scans_are_found(self, desk, folder, tmp_path):
        shutil.move(tmp_path / "scans", tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "d.nii.gz").unlink()
        desk.open(folder)
        assert {row.trouble for row in desk.catalogue.rows()} == {Trouble.MISSING}
        desk.actions.find_moved(tmp_path / "elsewhere")
        desk.settle()
        assert [row.trouble for row in desk.catalogue.rows()] == [None] * 3 + [Trouble.MISSING]
        assert desk.said[-1].startswith("Found 3 scans below")
        assert desk.said[-1].endswith("1 are still missing or changed.")

    def test_a_changed_scan_is_opened_once_the_change_is_accepted(
        self, desk, folder, make_scan
    ):
        make_scan("b.nii.gz", seed=77)
        desk.open(folder)
        assert desk.row("b").trouble is Trouble.CHANGED
        desk.actions.open_case(2)
        desk.settle()
        assert desk.room.case_id is None
        assert "its content has changed" in desk.said[-1]
        desk.actions.accept_change(2)
        desk.settle()
        assert desk.row("b").trouble is None
        desk.actions.open_case(2)
        desk.settle()
        assert desk.room.case_id == 2

    def test_a_scan_of_another_size_is_not_accepted(self, desk, folder, make_scan):
        make_scan("b.nii.gz", shape=(5, 12, 14))
        desk.open(folder)
        desk.actions.accept_change(2)
        desk.settle()
        assert "another grid" in desk.said[-1]
        assert desk.row("b").trouble is Trouble.CHANGED


class TestLinesOfWork:
    def test_flags_and_confidence_appear(self, desk, folder, suggest):
        desk.open(folder)
        desk.actions.open_case(1)
        desk.settle()
        suggest(desk.room.session, 0.42)
        desk.room.session.set_flag(None, Flag.UNCLEAR_BOUNDARY)
        desk.catalogue.refresh([1])
        desk.settle()
        row = desk.row("a")
        assert (row.objects, row.open_objects, row.confidence) == (1, 1, 0.42)
        assert row.flags == {Flag.UNCLEAR_BOUNDARY}
        assert desk.row("b").objects == 0


class TestRemoving:
    def test_cases_go_with_their_annotation_but_scans_stay(self, desk, folder, make_scan):
        desk.open(folder)
        desk.room.project.open_case(2).add_object(1)
        desk.room.project.flush()
        desk.actions.remove([2, 3])
        desk.settle()
        assert desk.names == ["a", "d"]
        assert make_scan("b.nii.gz").exists()
        with Project.open(folder, read_only=True) as stored:
            assert [case.name for case in stored.cases.select()] == ["a", "d"]

    def test_the_case_at_work_stays(self, desk, folder):
        desk.open(folder)
        desk.actions.open_case(1)
        desk.settle()
        desk.actions.remove([1])
        desk.settle()
        assert desk.names == ["a", "b", "c", "d"]
        assert "cannot be removed" in desk.said[-1]


def test_a_fault_of_the_program_is_told_as_such(desk, caplog):
    desk.tasks.start("Breaking", lambda control, post: 1 / 0, pytest.fail)
    desk.settle()
    assert desk.said[-1].startswith("ZeroDivisionError: division by zero. This is a fault")
    assert not desk.tasks.status.running


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a file system"
)
def test_an_export_to_a_really_full_disk_leaves_the_old_file(desk, folder, tmp_path, suggest):
    from napari_sss._widgets.cases.transfer import Form

    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("No file system can be mounted here.")
    try:
        desk.open(folder)
        session = desk.room.project.open_case(1)
        suggest(session)
        desk.catalogue.refresh()
        desk.settle()
        target = small / "mask.nii.gz"
        desk.transfers.export(Form.MASK, [desk.row("a")], target)
        desk.settle()
        before = target.read_bytes()
        assert np.count_nonzero(sitk.GetArrayFromImage(sitk.ReadImage(str(target)))) == 4
        (small / "filler").write_bytes(bytes(shutil.disk_usage(small).free))
        session.delete([1])
        suggest(session, x=8)
        desk.transfers.export(Form.MASK, [desk.row("a")], target)
        desk.settle()
        assert str(small / "mask") in desk.said[-1]
        assert "What was there before is untouched." in desk.said[-1]
        assert target.read_bytes() == before
        assert sorted(path.name for path in small.iterdir()) == [
            "filler",
            "mask.json",
            "mask.nii.gz",
        ]
    finally:
        subprocess.run(["umount", str(small)], check=True)

"""Versions, locks and who may write."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from napari_sss.engine.project import lock, network, schema
from napari_sss.engine.project.errors import (
    ProjectError,
    ProjectVersionError,
    ReadOnlyError,
    SaveError,
)
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION


def pragma(folder, name):
    with sqlite3.connect(folder / "project.db") as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


class TestVersions:
    def old_project(self, folder, version):
        """A project as an older program left it: one case, one object, one stroke."""
        folder.mkdir()
        connection = sqlite3.connect(folder / "project.db")
        for step in MIGRATIONS[:version]:
            connection.executescript(step)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
        grid = {"shape": [2, 3, 4], "spacing": [1, 1, 1], "origin": [0, 0, 0]}
        grid["direction"] = [1, 0, 0, 0, 1, 0, 0, 0, 1]
        reading = dict.fromkeys(("series_uid", "frame", "spacing", "modality"))
        connection.execute(
            "INSERT INTO scan (name, absolute_path, reading, grid, modality, fingerprint, "
            "stamp, added, status) VALUES ('old', '/gone', ?, ?, 'CT', '', '', '', 'in work')",
            (json.dumps({**reading, "nan": "refuse", "shear": "refuse"}), json.dumps(grid)),
        )
        connection.execute(
            "INSERT INTO class VALUES (1, ?)",
            ('{"id":1,"name":"organ","colour":"#ffffff"}',),
        )
        connection.execute(
            "INSERT INTO record VALUES (1, 'object', '3', ?)", ('{"id":3,"class_id":1}',)
        )
        connection.commit()
        connection.close()

    @pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
    def test_an_older_database_is_brought_up_to_date_and_a_copy_is_kept(
        self, tmp_path, version
    ):
        folder = tmp_path / "old"
        self.old_project(folder, version)
        with Project.open(folder) as project:
            session = project.open_case(1)
            assert session.state.objects[3].class_id == 1
            session.add_object(1)
            session.flush()
            assert project.seconds_spent(1)
        assert pragma(folder, "user_version") == SCHEMA_VERSION
        with sqlite3.connect(folder / f"project.db.version{version}") as kept:
            assert kept.execute("PRAGMA user_version").fetchone()[0] == version
            assert kept.execute("SELECT name FROM scan").fetchall() == [("old",)]

    def test_an_older_database_is_not_read_without_being_brought_up_to_date(self, tmp_path):
        self.old_project(tmp_path / "old", 1)
        with pytest.raises(ProjectError, match="older version 1"):
            Project.open(tmp_path / "old", read_only=True)

    def test_a_step_that_fails_leaves_the_old_version_whole(self, tmp_path, monkeypatch):
        folder = tmp_path / "old"
        self.old_project(folder, 1)
        broken = (MIGRATIONS[0], "CREATE TABLE effort (a); CREATE TABLE effort (a);")
        with monkeypatch.context() as patched:
            patched.setattr(schema, "MIGRATIONS", broken)
            with pytest.raises(ProjectError):
                Project.open(folder)
        assert pragma(folder, "user_version") == 1
        with Project.open(folder) as project:
            assert project.cases.get(1).name == "old"

    def test_a_newer_database_is_refused_and_left_alone(self, project):
        project.close()
        with sqlite3.connect(project.folder / "project.db") as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        before = (project.folder / "project.db").read_bytes()
        for read_only in (False, True):
            with pytest.raises(ProjectVersionError, match="newer napari-sss"):
                Project.open(project.folder, read_only=read_only)
        assert (project.folder / "project.db").read_bytes() == before
        assert not list(project.folder.glob("*.version*"))

    def test_what_is_no_project_is_refused(self, tmp_path):
        with pytest.raises(ProjectError, match="not a project"):
            Project.open(tmp_path)
        with sqlite3.connect(tmp_path / "project.db") as connection:
            connection.execute("CREATE TABLE other (a)")
        with pytest.raises(ProjectError, match="not the database of a napari-sss"):
            Project.open(tmp_path)
        (tmp_path / "project.db").write_bytes(b"no database at all" * 100)
        with pytest.raises(ProjectError, match="damaged"):
            Project.open(tmp_path)

    def test_a_project_is_not_made_over_another(self, project):
        with pytest.raises(ProjectError, match="is a project already"):
            Project.create(project.folder)

    def test_a_making_that_was_cut_off_can_be_repeated(self, tmp_path):
        (tmp_path / "project.db").touch()
        with pytest.raises(ProjectError, match="not a project"):
            Project.open(tmp_path)
        with Project.create(tmp_path) as project:
            assert project.cases.select() == []


class TestTwoViewers:
    def test_the_second_one_reads_and_says_so(self, project):
        session = project.open_case(1)
        session.add_object(1)
        project.flush()
        with Project.open(project.folder) as second:
            assert second.read_only
            assert f"process {os.getpid()}" in second.why_read_only
            assert set(second.open_case(1).state.objects) == {1}
            with pytest.raises(ReadOnlyError):
                second.open_case(1).add_object(1)
            with pytest.raises(ReadOnlyError, match="is being written by"):
                second.add_class("new")
            session.add_object(1)  # the first one is not held up
            project.flush()
            assert set(second.annotation(1).objects) == {1}  # its own session's view
        project.close()
        with Project.open(project.folder) as third:
            assert not third.read_only

    def test_another_process_gets_no_lock_until_the_first_is_dead(self, project):
        folder = project.folder
        project.close()
        code = (
            "import sys, time; from napari_sss.engine.project.project import Project\n"
            "p = Project.open(sys.argv[1]); print(p.read_only, flush=True); time.sleep(60)"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, encoding="utf-8"
        )
        assert child.stdout.readline().strip() == "False"
        with Project.open(folder) as beside:
            assert f"process {child.pid}" in beside.why_read_only
        child.kill()
        child.wait()
        child.stdout.close()
        with Project.open(folder) as after:
            assert not after.read_only


class TestNetworkFolders:
    @pytest.fixture
    def shared(self, project):
        """The project's folder, taken for a network share."""
        project.close()
        return project.folder

    def test_no_wal_there_and_a_lock_file(self, shared):
        with Project.open(shared, sharing="network") as project:
            session = project.open_case(1)
            session.add_object(1)
            session.flush()
            assert pragma(shared, "journal_mode") != "wal"
            assert not (shared / "project.db-wal").exists()
            owner = json.loads((shared / lock.OWNER_NAME).read_text())
            assert owner["process"] == os.getpid()
            with Project.open(shared, sharing="network") as second:
                assert second.read_only
                assert set(second.open_case(1).state.objects) == {1}
        assert not (shared / lock.OWNER_NAME).exists()

    def test_the_lock_of_a_dead_process_here_is_taken_over(self, shared):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        owner = {"host": platform.node(), "process": dead.pid, "since": "", "token": "x"}
        (shared / lock.OWNER_NAME).write_text(json.dumps(owner))
        with Project.open(shared, sharing="network") as project:
            assert not project.read_only

    def test_the_lock_of_another_machine_holds_while_it_is_touched(self, shared):
        owner = {"host": "elsewhere", "process": 1, "since": "today", "token": "x"}
        path = shared / lock.OWNER_NAME
        path.write_text(json.dumps(owner))
        with Project.open(shared, sharing="network") as project:
            assert "process 1 on elsewhere" in project.why_read_only
        long_ago = time.time() - 3600
        os.utime(path, (long_ago, long_ago))
        with Project.open(shared, sharing="network") as project:
            assert not project.read_only

    def test_a_lock_that_was_lost_stops_the_saving(self, shared):
        with Project.open(shared, sharing="network") as project:
            session = project.open_case(1)
            path = shared / lock.OWNER_NAME
            ours = path.read_text()
            owner = {"host": "elsewhere", "process": 1, "since": "today", "token": "x"}
            path.write_text(json.dumps(owner))
            session.add_object(1)
            with pytest.raises(SaveError, match="written by process 1 on elsewhere"):
                session.flush()
            assert not session.is_saved
            path.write_text(ours)
            session.flush()
            assert session.is_saved

    def test_the_heartbeat_touches_the_lock(self, shared, monkeypatch):
        monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.0)
        with Project.open(shared, sharing="network") as project:
            path = shared / lock.OWNER_NAME
            os.utime(path, (1.0, 1.0))
            project.open_case(1).add_object(1)
            project.flush()
            assert path.stat().st_mtime > 1e9

    def test_mounts_are_read(self, tmp_path, monkeypatch):
        where = str(tmp_path.resolve())
        monkeypatch.setattr(network.sys, "platform", "linux")
        for kind, remote in (("ext4", False), ("nfs4", True), ("fuse.sshfs", True)):
            monkeypatch.setattr(
                network, "_linux_mounts", lambda kind=kind: {"/": "ext4", where: kind}
            )
            assert network.is_network_folder(tmp_path / "below") is remote

    def test_mounts_of_macos_are_read(self, monkeypatch):
        class Ran:
            stdout = (
                "/dev/disk3s1 on / (apfs, sealed, local)\n"
                "//me@host/share on /Volumes/my share (smbfs, nodev)\n"
            )

        monkeypatch.setattr(network.subprocess, "run", lambda *a, **k: Ran)
        assert network._macos_mounts() == {"/": "apfs", "/Volumes/my share": "smbfs"}


def test_a_project_opened_in_one_thread_is_let_go_in_another(tmp_path):
    opened = []
    thread = threading.Thread(target=lambda: opened.append(Project.create(tmp_path / "p")))
    thread.start()
    thread.join()
    opened[0].close()
    with Project.open(tmp_path / "p") as again:
        assert not again.read_only

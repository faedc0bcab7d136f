"""Full disks, read-only folders, files that vanish: told clearly, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from napari_sss.engine.errors import WriteError
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import SaveError
from napari_sss.engine.project.project import Project


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def scribble(session, seed, count=336):
    """A change of single voxels that no compression makes small."""
    rng = np.random.default_rng(seed)
    where = rng.permutation(session.labels.size)[:count]
    before = session.labels.reshape(-1)[where]
    session.paint(LabelDiff.of_voxels(where, before, rng.integers(0, 9, count)), class_id=1)


@pytest.fixture
def full_disk(project):
    """A database that may not grow any more; call it to give the space back."""
    pages = project._writer.call(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    project._writer.call(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())

    def free():
        if not project._writer.is_open:
            return
        with project._writer._connection_use:
            project._writer._connection.execute("PRAGMA max_page_count = 1000000").fetchone()

    yield free
    free()


def test_a_full_disk_stops_the_mark_and_loses_nothing(project, full_disk):
    session = project.open_case(1)
    problems = []
    project.save_state_changed.connect(problems.append)
    for seed in range(40):
        scribble(session, seed)
    wait_for(lambda: project.save_problem is not None)
    assert isinstance(project.save_problem, SaveError)
    assert "full" in str(project.save_problem)
    assert "Nothing is lost" in str(project.save_problem)
    assert session.saved_through < session.performed
    assert project.unsaved > 0
    with pytest.raises(SaveError):
        session.flush()
    with pytest.raises(SaveError):
        project.close()
    session.undo()  # work goes on meanwhile
    scribble(session, 99)
    full_disk()
    project.retry_saving()
    session.flush(timeout=10)
    assert session.is_saved
    assert project.save_problem is None
    assert [p is None for p in problems] == [False, True]
    expected = session.labels.copy()
    project.close()
    with Project.open(project.folder) as reopened:
        again = reopened.open_case(1)
        assert np.array_equal(again.labels, expected)
        assert again.history.undoable == 40


def test_it_is_tried_again_without_being_asked(project, full_disk):
    session = project.open_case(1)
    for seed in range(40):
        scribble(session, seed)
    wait_for(lambda: project.save_problem is not None)
    full_disk()
    wait_for(lambda: session.is_saved)
    assert project.save_problem is None


def test_what_was_saved_before_the_disk_was_full_is_whole_after_a_kill(project, full_disk):
    """The folder as it lies on the disk at that moment is what a kill would leave."""
    session = project.open_case(1)
    states = [session.labels.copy()]
    for seed in range(40):
        scribble(session, seed)
        states.append(session.labels.copy())
    wait_for(lambda: project.save_problem is not None)
    left = project.folder.with_name("left")
    shutil.copytree(project.folder, left)
    with Project.open(left) as reopened:
        again = reopened.open_case(1)
        assert again.performed == session.saved_through
        assert np.array_equal(again.labels, states[again.performed])


def test_abandoning_is_possible_if_it_is_meant(project, full_disk):
    session = project.open_case(1)
    for seed in range(40):
        scribble(session, seed)
    wait_for(lambda: project.save_problem is not None)
    saved = session.saved_through
    project.close(abandon=True)
    with Project.open(project.folder) as reopened:
        assert reopened.open_case(1).performed == saved


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be renamed there")
def test_a_database_that_is_replaced_is_not_written_into_the_void(project):
    session = project.open_case(1)
    database = project.folder / "project.db"
    away = database.rename(database.with_name("away.db"))
    session.add_object(1)
    wait_for(lambda: project.save_problem is not None)
    assert "removed or replaced" in str(project.save_problem)
    assert not session.is_saved
    away.rename(database)
    session.flush(timeout=10)
    assert session.is_saved


def test_a_fault_of_the_program_itself_is_told_to_whoever_waits(project, monkeypatch):
    monkeypatch.setattr("threading.excepthook", lambda args: None)
    session = project.open_case(1)
    project._writer.submit(lambda connection: 1 / 0)
    wait_for(lambda: project.save_problem is not None)
    for attempt in (session.flush, project.close, lambda: session.add_object(1)):
        with pytest.raises(SaveError, match="fault of napari-sss"):
            attempt()
    project.close(abandon=True)


FILL = """
import resource, signal, sys, time
import numpy as np
from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.project import Project

project = Project.open(sys.argv[1])
session = project.open_case(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
rng = np.random.default_rng(0)
for _ in range(2000):
    where = rng.permutation(session.labels.size)[:300]
    before = session.labels.reshape(-1)[where]
    session.paint(LabelDiff.of_voxels(where, before, rng.integers(0, 9, 300)), class_id=1)
    if project.save_problem is not None:
        break
    time.sleep(0.0005)
print(session.saved_through, session.performed, flush=True)
print(project.save_problem, flush=True)
signal.raise_signal(signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX")
def test_a_limit_of_the_system_on_file_sizes(project):
    """The WAL meets the limit, the process is killed, what the mark covered is there."""
    folder = project.folder
    project.close()
    limit = (folder / "project.db").stat().st_size + 100_000
    ran = subprocess.run(
        [sys.executable, "-c", FILL, str(folder), str(limit)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    saved, performed = (int(n) for n in ran.stdout.splitlines()[0].split())
    assert saved < performed, ran.stdout + ran.stderr
    assert "cannot be written" in ran.stdout
    with Project.open(folder) as reopened:
        assert reopened.open_case(1).performed >= saved


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a file system"
)
def test_a_really_full_file_system(project, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("No file system can be mounted here.")
    try:
        folder = small / "project"
        project.close()
        shutil.copytree(project.folder, folder)
        with Project.open(folder) as there:
            session = there.open_case(1)
            filler = small / "filler"
            filler.write_bytes(bytes(shutil.disk_usage(small).free - 16384))
            for seed in range(60):
                scribble(session, seed)
            wait_for(lambda: there.save_problem is not None)
            assert not session.is_saved
            filler.unlink()
            session.flush(timeout=10)
            expected = session.labels.copy()
        with Project.open(folder) as there:
            assert np.array_equal(there.open_case(1).labels, expected)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be made"):
        Project.create(tmp_path / "file" / "project")


READ = """
import os, sys
from napari_sss.engine.project.project import Project

if os.geteuid() == 0:  # root may write everywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
with Project.open(sys.argv[1]) as project:
    print(project.read_only, "|", project.why_read_only)
    session = project.open_case(1)
    print(len(session.state.objects), session.read_only)
    try:
        session.add_object(1)
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX")
@pytest.mark.parametrize("killed", [False, True])
def test_a_folder_that_may_only_be_read_opens_for_reading(project, killed):
    """Also if its last writer was killed, so that changes are in the log beside it."""
    project.open_case(1).add_object(1)
    project.flush()
    if not killed:
        project.close()
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "project"
        shutil.copytree(project.folder, folder)
        (folder / "project.db-shm").unlink(missing_ok=True)
        assert (folder / "project.db-wal").exists() is killed
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        ran = subprocess.run(
            [sys.executable, "-c", READ, str(folder)],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        folder.chmod(0o755)
    lines = ran.stdout.splitlines()
    assert lines, ran.stderr
    assert lines[0].startswith("True | its folder cannot be written")
    assert lines[1] == "1 True"
    assert lines[2].startswith("ReadOnlyError")

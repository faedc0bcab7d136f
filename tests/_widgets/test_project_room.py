"""Which project and case are at work: real projects on disk, no viewer."""

import errno
import sqlite3

import numpy as np
import pytest

from napari_sss._widgets.project_room import ProjectRoom, default_home
from napari_sss._widgets.status import Severity
from napari_sss._widgets.worker import Mailbox, Worker
from napari_sss.engine.project import journal
from napari_sss.engine.project.project import Project
from napari_sss.engine.project.records import CaseStatus
from napari_sss.engine.prompts.types import Box, SlicePrompt
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.volume import Source, Volume
from napari_sss.engine.volumes.writing import write_volume


class Room:
    """A room with its mail delivered when the test says so."""

    def __init__(self, home):
        self.mailbox = Mailbox()
        self.worker = Worker(self.mailbox)
        self.room = ProjectRoom(self.worker, self.mailbox.put, home)
        self.notices, self.lines, self.shown = [], [], []
        self.room.noticed.connect(self.notices.append)
        self.room.saved_changed.connect(self.lines.append)
        self.room.scan_read.connect(self.shown.append)

    def settle(self, seconds=60.0):
        import time

        deadline = time.monotonic() + seconds
        while self.worker.busy or not self.mailbox.empty or not self.is_saved:
            assert time.monotonic() < deadline, "it does not come to rest"
            while (letter := self.mailbox.take()) is not None:
                letter()
            time.sleep(0.002)

    @property
    def is_saved(self):
        session, project = self.room.session, self.room.project
        stuck = project is not None and project.save_problem is not None
        return session is None or session.read_only or session.is_saved or stuck

    def choose(self, volume, key=1, name="scan"):
        self.room.choose(key, volume, name)
        self.settle()
        return self.room.session


@pytest.fixture
def make_room():
    rooms = []

    def make(home):
        rooms.append(Room(home))
        return rooms[-1]

    yield make
    for made in rooms:
        made.room.shut_down()


@pytest.fixture
def room(make_room, home):
    return make_room(home)


@pytest.fixture
def scan(tmp_path):
    """Write a small scan to a file, and read it as a viewer does."""

    def write(name="ct", value=0):
        array = np.full((4, 6, 8), value, np.int16)
        path = write_volume(Volume(array, Grid(array.shape)), tmp_path / f"{name}.nii.gz")
        return read_volume(path)

    return write


def add_object(session):
    class_id = session.add_class("organ")
    return session.add_object(class_id, [SlicePrompt(1, Box(1, 1, 4, 4))])


def test_work_without_a_project_is_kept_in_the_default_one(room, home, scan):
    volume = scan()
    session = room.choose(volume)
    assert room.room.is_default
    assert room.room.project.folder == home / "default"
    assert (room.room.at_work.place, room.room.at_work.total) == (1, 1)
    add_object(session)
    room.settle()
    assert room.room.saved_line.startswith("saved ")
    assert "saving …" in room.lines


def test_a_scan_is_found_again_by_its_content_with_all_that_was_done(make_room, home, scan):
    volume = scan()
    first = make_room(home)
    add_object(first.choose(volume))
    first.settle()
    first.room.remember_view(lambda: {"plane": "coronal"})
    first.room.shut_down()
    moved = volume.source.path.rename(volume.source.path.with_name("moved.nii.gz"))
    second = make_room(home)
    session = second.choose(read_volume(moved))
    assert session.prompts(1).prompts[0].box == Box(1, 1, 4, 4)
    assert second.room.at_work.case.view == {"plane": "coronal"}
    assert second.room.at_work.total == 1
    second.room.undo()
    second.settle()
    assert not session.state.objects


def test_a_scan_without_a_file_is_kept_and_the_person_is_told(make_room, home):
    volume = Volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5), Grid((3, 4, 5)))
    first = make_room(home)
    add_object(first.choose(volume, name="simulated"))
    assert "a copy is kept in the project" in first.notices[0].text
    (kept,) = (home / "default" / "scans").iterdir()
    np.testing.assert_array_equal(read_volume(kept).array, volume.array)
    first.room.shut_down()
    second = make_room(home)
    assert list(second.choose(volume, name="simulated").state.objects) == [1]
    assert second.notices == []


def test_a_scan_that_has_changed_is_another_case_and_the_old_one_is_kept(make_room, home, scan):
    volume = scan(value=0)
    first = make_room(home)
    add_object(first.choose(volume))
    first.room.shut_down()
    second = make_room(home)
    changed = scan(value=7)
    assert changed.source.path == volume.source.path
    session = second.choose(changed)
    assert not session.state.objects
    assert "is not the scan any more" in second.notices[0].text
    assert second.room.at_work.total == 2


def test_a_second_window_has_a_default_project_of_its_own(make_room, home, scan):
    first, second = make_room(home), make_room(home)
    volume = scan()
    add_object(first.choose(volume))
    session = second.choose(volume)
    assert second.room.project.folder == home / "default 2"
    assert not session.read_only


def test_the_second_viewer_of_a_project_reads_only_and_says_so(make_room, home, scan, tmp_path):
    volume = scan()
    with Project.create(tmp_path / "shared") as project:
        project.cases.add([volume.source.path])
        second = make_room(home)
        second.room.open(tmp_path / "shared")
        second.settle()
        session = second.choose(volume)
        assert session.read_only
        assert "reading only" in second.room.why_read_only
        assert "reading only" in second.notices[0].text
        assert second.room.saved_line == "read-only"
        other = second.choose(scan("other", 5), key=2)
        assert other is None
        assert "is no case of this project" in second.notices[-1].text


def test_a_case_whose_file_has_vanished_is_said_and_nothing_changes(room, scan):
    volume = scan()
    session = room.choose(volume)
    add_object(session)
    room.settle()
    second = scan("second", 3)
    room.choose(second, key=2)
    volume.source.path.unlink()
    room.room.previous_case()
    room.settle()
    assert room.notices[-1].severity is Severity.ERROR
    assert str(volume.source.path) in room.notices[-1].text
    assert room.room.at_work.case.name == "second"
    assert room.shown == []
    # The annotation is complete without its scan.
    assert list(room.room.project.annotation(1).objects) == [1]


def test_cases_are_gone_through_and_parked(room, scan):
    room.choose(scan("a"))
    room.choose(scan("b", 5), key=2)
    room.room.next_case()
    room.settle()
    assert "last case" in room.notices[-1].text
    room.room.previous_case()
    room.settle()
    (volume,) = room.shown
    assert volume.source.name == "a"
    room.choose(volume, key=3)
    assert (room.room.at_work.place, room.room.at_work.total) == (1, 2)
    room.room.park()
    room.settle()
    assert room.room.session is None
    assert room.room.project.cases.get(1).status is CaseStatus.PARKED


def test_a_full_disk_is_said_and_retried_and_nothing_is_lost(room, scan, monkeypatch):
    session = room.choose(scan())
    full = [True]
    save = journal.Journal.save

    def fail(self, *args, **kwargs):
        if full[0]:
            raise sqlite3.OperationalError("database or disk is full")
        return save(self, *args, **kwargs)

    monkeypatch.setattr(journal.Journal, "save", fail)
    add_object(session)
    import time

    deadline = time.monotonic() + 20
    while room.room.project.save_problem is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    room.settle()
    assert room.notices[-1].severity is Severity.ERROR
    assert "full" in room.notices[-1].text
    assert room.room.saved_line == "2 acts not saved"
    full[0] = False
    room.room.retry_saving()
    while not session.is_saved:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    room.settle()
    assert room.room.saved_line.startswith("saved ")
    assert "saved again" in room.notices[-1].text
    assert list(session.state.objects) == [1]


def test_a_given_spacing_is_kept_with_the_case(make_room, home):
    volume = Volume(np.zeros((3, 4, 5), np.int16), Grid((3, 4, 5)), spacing_known=False)
    first = make_room(home)
    first.choose(volume)
    first.room.give_spacing((3.0, 0.5, 0.5))
    first.settle()
    assert first.room.project.cases.get(1).grid.spacing == (3.0, 0.5, 0.5)


def test_a_project_of_ones_own_takes_over(room, scan, tmp_path):
    volume = scan()
    room.choose(volume)
    changes = []
    room.room.project_changed.connect(lambda: changes.append(room.room.project))
    room.room.create(tmp_path / "mine")
    room.settle()
    assert [project.folder for project in changes] == [tmp_path / "mine"]
    assert not room.room.is_default
    assert room.room.session is None
    room.choose(volume)
    assert room.room.at_work.case.name == "ct"
    room.room.close()
    room.settle()
    assert room.room.is_default


def test_the_default_home_can_be_given(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SSS_HOME", str(tmp_path))
    assert default_home() == tmp_path
    monkeypatch.delenv("NAPARI_SSS_HOME")
    assert "napari-sss" in default_home().parts


def test_a_home_that_cannot_be_written_is_said(room, home, scan, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    assert room.choose(scan()) is None
    assert room.notices[-1].severity is Severity.ERROR


def test_sources_without_a_path_are_told_apart_by_content(room):
    one = Volume(np.zeros((2, 3, 4), np.int16), Grid((2, 3, 4)), source=Source())
    other = Volume(np.ones((2, 3, 4), np.int16), Grid((2, 3, 4)), source=Source())
    room.choose(one)
    room.choose(other, key=2)
    assert room.room.at_work.total == 2

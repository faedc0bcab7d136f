"""Small scans, a project of them, and the tab's logic at work without Qt."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss._widgets.cases.actions import CaseActions
from napari_sss._widgets.cases.catalogue import Catalogue
from napari_sss._widgets.cases.recent import RecentProjects
from napari_sss._widgets.cases.tasks import Tasks
from napari_sss._widgets.cases.transfer import Transfers
from napari_sss._widgets.project_room import ProjectRoom
from napari_sss._widgets.worker import Mailbox, Worker
from napari_sss.engine.project.mask_actions import Suggestion
from napari_sss.engine.project.project import Project
from napari_sss.engine.prompts.types import Box, ObjectPrompts, SlicePrompt
from napari_sss.engine.volumes.region import Region

SHAPE = (4, 12, 14)


@pytest.fixture
def make_scan(tmp_path):
    """Write a scan of 4 x 12 x 14 voxels of 3 x 0.5 x 1 mm, noise of its own seed."""

    def make(name="a.nii.gz", seed=0, shape=SHAPE, folder="scans"):
        array = np.random.default_rng(seed).integers(0, 1000, shape).astype(np.int16)
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((1.0, 0.5, 3.0))
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        sitk.WriteImage(image, str(path))
        return path

    return make


@pytest.fixture
def make_series(tmp_path):
    """Write a DICOM series of 6 x 5 pixels; several may share a folder."""

    def make(uid="1.2.5", slices=4, folder="series", description="portal"):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        for z in range(slices):
            image = sitk.GetImageFromArray(np.full((1, 6, 5), z, np.int16))
            image.SetSpacing((2.0, 2.0, 5.0))
            tags = {
                "0008|0060": "CT",
                "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
                "0008|0018": f"{uid}.{z + 1}",
                "0008|103e": description,
                "0010|0020": "P7",
                "0020|000e": uid,
                "0020|000d": "1.2",
                "0020|0052": "1.2.9",
                "0020|0032": f"10\\20\\{-5 * z}",
                "0020|0037": "1\\0\\0\\0\\1\\0",
                "0020|0013": str(z + 1),
            }
            for tag, value in tags.items():
                image.SetMetaData(tag, value)
            writer.SetFileName(str(place / f"{uid}-{z}.dcm"))
            writer.Execute(image)
        return place

    return make


@pytest.fixture
def folder(tmp_path, make_scan):
    """A project of the cases ``a`` to ``d``, with the class ``organ``; nobody has it open."""
    paths = [make_scan(f"{name}.nii.gz", seed) for seed, name in enumerate("abcd")]
    with Project.create(tmp_path / "study") as project:
        project.cases.add(paths)
        project.add_class("organ")
    return tmp_path / "study"


@pytest.fixture
def suggest():
    """Suggest an organ of 1 x 2 x 2 voxels in a case."""

    def make(session, confidence=0.5, x=2):
        prompts = ObjectPrompts(1, "organ", (SlicePrompt(1, box=Box(x, 2, x + 2, 4)),))
        region = Region((1, 2, x), np.ones((1, 2, 2), bool))
        return session.suggest([Suggestion(prompts, 1, region, confidence)])[0]

    return make


class Desk:
    """The tab's logic with a real room; its mail is delivered when the test says so."""

    def __init__(self, home: Path):
        self.mailbox = Mailbox()
        self.workers = [Worker(self.mailbox) for _ in range(4)]
        self.room = ProjectRoom(self.workers[0], self.mailbox.put, home)
        self.catalogue = Catalogue(self.room, self.workers[1])
        self.tasks = Tasks(self.workers[2])
        self.recent = RecentProjects(home / "recent.json")
        self.actions = CaseActions(
            self.room,
            self.catalogue,
            self.tasks,
            self.workers[1],
            self.workers[3],
            self.recent,
        )
        self.transfers = Transfers(self.room, self.catalogue, self.tasks)
        self.notices, self.statuses = [], []
        for source in (self.room, self.catalogue, self.tasks):
            source.noticed.connect(self.notices.append)
        self.tasks.changed.connect(self.statuses.append)
        self.room.scan_read.connect(self._show)
        self.shown = 0

    @property
    def said(self):
        return [notice.text for notice in self.notices]

    @property
    def names(self):
        return [row.name for row in self.catalogue.rows()]

    def row(self, name):
        return next(row for row in self.catalogue.rows() if row.name == name)

    def deliver(self):
        for report in self.mailbox.take_progress():
            report()
        while (letter := self.mailbox.take()) is not None:
            letter()

    def settle(self, seconds=30.0):
        """Deliver until nothing is left to do."""
        self.wait_for(
            lambda: not any(w.busy for w in self.workers) and self.mailbox.empty, seconds
        )

    def wait_for(self, condition, seconds=30.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            self.deliver()
            time.sleep(0.002)

    def open(self, folder):
        self.actions.open(folder)
        self.settle()

    def close(self):
        for worker in self.workers[1:]:
            worker.close(10)
        self.room.shut_down()

    def _show(self, volume):
        """Show a scan, as the panel does."""
        self.shown += 1
        self.room.choose(self.shown, volume, "scan")


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def second_desk(tmp_path):
    made = Desk(tmp_path / "second home")
    yield made
    made.close()

"""Any sequence of acts, undos, redos and reopenings gives what a naive model gives."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from napari_sss.engine.project.project import Project


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A project with one case to copy for each example."""
    folder = tmp_path_factory.mktemp("template")
    image = sitk.GetImageFromArray(np.zeros((4, 12, 14), np.int16))
    sitk.WriteImage(image, str(folder / "scan.nii.gz"))
    with Project.create(folder / "project") as project:
        project.cases.add([folder / "scan.nii.gz"])
        project.add_class("organ")
        project.add_class("lesion")
    return folder


def test_undo_machine(naive, template):
    class Machine(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.folder = Path(tempfile.mkdtemp())
            shutil.copytree(template, self.folder, dirs_exist_ok=True)
            self.project = Project.open(self.folder / "project")
            self.session = self.project.open_case(1)
            self.model = naive.NaiveCase()

        @rule(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12))
        def act(self, seed, count):
            rng = np.random.default_rng(seed)
            for _ in range(count):
                spec = naive.random_spec(rng)
                assert naive.perform(self.session, spec) == self.model.do(spec), spec

        @rule(count=st.integers(1, 30))
        def undo(self, count):
            for _ in range(count):
                self.session.undo()
                self.model.do(("undo",))

        @rule(count=st.integers(1, 30))
        def redo(self, count):
            for _ in range(count):
                self.session.redo()
                self.model.do(("redo",))

        @rule(tidy=st.booleans())
        def reopen(self, tidy):
            if tidy:
                self.session.close()
            self.project.close()
            self.project = Project.open(self.folder / "project")
            self.session = self.project.open_case(1)

        @rule()
        def read_beside(self):
            self.project.flush()
            with Project.open(self.folder / "project", read_only=True) as beside:
                assert naive.same(naive.seen(beside.annotation(1)), self.model.now)

        @invariant()
        def same_state(self):
            assert naive.same(naive.seen(self.session), self.model.now)
            assert self.session.history.undoable == len(self.model.past)
            assert self.session.history.redoable == len(self.model.future)

        def teardown(self):
            self.project.close()
            shutil.rmtree(self.folder)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

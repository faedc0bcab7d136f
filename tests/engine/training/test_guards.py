"""The collapse guard: what it lets pass, and what it stops."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sss.engine.training.errors import CollapsedError
from napari_sss.engine.training.guards import CollapseGuard

TRUE = np.array([0.9, 0.06, 0.04])


def shares(*values: float) -> np.ndarray:
    return np.array(values)


def test_a_class_not_learned_yet_is_no_collapse():
    guard = CollapseGuard(("a", "b"), patience=1)
    assert guard.look(shares(1.0, 0.0, 0.0), TRUE) is None
    assert guard.look(shares(0.95, 0.05, 0.0), TRUE) is None


def test_a_class_that_vanishes_stops_after_its_patience():
    guard = CollapseGuard(("a", "b"), patience=2)
    assert guard.look(shares(0.9, 0.06, 0.04), TRUE) is None
    # 0.0007 is less than a fiftieth of 0.04.
    assert "b" in guard.look(shares(0.94, 0.06, 0.0007), TRUE)
    with pytest.raises(CollapsedError, match="b is no longer found, for 2"):
        guard.look(shares(0.94, 0.06, 0.0), TRUE)


def test_a_good_validation_starts_the_count_again():
    guard = CollapseGuard(("a", "b"), patience=2)
    for _ in range(3):
        assert guard.look(TRUE, TRUE) is None
        assert guard.look(shares(0.94, 0.06, 0.0), TRUE) is not None


def test_foreground_everywhere_stops():
    guard = CollapseGuard(("a", "b"), patience=1)
    with pytest.raises(CollapsedError, match="98 %"):
        guard.look(shares(0.02, 0.5, 0.48), TRUE)


def test_much_foreground_in_truth_is_no_collapse():
    guard = CollapseGuard(("a",), patience=1)
    assert guard.look(shares(0.05, 0.95), shares(0.1, 0.9)) is None


def test_its_count_survives_a_checkpoint():
    guard = CollapseGuard(("a", "b"), patience=2)
    guard.look(TRUE, TRUE)
    guard.look(shares(0.94, 0.06, 0.0), TRUE)
    again = CollapseGuard(("a", "b"), patience=2)
    again.restore(guard.state())
    with pytest.raises(CollapsedError):
        again.look(shares(0.94, 0.06, 0.0), TRUE)

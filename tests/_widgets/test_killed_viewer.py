"""What the saved mark covers survives the death of a viewer in which somebody annotates."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from killing import kill_one, write_scan

pytestmark = [pytest.mark.gui, pytest.mark.slow]


def test_what_the_mark_covered_is_there_after_each_kill(home, tmp_path):
    scan = tmp_path / "scan.nii.gz"
    write_scan(scan)
    deaths = [kill_one(home, scan, seed, longest=4.0) for seed in range(3)]
    for death in deaths:
        assert death.found >= death.saved
        assert death.same is not False
    assert any(death.same for death in deaths)
    assert deaths[-1].found > 3  # somebody did annotate

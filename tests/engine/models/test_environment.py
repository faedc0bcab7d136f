from __future__ import annotations

import os
import sys

import pytest

from napari_sss.engine.models.environment import prepare_for_torch


@pytest.fixture
def before_torch(monkeypatch):
    """As if nothing had imported torch, with none of the settings made."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    for name in ("OMP_WAIT_POLICY", "PYTORCH_ENABLE_MPS_FALLBACK"):
        # Set first, so that monkeypatch restores what was there.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("before_torch")
@pytest.mark.parametrize(("platform", "fallback"), [("darwin", "1"), ("linux", None)])
def test_waiting_threads_sleep_and_a_mac_falls_back(monkeypatch, platform, fallback):
    monkeypatch.setattr(sys, "platform", platform)
    assert prepare_for_torch()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK") == fallback


@pytest.mark.usefixtures("before_torch")
def test_the_users_own_settings_stay(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert prepare_for_torch()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.usefixtures("before_torch")
def test_after_torch_it_is_too_late(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", object())
    assert not prepare_for_torch()
    assert "OMP_WAIT_POLICY" not in os.environ

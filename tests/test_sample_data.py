"""Sample data: the phantom, and the CT that is downloaded once."""

from __future__ import annotations

import hashlib
import http.server
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_sss import _sample_data
from napari_sss._layers.conversion import source_of
from napari_sss.engine.errors import Cancelled, DownloadError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.volumes import sample_ct
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import write_volume


def test_phantom():
    (image, keywords, kind), (truth, truth_keywords, truth_kind) = _sample_data.phantom()
    assert (kind, truth_kind) == ("image", "labels")
    assert image.shape == truth.shape
    assert keywords["scale"] == truth_keywords["scale"]
    assert not truth_keywords["visible"]
    # Head first: lung is on the first slices, none of it on the last.
    volume, _ = source_of(keywords["metadata"])
    assert volume.grid.is_oblique
    lungs = np.isin(truth, (11, 12)).any(axis=(1, 2))
    assert lungs[0]
    assert not lungs[-20:].any()


@pytest.fixture
def server(tmp_path):
    """A server on this machine that counts what it is asked for."""
    folder = tmp_path / "server"
    folder.mkdir()
    array = np.zeros((3, 4, 5), np.int16)
    write_volume(Volume(array, Grid((3, 4, 5), (2, 1, 1))), folder / "ct.nrrd")
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    content = (folder / "ct.nrrd").read_bytes()
    url = f"http://127.0.0.1:{httpd.server_address[1]}/ct.nrrd"
    yield url, hashlib.sha256(content).hexdigest(), asked
    httpd.shutdown()
    httpd.server_close()


def test_download_once(server, tmp_path):
    url, sha256, asked = server
    path = tmp_path / "cache" / "samples" / "ct.nrrd"
    for _ in range(2):
        assert sample_ct.fetch_sample_ct(path, url=url, sha256=sha256) == path
    assert len(asked) == 1
    assert [p.name for p in path.parent.iterdir()] == ["ct.nrrd"]


def test_wrong_file(server, tmp_path):
    url, _, _ = server
    path = tmp_path / "ct.nrrd"
    with pytest.raises(DownloadError, match="SHA-256 differs"):
        sample_ct.fetch_sample_ct(path, url=url, sha256="0" * 64)
    assert not path.exists()


def test_not_there(server, tmp_path):
    url, sha256, _ = server
    with pytest.raises(DownloadError, match=r"404.*Check the connection"):
        sample_ct.fetch_sample_ct(tmp_path / "ct.nrrd", url=url + "x", sha256=sha256)


def test_no_server(tmp_path):
    with pytest.raises(DownloadError, match="cannot be downloaded"):
        sample_ct.fetch_sample_ct(tmp_path / "ct.nrrd", url="http://127.0.0.1:9/none")


def test_cancelled(server, tmp_path):
    url, sha256, _ = server
    control = JobControl()
    control.cancel()
    with pytest.raises(Cancelled):
        sample_ct.fetch_sample_ct(tmp_path / "ct.nrrd", control, url=url, sha256=sha256)
    assert not (tmp_path / "ct.nrrd").exists()


@pytest.fixture
def local_ct(server, tmp_path, monkeypatch) -> Path:
    """The sample CT's download, turned to the server on this machine."""
    url, sha256, _ = server
    path = tmp_path / "cache" / "ct.nrrd"
    monkeypatch.setattr(sample_ct, "sample_ct_path", lambda: path)
    monkeypatch.setattr(
        sample_ct.fetch_sample_ct, "__kwdefaults__", {"url": url, "sha256": sha256}
    )
    return path


def test_real_ct_without_a_viewer(local_ct, monkeypatch):
    monkeypatch.setattr(_sample_data, "_open_viewer", lambda: None)
    ((data, keywords, kind),) = _sample_data.real_ct()
    assert local_ct.is_file()
    assert (data.shape, kind, keywords["name"]) == ((3, 4, 5), "image", "CT abdomen")


@pytest.mark.gui
def test_real_ct_opens_when_it_is_there(local_ct, make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    assert _sample_data.real_ct() == []
    qtbot.waitUntil(lambda: "CT abdomen" in viewer.layers, timeout=20000)
    assert local_ct.is_file()
    assert len(_sample_data.real_ct()) == 1

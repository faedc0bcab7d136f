from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from napari_sss.engine.errors import Cancelled, DownloadError, WriteError
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.models import download
from napari_sss.engine.models.download import Patience, download_model
from napari_sss.engine.models.registry import EMBEDDED, ModelEntry, entry

CONTENT = bytes(range(256)) * 4096  # 1 MiB, four chunks
IMPATIENT = Patience(timeout=5.0, retries=2, pause=0.01)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("NAPARI_SSS_MODELS", str(folder))
    return folder


@pytest.fixture
def wanted(file_server, folder: Path) -> ModelEntry:
    file_server.content = CONTENT
    return ModelEntry(
        name="some",
        title="Some model",
        file_name="some.pt",
        licence="Apache-2.0",
        source="a test",
        image_size=64,
        parameters=0,
        url=file_server.url + "some.pt",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


def part_of(wanted: ModelEntry) -> Path:
    return wanted.path.with_name("some.pt.part")


def test_downloads_and_reports_every_byte(wanted, folder):
    seen: list[Progress] = []
    path = download_model(wanted, JobControl(seen.append), patience=IMPATIENT)
    assert path == folder / "some.pt"
    assert path.read_bytes() == CONTENT
    assert not part_of(wanted).exists()
    last = [p for p in seen if p.stage == "download Some model"][-1]
    assert (last.done, last.total) == (1 << 20, 1 << 20)


def test_a_verified_file_is_not_fetched_again(wanted, file_server):
    wanted.path.parent.mkdir(parents=True)
    wanted.path.write_bytes(CONTENT)
    download_model(wanted)
    assert file_server.requested_ranges == []


def test_a_damaged_file_is_replaced(wanted):
    wanted.path.parent.mkdir(parents=True)
    wanted.path.write_bytes(b"x" * len(CONTENT))
    assert download_model(wanted).read_bytes() == CONTENT


def test_a_cut_connection_is_continued(wanted, file_server):
    file_server.cut_after = [300_000, 200_000]
    assert download_model(wanted, patience=IMPATIENT).read_bytes() == CONTENT
    assert file_server.requested_ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_gives_up_where_no_byte_comes_and_keeps_the_part(wanted, file_server):
    file_server.cut_after = [300_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="300000 bytes are kept") as caught:
        download_model(wanted, patience=IMPATIENT)
    assert "continues where it stopped" in caught.value.remedy
    # One connection that brought bytes, then its failure and two more: retries=2.
    assert len(file_server.requested_ranges) == 3
    assert part_of(wanted).stat().st_size == 300_000
    assert not wanted.path.exists()
    file_server.cut_after = []
    assert download_model(wanted, patience=IMPATIENT).read_bytes() == CONTENT
    assert file_server.requested_ranges[-1] == "bytes=300000-"


def test_a_complete_part_needs_no_request(wanted, file_server):
    wanted.path.parent.mkdir(parents=True)
    part_of(wanted).write_bytes(CONTENT)
    assert download_model(wanted).read_bytes() == CONTENT
    assert file_server.requested_ranges == []


def test_a_part_that_is_too_long_is_fetched_anew(wanted):
    wanted.path.parent.mkdir(parents=True)
    part_of(wanted).write_bytes(CONTENT + b"more")
    assert download_model(wanted).read_bytes() == CONTENT


def test_a_part_of_another_file_is_fetched_anew(wanted, file_server):
    wanted.path.parent.mkdir(parents=True)
    part_of(wanted).write_bytes(b"x" * 1000)
    assert download_model(wanted).read_bytes() == CONTENT
    assert file_server.requested_ranges == ["bytes=1000-", None]


def test_a_server_without_ranges_sends_all_again(wanted, file_server):
    file_server.ranges = False
    file_server.cut_after = [300_000]
    assert download_model(wanted, patience=IMPATIENT).read_bytes() == CONTENT
    assert file_server.requested_ranges == [None, "bytes=300000-"]


def test_a_wrong_hash_leaves_nothing(wanted, folder):
    wrong = replace(wanted, sha256="0" * 64)
    with pytest.raises(DownloadError, match="its SHA-256 is") as caught:
        download_model(wrong)
    assert "Nothing was kept" in caught.value.remedy
    assert [p.name for p in folder.iterdir()] == ["some.pt.lock"]


def test_a_wrong_hash_leaves_the_file_that_was_there(wanted):
    wanted.path.parent.mkdir(parents=True)
    wanted.path.write_bytes(b"old")
    with pytest.raises(DownloadError):
        download_model(replace(wanted, sha256="0" * 64))
    assert wanted.path.read_bytes() == b"old"


def test_a_wrong_size_is_refused_before_it_is_fetched(wanted, file_server):
    file_server.content = CONTENT + b"x"
    with pytest.raises(DownloadError, match=r"1048577 bytes on the server.*1048576"):
        download_model(wanted)
    assert not part_of(wanted).exists()


def test_without_a_known_size_the_servers_length_counts(wanted, file_server):
    file_server.cut_after = [300_000]
    unsized = replace(wanted, size=None)
    assert download_model(unsized, patience=IMPATIENT).read_bytes() == CONTENT


def test_a_missing_file_is_not_asked_for_twice(wanted, file_server):
    file_server.status = [404]
    with pytest.raises(DownloadError, match="404") as caught:
        download_model(wanted)
    assert str(wanted.path) in caught.value.remedy
    assert len(file_server.requested_ranges) == 1


def test_a_busy_server_is_asked_again(wanted, file_server):
    file_server.status = [503]
    assert download_model(wanted, patience=IMPATIENT).read_bytes() == CONTENT


def test_a_server_that_refuses_every_range_does_not_loop(wanted, file_server):
    file_server.status = [416, 416]
    with pytest.raises(DownloadError):
        download_model(wanted, patience=IMPATIENT)
    assert len(file_server.requested_ranges) == 1


def test_an_unreachable_server(wanted):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    absent = replace(wanted, url=f"http://127.0.0.1:{port}/some.pt")
    with pytest.raises(DownloadError, match="could not be downloaded") as caught:
        download_model(absent, patience=IMPATIENT)
    assert "proxy" in caught.value.remedy


def test_cancel_acts_within_a_chunk_and_keeps_the_part(wanted):
    def cancel_at_once(progress: Progress) -> None:
        control.cancel()

    control = JobControl(cancel_at_once)
    with pytest.raises(Cancelled):
        download_model(wanted, control)
    assert 0 < part_of(wanted).stat().st_size <= 1 << 18
    assert not wanted.path.exists()


def test_a_full_disk_is_noticed_before_the_download(wanted, monkeypatch):
    usage = shutil.disk_usage(os.curdir)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(WriteError, match=r"some\.pt") as caught:
        download_model(wanted)
    assert "Free some space" in caught.value.remedy
    assert "NAPARI_SSS_MODELS" in caught.value.remedy


def test_a_disk_that_fills_up_meanwhile(wanted, monkeypatch):
    def fails(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", fails)
    with pytest.raises(WriteError, match="No space left"):
        download_model(wanted)


def test_a_folder_that_cannot_be_made(wanted, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NAPARI_SSS_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(WriteError, match="cannot be written"):
        download_model(wanted)


def test_only_web_addresses_are_opened(wanted):
    with pytest.raises(DownloadError, match="no web address"):
        download_model(replace(wanted, url="file:///etc/passwd"))


def test_the_embedded_model_is_never_downloaded(folder):
    assert download_model(entry(EMBEDDED)) == entry(EMBEDDED).path
    assert not folder.exists()


DOWNLOADER = """
import json, sys
from napari_sss.engine.models.download import Patience, download_model
from napari_sss.engine.models.registry import ModelEntry
download_model(ModelEntry(**json.loads(sys.argv[1])), patience=Patience(5.0, 2, 0.01))
"""


@pytest.mark.slow
def test_two_processes_do_not_disturb_each_other(wanted, folder, file_server):
    file_server.cut_after = [100_000] * 6
    command = [sys.executable, "-c", DOWNLOADER, json.dumps(asdict(wanted))]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert wanted.path.read_bytes() == CONTENT
    # The second one found the first one's file: nothing was asked for twice.
    assert len(file_server.requested_ranges) == len(set(file_server.requested_ranges)) == 7

"""The cache of encoded slices: what identifies an entry, what leaves, what is not trusted."""

import json
import logging
import os
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.inference.crops import CropFrame
from napari_sss.engine.inference.feature_cache import (
    CACHE_VARIABLE,
    LIMIT_VARIABLE,
    FeatureCache,
    content_hash,
    default_folder,
    default_limit,
)
from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Source, Volume

WHOLE = CropFrame(0, 0, 16, 16)
CPU = torch.device("cpu")
# Half precision 1*8*8*2, single 2*4*4*4, half 4*2*2*2 bytes: 128 + 128 + 32, and 4 of checksum.
SLICE_BYTES = 292


def features(seed: int) -> Features:
    torch.manual_seed(seed)
    return Features(
        (
            torch.randn(1, 1, 8, 8).bfloat16(),
            torch.randn(1, 2, 4, 4),
            torch.randn(1, 4, 2, 2).bfloat16(),
        )
    )


def model(sha256="abc", image_size=32, precision=torch.bfloat16):
    return SimpleNamespace(sha256=sha256, image_size=image_size, precision=precision)


def same(one: Features | None, other: Features) -> bool:
    return one is not None and all(
        a.dtype == b.dtype and torch.equal(a, b)
        for a, b in zip(one.levels, other.levels, strict=True)
    )


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "features", limit=10**9)


def opened(cache, content="scan", which=None, window=None):
    return cache.entry(content, which or model(), window or IntensityWindow(0, 100))


def chunks(cache):
    return sorted(cache.folder.glob("*/axial_0_0_16_16/c/*/0"))


def test_features_come_back_bit_for_bit_in_a_later_session(cache):
    opened(cache).put(Plane.AXIAL, 3, WHOLE, 5, features(3))
    later = opened(FeatureCache(cache.folder, cache.limit))
    assert later.has(Plane.AXIAL, 3, WHOLE)
    assert not later.has(Plane.AXIAL, 2, WHOLE)
    assert same(later.get(Plane.AXIAL, 3, WHOLE, CPU), features(3))
    assert later.get(Plane.AXIAL, 2, WHOLE, CPU) is None
    assert [path.stat().st_size for path in chunks(cache)] == [SLICE_BYTES]


def test_planes_and_crops_are_kept_apart(cache):
    entry, crop = opened(cache), CropFrame(2, -3, 8, 8)
    entry.put(Plane.AXIAL, 1, WHOLE, 5, features(1))
    entry.put(Plane.CORONAL, 1, WHOLE, 7, features(2))
    entry.put(Plane.AXIAL, 1, crop, 5, features(3))
    later = opened(cache)
    assert same(later.get(Plane.AXIAL, 1, WHOLE, CPU), features(1))
    assert same(later.get(Plane.CORONAL, 1, WHOLE, CPU), features(2))
    assert same(later.get(Plane.AXIAL, 1, crop, CPU), features(3))


@pytest.mark.parametrize(
    "change",
    [
        {"content": "another scan"},
        {"which": model(sha256="def")},
        {"which": model(image_size=64)},
        {"which": model(precision=torch.float32)},
        {"window": IntensityWindow(0, 101)},
    ],
    ids=["volume", "weights", "size", "precision", "window"],
)
def test_whatever_bears_on_the_features_makes_another_entry(cache, change):
    opened(cache).put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    assert not opened(cache, **change).has(Plane.AXIAL, 0, WHOLE)


def test_the_name_of_a_window_does_not_matter(cache):
    opened(cache).put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    named = IntensityWindow(0, 100, "soft tissue")
    assert opened(cache, window=named).has(Plane.AXIAL, 0, WHOLE)


def test_a_model_without_a_hash_is_never_cached(cache):
    entry = opened(cache, which=model(sha256=""))
    entry.put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    assert not entry.has(Plane.AXIAL, 0, WHOLE)
    assert not cache.folder.exists() or not list(cache.folder.glob("*/entry.json"))


def test_the_oldest_entry_leaves_when_the_limit_is_passed(cache):
    for number, content in enumerate(["first", "second", "third"]):
        opened(cache, content).put(Plane.AXIAL, 0, WHOLE, 5, features(number))
    # "first" was used again later than the others.
    for age, content in ((30, "second"), (20, "third"), (10, "first")):
        card = _folder(cache, content) / "entry.json"
        os.utime(card, (10**9 - age, 10**9 - age))
    sizes = {c: _bytes(_folder(cache, c)) for c in ("first", "second", "third")}
    cache.limit = sizes["first"] + sizes["third"]
    cache.make_room()
    assert not _folder(cache, "second").exists()
    assert _folder(cache, "third").exists()
    assert _folder(cache, "first").exists()
    cache.limit = sizes["first"]
    cache.make_room(keep=_folder(cache, "third").name)
    assert not _folder(cache, "first").exists()
    assert _folder(cache, "third").exists()


def _folder(cache, content):
    """The folder of an entry, found without touching it."""
    for card in cache.folder.glob("*/entry.json"):
        if json.loads(card.read_text())["volume"] == content:
            return card.parent
    return cache.folder / "gone"


def _bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_limit_of_nothing_switches_the_cache_off(tmp_path):
    cache = FeatureCache(tmp_path / "features", limit=0)
    entry = opened(cache)
    entry.put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    assert entry.get(Plane.AXIAL, 0, WHOLE, CPU) is None


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_slice_is_not_trusted_and_is_written_anew(cache, damage, caplog):
    opened(cache).put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    (path,) = chunks(cache)
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes({"flipped": content, "cut": content[:50], "empty": b""}[damage])
    entry = opened(cache)
    with caplog.at_level(logging.INFO, logger="napari_sss"):
        assert entry.get(Plane.AXIAL, 0, WHOLE, CPU) is None
    assert "damaged or gone" in caplog.text
    entry.put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    assert same(opened(cache).get(Plane.AXIAL, 0, WHOLE, CPU), features(0))


def test_an_array_that_cannot_be_understood_is_removed_with_a_word(cache, caplog):
    opened(cache).put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    (header,) = cache.folder.glob("*/axial_0_0_16_16/zarr.json")
    header.write_text("not JSON")
    entry = opened(cache)
    with caplog.at_level(logging.INFO, logger="napari_sss"):
        assert entry.get(Plane.AXIAL, 0, WHOLE, CPU) is None
    assert "cannot be understood" in caplog.text
    assert not header.exists()
    entry.put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    assert same(opened(cache).get(Plane.AXIAL, 0, WHOLE, CPU), features(0))


def test_an_entry_with_a_foreign_card_is_removed(cache, caplog):
    opened(cache).put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    (card,) = cache.folder.glob("*/entry.json")
    card.write_text('{"format": 0}')
    with caplog.at_level(logging.INFO, logger="napari_sss"):
        assert not opened(cache).has(Plane.AXIAL, 0, WHOLE)
    assert "does not fit" in caplog.text


def test_a_folder_without_a_card_goes_and_strangers_stay(cache):
    opened(cache)
    orphan, stranger = cache.folder / ("0" * 32), cache.folder / "thesis"
    orphan.mkdir()
    stranger.mkdir()
    cache.make_room()
    assert not orphan.exists()
    assert stranger.exists()


def test_a_full_disk_is_survived(cache, caplog, monkeypatch):
    import zarr

    entry = opened(cache)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zarr, "create_array", full)
    entry.put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    assert "takes no more" in caplog.text
    assert entry.get(Plane.AXIAL, 0, WHOLE, CPU) is None


def test_an_entry_that_another_process_removed_is_encoded_again(cache):
    entry = opened(cache)
    entry.put(Plane.AXIAL, 0, WHOLE, 5, features(0))
    FeatureCache(cache.folder, limit=1).make_room()
    assert entry.get(Plane.AXIAL, 0, WHOLE, CPU) is None


def test_two_writers_at_once_lose_nothing(cache):
    # Threads stand for processes: each has an entry of its own, as processes do.
    entries = [opened(cache), opened(FeatureCache(cache.folder, cache.limit))]
    start = threading.Barrier(2)

    def write(entry, indices):
        start.wait(10)
        for index in indices:
            entry.put(Plane.AXIAL, index, WHOLE, 20, features(index))

    threads = [
        threading.Thread(target=write, args=(entries[0], range(15))),
        threading.Thread(target=write, args=(entries[1], range(19, 4, -1))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    later = opened(FeatureCache(cache.folder, cache.limit))
    for index in range(20):
        assert same(later.get(Plane.AXIAL, index, WHOLE, CPU), features(index))


def test_folder_and_limit_can_be_set_from_outside(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv(LIMIT_VARIABLE, "1.5")
    assert default_folder() == tmp_path
    assert default_limit() == 1_500_000_000
    monkeypatch.setenv(LIMIT_VARIABLE, "plenty")
    assert default_limit() == 4_000_000_000
    assert "plenty" in caplog.text


def scan(array, spacing=(2.0, 1.0, 1.0)):
    return Volume(array, Grid(array.shape, spacing), "CT", Source(None))


def test_the_content_hash_follows_intensities_and_spacing_alone():
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    known = content_hash(scan(array))
    turned = np.asfortranarray(array)  # the same numbers, stored in another order
    assert content_hash(scan(turned)) == known
    other = array.copy()
    other[1, 2, 3] += 1
    assert content_hash(scan(other)) != known
    assert content_hash(scan(array, (2.0, 1.0, 1.5))) != known
    assert content_hash(scan(array.astype(np.int32))) != known
    renamed = replace(scan(array), modality="MR")
    assert content_hash(renamed) == known


def test_hashing_can_be_cancelled():
    def check():
        raise Cancelled

    with pytest.raises(Cancelled):
        content_hash(scan(np.zeros((2, 3, 4), np.int16)), check)

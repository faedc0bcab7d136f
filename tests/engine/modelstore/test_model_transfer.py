"""Models on their way to another machine and back, whole, damaged and malicious."""

from __future__ import annotations

import json
import stat
import zipfile

import pytest

from napari_sss.engine.errors import ModelError
from napari_sss.engine.modelstore.card import MODEL_FILES, HeldOutScores
from napari_sss.engine.modelstore.store import ModelStore
from napari_sss.engine.modelstore.transfer import export_model, export_name, import_model


@pytest.fixture
def kept(store, real_run):
    scores = HeldOutScores(mean=0.6, cases=1)
    return store.adopt(real_run, name="Kidneys / left", scores=scores)


@pytest.fixture
def other(tmp_path):
    """The store of another project."""
    return ModelStore(tmp_path / "other project")


@pytest.mark.parametrize("form", ["model.zip", "a folder"])
def test_an_export_is_the_same_model_elsewhere(store, kept, other, tmp_path, form):
    target = export_model(store, kept.id, tmp_path / form)
    taken = import_model(other, target)
    assert taken.sha256 == kept.sha256
    assert (taken.name, taken.card.classes) == (kept.name, kept.card.classes)
    assert taken.card.imported_from == kept.id
    assert taken.card.created == kept.card.created
    assert taken.card.scores.how == "held-out cases, in the project it came from"
    assert other.active == "embedded"  # importing is not using
    other.activate(taken.id)

    from napari_sss.engine.models.sss.trained import load_trained

    assert load_trained(taken.folder, device="cpu").facts.classes == kept.card.classes


def test_an_export_is_named_after_the_model_and_stays_in_its_folder(kept):
    assert export_name(kept) == "Kidneys_left.zip"


def test_a_training_can_be_imported_as_it_is(other, real_run):
    taken = import_model(other, real_run, name="From the cluster")
    assert (taken.name, taken.card.steps) == ("From the cluster", 4)


def test_the_same_model_is_not_taken_twice(store, kept, tmp_path):
    target = export_model(store, kept.id, tmp_path / "m.zip")
    with pytest.raises(ModelError, match="has this model already, as 'Kidneys / left'"):
        import_model(store, target)
    assert len(store.models) == 1


def test_an_export_overwrites_no_folder(store, kept, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(ModelError, match="exists already"):
        export_model(store, kept.id, tmp_path / "there")


def test_a_damaged_model_is_not_exported(store, kept, tmp_path):
    path = kept.folder / MODEL_FILES[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not the file that was stored"):
        export_model(store, kept.id, tmp_path / "m.zip")
    assert not (tmp_path / "m.zip").exists()


def _rezipped(source, target, change):
    """A copy of an archive whose members went through ``change(name, bytes)``."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            changed = change(member.filename, old.read(member))
            if changed is not None:
                new.writestr(*changed)
    return target


def _flip(name, content):
    if name.endswith("semantic.safetensors"):
        content = content[:-1] + bytes([content[-1] ^ 1])
    return name, content


def _cut(name, content):
    return name, content[:-8] if name.endswith("model.safetensors") else content


def _longer(name, content):
    return name, content + b"x" * 8 if name.endswith("model.safetensors") else content


def _without_card(name, content):
    return None if name.endswith("card.json") else (name, content)


def _without_weights(name, content):
    return None if name.endswith("model.safetensors") else (name, content)


def _newer(name, content):
    if name.endswith("card.json"):
        content = json.dumps(json.loads(content) | {"version": 99}).encode()
    return name, content


def _other_file(name, content):
    """A card that names a file outside: it is refused, nothing is looked up there."""
    if name.endswith("card.json"):
        card = json.loads(content)
        card["files"]["../../evil"] = card["files"].pop("model.json")
        content = json.dumps(card).encode()
    return name, content


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_flip, "semantic.safetensors in .* is not the file that its card describes"),
        (_cut, "model.safetensors in .* is not the file"),
        (_longer, "model.safetensors is larger than its card says"),
        (_without_card, "holds no card.json"),
        (_without_weights, "holds no model.safetensors"),
        (_newer, "newer napari-sss"),
        (_other_file, "names the files"),
    ],
)
def test_what_is_damaged_or_foreign_is_refused_with_the_reason(
    store, kept, other, tmp_path, change, reason
):
    good = export_model(store, kept.id, tmp_path / "good.zip")
    bad = _rezipped(good, tmp_path / "bad.zip", change)
    with pytest.raises(ModelError, match=reason):
        import_model(other, bad)
    assert other.models == ()


@pytest.mark.parametrize(
    "evil", ["../card.json", "/etc/card.json", "C:\\card.json", "a\\..\\..\\model.json"]
)
def test_a_path_that_leads_out_is_refused(store, kept, other, tmp_path, evil):
    good = export_model(store, kept.id, tmp_path / "good.zip")
    with zipfile.ZipFile(good, "a") as archive:
        archive.writestr(evil, b"{}")
    with pytest.raises(ModelError, match="leads out of it"):
        import_model(other, good)
    assert not (tmp_path / "card.json").exists()


def test_a_link_in_an_archive_is_refused(other, tmp_path):
    link = zipfile.ZipInfo("m/model.safetensors")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="is a link"):
        import_model(other, tmp_path / "link.zip")


def test_a_link_in_a_folder_is_refused(store, kept, other, tmp_path):
    folder = export_model(store, kept.id, tmp_path / "folder")
    weights = folder / "model.safetensors"
    weights.unlink()
    weights.symlink_to(kept.folder / "model.safetensors")
    with pytest.raises(ModelError, match="is a link to another place"):
        import_model(other, folder)


def test_no_archive_at_all_is_refused(other, tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and nothing more")
    for path in (tmp_path / "x.zip", tmp_path / "nothing", tmp_path):
        with pytest.raises(ModelError):
            import_model(other, path)


def test_weights_that_do_not_fit_their_card_are_refused_before_they_are_kept(
    store, kept, other, tmp_path
):
    """All hashes are right, yet the network cannot be filled: loading once finds it."""
    import hashlib

    folder = export_model(store, kept.id, tmp_path / "folder")
    network = json.loads((folder / "model.json").read_text())
    network["architecture"]["d_model"] = 64  # the weights are of 32
    text = json.dumps(network).encode()
    (folder / "model.json").write_bytes(text)
    card = json.loads((folder / "card.json").read_text())
    card["files"]["model.json"] = {
        "size": len(text),
        "sha256": hashlib.sha256(text).hexdigest(),
    }
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="cannot be used"):
        import_model(other, folder)
    assert other.models == ()


def test_a_pickle_in_place_of_weights_is_never_read(store, kept, other, tmp_path):
    import hashlib
    import pickle

    class Boom:
        def __reduce__(self):
            return (open, (str(tmp_path / "boom"), "w"))

    folder = export_model(store, kept.id, tmp_path / "folder")
    content = pickle.dumps(Boom())
    digest = hashlib.sha256(content).hexdigest()
    (folder / "semantic.safetensors").write_bytes(content)
    network = json.loads((folder / "model.json").read_text())
    network["sss"]["semantic_sha256"] = digest
    text = json.dumps(network).encode()
    (folder / "model.json").write_bytes(text)
    card = json.loads((folder / "card.json").read_text())
    card["files"]["semantic.safetensors"] = {"size": len(content), "sha256": digest}
    card["files"]["model.json"] = {
        "size": len(text),
        "sha256": hashlib.sha256(text).hexdigest(),
    }
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="cannot be used"):
        import_model(other, folder)
    assert not (tmp_path / "boom").exists()

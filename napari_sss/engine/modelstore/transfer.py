"""Giving a model to another machine, and taking one from there.

An export is a folder, or a ZIP file of one, with the model's files and its card, which holds
their SHA-256s. Nothing in it is ever run: weights are safetensors, cards are JSON. What comes
in is copied by fixed names into a folder of our own, so that no path in an archive can lead
anywhere else, and is loaded once, on the CPU, before it becomes a model of the project.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from napari_sss.engine.errors import ModelError, SSSError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.modelstore.card import (
    CARD_NAME,
    MODEL_FILES,
    FileFacts,
    StoredCard,
    StoredModel,
    parse_card,
)
from napari_sss.engine.modelstore.files import (
    Stream,
    copy_hashed,
    put_in_place,
    readable,
    unfinished,
    writing_models,
)
from napari_sss.engine.modelstore.provenance import (
    check_together,
    created,
    data_counts,
    network_card,
    training_facts,
)
from napari_sss.engine.modelstore.store import ModelStore
from napari_sss.engine.project.paths import safe_name
from napari_sss.engine.volumes.atomic import replacing

ZIP_SUFFIX = ".zip"
_MOST_CARD_BYTES = 1 << 20
_ELSEWHERE = ", in the project it came from"
_NOT_CARRIED = {"id", "name", "run", "files", "imported_from", "format", "version"}

Open = Callable[[str], AbstractContextManager[Stream]]


def export_model(
    store: ModelStore, model_id: str, target: Path | str, control: JobControl | None = None
) -> Path:
    """Write a model such that another machine can import it.

    Parameters
    ----------
    store : ModelStore
        The project's.
    model_id : str
        Which; its files are verified first.
    target : Path
        A file that ends in ``.zip``, or a folder that does not exist yet.
    control : JobControl, optional
        May cancel.

    Raises
    ------
    ModelError
        The model is damaged, or the target folder exists.
    WriteError
        The target cannot be written; what was there before is untouched.
    """
    control, target = control or JobControl(), Path(target)
    model = store.verify(model_id, control)
    if target.suffix.lower() == ZIP_SUFFIX:
        _write_zip(model, target, control)
    else:
        _write_folder(model, target, control)
    return target


def export_name(model: StoredModel) -> str:
    """A file name for a model's export."""
    return f"{safe_name(model.name)}{ZIP_SUFFIX}"


def import_model(
    store: ModelStore, source: Path | str, *, name: str = "", control: JobControl | None = None
) -> StoredModel:
    """Take in a model from elsewhere, without using it yet.

    Parameters
    ----------
    store : ModelStore
        The project's.
    source : Path
        What :func:`export_model` wrote, as a folder or a ZIP file; or the folder of a
        finished training.
    name : str
        What it is called; by default as where it came from.
    control : JobControl, optional
        May cancel.

    Raises
    ------
    ModelError
        It is no model, damaged, of a newer program, or there already; nothing was kept.
    WriteError
        The project cannot be written.
    """
    control, source = control or JobControl(), Path(source)
    with _opened(source) as open_file:
        card = _card_of(open_file, source)
        facts = _carried(card) if card is not None else _of_training(source)
        known = {model.id for model in store.models}

        def copy(made: Path, control: JobControl) -> dict[str, FileFacts]:
            files = {}
            for number, file in enumerate(MODEL_FILES):
                control.report("importing", number, len(MODEL_FILES) + 1)
                most = card.files[file].size if card is not None else None
                with open_file(file) as stream:
                    files[file] = copy_hashed(stream, made / file, control, most)
                if card is not None and files[file] != card.files[file]:
                    raise ModelError(
                        f"{file} in {source} is not the file that its card describes.",
                        "It was damaged or changed on the way: copy or export it again.",
                        source,
                    )
            network = network_card(made)
            check_together(network, files, source)
            control.report("importing", len(MODEL_FILES), len(MODEL_FILES) + 1)
            _load_once(made, source)
            return files

        model = store.keep(copy, facts, name or (card.name if card else ""), control)
    if model.id in known:
        raise ModelError(
            f"The project has this model already, as {model.name!r}.", "Use that one.", source
        )
    return model


def _write_zip(model: StoredModel, target: Path, control: JobControl) -> None:
    top = safe_name(model.name)
    with (
        replacing(target, ZIP_SUFFIX) as beside,
        # Weights do not shrink by compressing.
        zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive,
    ):
        for number, file in enumerate((*MODEL_FILES, CARD_NAME)):
            control.report("exporting", number, len(MODEL_FILES) + 1)
            archive.write(model.folder / file, f"{top}/{file}")


def _write_folder(model: StoredModel, target: Path, control: JobControl) -> None:
    if target.exists():
        raise ModelError(f"{target} exists already.", "Choose a new folder.", target)
    with unfinished(target.absolute().parent) as made:
        for number, file in enumerate((*MODEL_FILES, CARD_NAME)):
            control.report("exporting", number, len(MODEL_FILES) + 1)
            with writing_models(made / file):
                shutil.copyfile(model.folder / file, made / file)
        put_in_place(made, target)


@contextmanager
def _opened(source: Path) -> Iterator[Open]:
    """A way to open the model's files by their names, out of a folder or a ZIP file."""
    if source.is_dir():
        yield lambda name: _plain_file(source / name)
        return
    if not source.is_file():
        raise ModelError(
            f"{source} does not exist.", "Choose a folder or ZIP file of a model.", source
        )
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(source))
            members = _members(archive, source)
        except (zipfile.BadZipFile, OSError) as error:
            raise ModelError(
                f"{source} is no ZIP file, or a damaged one ({error}).",
                "Choose what Export made, or copy it again.",
                source,
            ) from error
        yield lambda name: _zipped_file(archive, members, name, source)


def _plain_file(path: Path) -> AbstractContextManager[Stream]:
    if path.is_symlink():
        raise ModelError(
            f"{path} is a link to another place.", "Copy the file itself there.", path
        )
    with readable(path):
        return path.open("rb")


def _zipped_file(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, source: Path
) -> AbstractContextManager[Stream]:
    if name not in members:
        raise ModelError(
            f"{source} holds no {name}.", "Choose the ZIP file that Export made.", source
        )
    return _Checked(archive.open(members[name]), source)


class _Checked:
    """A member of a ZIP file, whose damage is told as an error of ours."""

    def __init__(self, stream: IO[bytes], source: Path) -> None:
        self._stream, self._source = stream, source

    def __enter__(self) -> _Checked:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise ModelError(
                f"{self._source} is damaged ({error}).", "Copy it again.", self._source
            ) from error


def _members(archive: zipfile.ZipFile, source: Path) -> dict[str, zipfile.ZipInfo]:
    """The model's files in an archive by their names, in its root or in one folder.

    Raises
    ------
    ModelError
        A member leads elsewhere, is a link or encrypted, or a file is there twice.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        outside = path.is_absolute() or ".." in path.parts
        if outside or PureWindowsPath(member.filename).drive:
            raise _tampered(source, f"{member.filename!r} leads out of it")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _tampered(source, f"{member.filename!r} is a link")
        if path.name not in (*MODEL_FILES, CARD_NAME) or len(path.parts) > 2:
            continue
        if path.parts[0] == "__MACOSX":
            continue
        if member.flag_bits & 0x1:
            raise _tampered(source, f"{member.filename!r} is encrypted")
        if path.name in found:
            raise _tampered(source, f"it holds {path.name} twice")
        found[path.name] = member
    return found


def _tampered(source: Path, reason: str) -> ModelError:
    return ModelError(
        f"{source} was not opened: {reason}.", "Choose the file that Export made.", source
    )


def _card_of(open_file: Open, source: Path) -> StoredCard | None:
    """The card of an export; None in the folder of a training, which has none."""
    if source.is_dir() and not (source / CARD_NAME).exists():
        return None
    with open_file(CARD_NAME) as stream:
        content = stream.read(_MOST_CARD_BYTES + 1)
    if len(content) > _MOST_CARD_BYTES:
        raise _tampered(source, "its card is larger than a card can be")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _tampered(source, "its card is no text") from error
    return parse_card(text, source / CARD_NAME)


def _carried(card: StoredCard) -> dict[str, Any]:
    """What a card keeps in another project; ids of the old one mean nothing there."""
    facts = {name: getattr(card, name) for name in type(card).model_fields}
    facts = {name: value for name, value in facts.items() if name not in _NOT_CARRIED}
    strangers = tuple(p.model_copy(update={"model_id": None}) for p in card.parents)
    facts |= {"parents": strangers, "imported_from": card.id}
    if card.scores is not None:
        how = card.scores.how.removesuffix(_ELSEWHERE) + _ELSEWHERE
        facts["scores"] = card.scores.model_copy(update={"how": how})
    return facts


def _of_training(folder: Path) -> dict[str, Any]:
    network = network_card(folder)
    return {
        **training_facts(network),
        "created": created(folder),
        "data": data_counts(folder, network),
        "imported_from": folder.name,
    }


def _load_once(folder: Path, source: Path) -> None:
    """Build the network and fill it, to be sure that it can be."""
    from napari_sss.engine.models.environment import prepare_for_torch

    prepare_for_torch()
    from napari_sss.engine.models.sss.trained import load_trained

    try:
        load_trained(folder, device="cpu")
    except SSSError as error:
        raise ModelError(
            f"{source} cannot be used: {error.problem}", error.remedy, source
        ) from error

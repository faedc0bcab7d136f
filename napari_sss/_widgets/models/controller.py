"""What the Models tab does: listing, choosing, rolling back, giving and taking models.

No Qt. Its methods run on the viewer's thread; whatever reads or writes files runs in a
worker. Which model is used is kept in the project and in the panel's
:class:`~napari_sss._widgets.model_choice.ModelChoice`: this is where the two are held
together, whoever changes one of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_sss._widgets.model_choice import ModelChoice
from napari_sss._widgets.models.rows import (
    ModelRow,
    damaged_row,
    project_row,
    registry_row,
)
from napari_sss._widgets.project_room import Post, ProjectRoom
from napari_sss._widgets.status import ModelStatus, Notice, Severity
from napari_sss._widgets.worker import Job, Worker
from napari_sss.engine.errors import SSSError
from napari_sss.engine.jobs import JobControl, Progress
from napari_sss.engine.models.registry import EMBEDDED, entry, model_names
from napari_sss.engine.modelstore.card import StoredModel
from napari_sss.engine.modelstore.events import events
from napari_sss.engine.modelstore.listing import Listing
from napari_sss.engine.modelstore.store import ModelStore

logger = logging.getLogger(__name__)

NO_PROJECT = "Open or create a project in the Cases tab: its models are kept with it."
NO_MODELS = (
    "This project has no models of its own yet: accept a few cases and fine-tune, or import "
    "one."
)
EMPTY = Listing(())
NOTHING_BEFORE = "No other model was used before."


@dataclass(frozen=True)
class Workers:
    """Who does what takes time.

    Parameters
    ----------
    quick : Worker
        Reads and writes small files; a person waits for it.
    files : Worker
        Copies models; shared with others.
    transfers : Worker
        Downloads, which take minutes.
    """

    quick: Worker
    files: Worker
    transfers: Worker


@dataclass(frozen=True)
class Inventory:
    """What a store was found to hold.

    Parameters
    ----------
    listing : Listing
        Its models.
    active : str
        What it says is used.
    previous : str, optional
        What a roll back leads to.
    problem : str
        Why that is not known.
    has_history : bool
        Somebody has chosen a model in this project.
    """

    listing: Listing = EMPTY
    active: str = EMBEDDED
    previous: str | None = None
    problem: str = ""
    has_history: bool = False


@dataclass(frozen=True)
class ModelsStatus:
    """Everything the tab shows.

    Parameters
    ----------
    rows : tuple of ModelRow
        The project's first, the newest on top.
    empty_text : str
        What is said in place of models of the project; "" where there are some.
    problem : str
        What is wrong with the store as a whole.
    busy : str
        What is being done with files; "" where nothing is.
    progress : Progress, optional
        How far it is.
    can_cancel : bool
        Whether it can be stopped.
    roll_back_to : str
        Title of the model that was used before.
    why_no_roll_back, why_no_import : str
        Why that cannot be done; "" where it can.
    """

    rows: tuple[ModelRow, ...] = ()
    empty_text: str = ""
    problem: str = ""
    busy: str = ""
    progress: Progress | None = None
    can_cancel: bool = False
    roll_back_to: str = ""
    why_no_roll_back: str = ""
    why_no_import: str = ""


class ModelsController:
    """The Models tab's logic.

    Parameters
    ----------
    room : ProjectRoom
        Which project is open.
    workers : Workers
        Who does the work.
    choice : ModelChoice
        The model that the panel uses.
    post : callable
        ``post(call)`` has ``call()`` called on the viewer's thread, whatever thread asks.
    """

    changed = Signal(ModelsStatus)
    noticed = Signal(Notice)
    in_use_changed = Signal(str, str)
    """Emitted with what ``ModelChoice`` was told and the model's title for people."""
    imported = Signal(str)
    """Emitted with the id of a model that was taken in."""

    def __init__(
        self, room: ProjectRoom, workers: Workers, choice: ModelChoice, post: Post
    ) -> None:
        self._room = room
        self._post = post
        self._workers = workers
        self._choice = choice
        self._store: ModelStore | None = None
        self._found = Inventory()
        self._known = False  # whether the store was looked into since it was opened
        self._verified: dict[str, str] = {}
        self._busy: dict[int, tuple[str, JobControl]] = {}
        self._progress: Progress | None = None
        self._downloading = ""
        room.project_changed.connect(self._on_project)
        choice.changed.connect(self._on_choice)
        events.changed.connect(self._on_store)
        self._on_project()

    # -- what the view shows ------------------------------------------------------------

    @property
    def status(self) -> ModelsStatus:
        """Everything the tab shows."""
        locked = self._locked
        listing = self._found.listing
        own = [
            project_row(model, self._uses(model), locked) for model in reversed(listing.models)
        ]
        own += [damaged_row(folder, reason, locked) for folder, reason in listing.damaged]
        return ModelsStatus(
            (*own, *self._registry_rows()),
            "" if own else (NO_PROJECT if self._store is None else NO_MODELS),
            self._found.problem,
            next((name for name, _ in self._busy.values()), ""),
            self._progress,
            bool(self._busy),
            self._title(self._found.previous),
            locked or ("" if self._found.previous is not None else NOTHING_BEFORE),
            locked,
        )

    def row(self, key: str) -> ModelRow | None:
        """One line, or None."""
        return next((row for row in self.status.rows if row.key == key), None)

    @property
    def store(self) -> ModelStore | None:
        """The open project's models."""
        return self._store

    @property
    def model(self) -> StoredModel | None:
        """The project's model that is used; None where it is another one."""
        return next((m for m in self._found.listing.models if self._uses(m)), None)

    # -- what the person asks -----------------------------------------------------------

    def refresh(self) -> None:
        """Look into the project's folder again."""
        store = self._store
        if store is not None:
            self._quick("list models", lambda _: _inventory(store), self._listed)

    def activate(self, key: str) -> None:
        """Use a model from now on."""
        store = self._store
        if store is None:
            self._use(key)
            return
        self._quick(
            f"activate {key}",
            lambda control: (store.activate(key, control), _inventory(store))[1],
            self._adopted,
        )

    def roll_back(self) -> None:
        """Use again what was used before."""
        store = self._store
        if store is not None:
            self._quick(
                "roll back", lambda _: (store.roll_back(), _inventory(store))[1], self._adopted
            )

    def rename(self, key: str, name: str) -> None:
        """Call a model of the project otherwise."""
        self._change(f"rename {key}", lambda store: store.rename(key, name))

    def delete(self, key: str) -> None:
        """Remove a model of the project for good; the view has asked."""
        self._change(f"delete {key}", lambda store: store.delete(key))

    def export(self, key: str, target: Path) -> None:
        """Write a model for another machine: a ZIP file, or a folder."""
        store = self._store
        if store is None:
            return

        def run(control: JobControl) -> Path:
            from napari_sss.engine.modelstore.transfer import export_model

            return export_model(store, key, target, control)

        self._long(
            self._workers.files,
            f"Exporting {self._title(key)}",
            run,
            lambda path: self._tell(f"Exported to {path}."),
        )

    def take_in(self, source: Path) -> None:
        """Import a model: a ZIP file or folder of an export, or a training's folder."""
        store = self._store
        if store is None:
            return

        def run(control: JobControl) -> tuple[StoredModel, Inventory]:
            from napari_sss.engine.modelstore.transfer import import_model

            return import_model(store, source, control=control), _inventory(store)

        def done(result: tuple[StoredModel, Inventory]) -> None:
            model, found = result
            self._listed(found)
            self._tell(f"Imported {model.name}. Activate it to use it.")
            self.imported.emit(model.id)

        self._long(self._workers.files, f"Importing {source.name}", run, done)

    def download(self, key: str) -> None:
        """Fetch a registered model; what has come stays when it is cancelled."""
        known = entry(key)

        def run(control: JobControl) -> Path:
            from napari_sss.engine.models.download import download_model

            return download_model(known, control)

        def done(_: Path) -> None:
            self._verified[key] = "Complete and unchanged."
            self._tell(f"{known.title} is on this computer now.")

        self._downloading = key
        self._long(self._workers.transfers, f"Downloading {known.title}", run, done)

    def verify(self, key: str) -> None:
        """Read a model's file and say whether it is whole."""
        store, title = self._store, self._title(key)

        def run(control: JobControl) -> str:
            if key in model_names():
                from napari_sss.engine.models.environment import prepare_for_torch

                prepare_for_torch()
                from napari_sss.engine.models.loading import verify_model

                return verify_model(key, control).detail
            assert store is not None
            store.verify(key, control)
            return "Complete and unchanged."

        def done(detail: str) -> None:
            self._verified[key] = detail
            self._tell(f"{title}: {detail}")

        self._long(self._workers.transfers, f"Checking {title}", run, done)

    def shut_down(self) -> None:
        """Listen to nothing any more."""
        events.changed.disconnect(self._on_store, missing_ok=True)

    def cancel(self) -> None:
        """Stop what is being done with files."""
        for _, control in self._busy.values():
            control.cancel()

    # -- inside -------------------------------------------------------------------------

    @property
    def _locked(self) -> str:
        """Why nothing can be changed in the project; "" where it can."""
        return NO_PROJECT if self._store is None else self._room.why_read_only

    def _registry_rows(self) -> list[ModelRow]:
        return [
            registry_row(
                entry(name),
                self._choice.status.name == name,
                verified=self._verified.get(name, ""),
                downloading=self._downloading == name,
            )
            for name in model_names()
        ]

    def _uses(self, model: StoredModel) -> bool:
        return self._choice.status.name == str(model.folder)

    def _title(self, key: str | None) -> str:
        if key is None:
            return ""
        if key in model_names():
            return entry(key).title
        models = self._found.listing.models
        return next((model.name for model in models if model.id == key), key)

    def _on_project(self) -> None:
        project = self._room.project
        store = None if project is None else ModelStore(project.folder)
        if store is not None and self._store is not None and store.folder == self._store.folder:
            self.refresh()
            return
        own = self.model is not None
        self._store, self._found, self._known = store, Inventory(), False
        if own:  # a model of the project that was closed
            self._use(EMBEDDED)
        if store is not None:
            self._quick("list models", lambda _: _inventory(store), self._entered)
        self._changed()

    def _entered(self, found: Inventory) -> None:
        """A project was opened: what was chosen in it is used again."""
        if found.has_history:
            self._adopted(found)
        else:
            self._listed(found)

    def _adopted(self, found: Inventory) -> None:
        self._found, self._known = found, True
        self._changed()
        self._use(found.active)

    def _listed(self, found: Inventory) -> None:
        """The store was looked into; what somebody else has activated in it is used."""
        elsewhere = self._known and found.active != self._found.active
        self._found, self._known = found, True
        self._changed()
        if elsewhere:
            self._use(found.active)

    def _on_store(self, folder: Path) -> None:
        """Some part of this program has changed a store; called in any thread."""
        self._post(lambda: self._look_again(folder))

    def _look_again(self, folder: Path) -> None:
        if self._store is not None and self._store.folder == folder:
            self.refresh()

    def _use(self, key: str) -> None:
        """Have the panel use a model."""
        if key in model_names():
            self._choice.choose(key)
            self.in_use_changed.emit(key, self._title(key))
            return
        for model in self._found.listing.models:
            if model.id == key:
                self._choice.choose(str(model.folder), model.folder)
                self.in_use_changed.emit(str(model.folder), model.name)

    def _on_choice(self, status: ModelStatus) -> None:
        """Another model was chosen, here or elsewhere; the project takes note of it."""
        chosen = next(
            (m for m in self._found.listing.models if str(m.folder) == status.name), None
        )
        if chosen is not None and status.trained is None:
            self._choice.choose(status.name, chosen.folder)
            return
        key = chosen.id if chosen is not None else status.name
        known = chosen is not None or key in model_names()
        if known and self._known and key != self._found.active and self._store is not None:
            self._note(self._store, key)
        self._changed()

    def _note(self, store: ModelStore, key: str) -> None:
        """Write down that a model is used which was chosen elsewhere."""
        if not self._locked and not self._found.problem:
            self._quick(
                f"note {key}",
                lambda control: (store.activate(key, control), _inventory(store))[1],
                self._listed,
            )

    def _change(self, name: str, do: Callable[[ModelStore], Any]) -> None:
        store = self._store
        if store is not None:
            self._quick(name, lambda _: (do(store), _inventory(store))[1], self._listed)

    def _quick(
        self, name: str, run: Callable[[JobControl], Any], on_done: Callable[[Any], None]
    ) -> None:
        store = self._store

        def done(result: Any) -> None:
            if store is self._store:  # another project may be open by now
                on_done(result)

        self._workers.quick.submit(
            Job(name, lambda control, _: run(control), on_done=done, on_failed=self._failed)
        )

    def _long(
        self,
        worker: Worker,
        name: str,
        run: Callable[[JobControl], Any],
        on_done: Callable[[Any], None],
    ) -> None:
        def ended() -> None:
            self._busy.pop(number, None)
            self._progress = None
            self._downloading = ""
            self._changed()

        def done(result: Any) -> None:
            on_done(result)
            ended()

        def failed(error: Exception) -> None:
            self._failed(error)
            ended()

        number = max(self._busy, default=0) + 1
        control = worker.submit(
            Job(
                name,
                lambda control, _: run(control),
                on_progress=self._progressed,
                on_done=done,
                on_failed=failed,
                on_cancelled=ended,
            )
        )
        self._busy[number] = (name, control)
        self._changed()

    def _progressed(self, progress: Progress) -> None:
        self._progress = progress
        self._changed()

    def _changed(self) -> None:
        self.changed.emit(self.status)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, SSSError):
            self.noticed.emit(Notice(Severity.ERROR, str(error)))
            self.refresh()
            return
        logger.error("Unexpected error", exc_info=error)
        text = f"{type(error).__name__}: {error}. This is a fault of napari-sss; the models "
        self.noticed.emit(Notice(Severity.ERROR, text + "are as they were."))

    def _tell(self, text: str) -> None:
        self.noticed.emit(Notice(Severity.INFO, text))


def _inventory(store: ModelStore) -> Inventory:
    """What a store holds; called in a worker."""
    listing = store.listing()
    try:
        active, over = store.active, store.passed_over
        problem = f"The model {over} that was used last is damaged or gone." if over else ""
        return Inventory(listing, active, store.previous, problem, bool(store.history))
    except SSSError as error:
        return Inventory(listing, problem=str(error))

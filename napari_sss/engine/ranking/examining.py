"""Looking at a case with a model: features, what is found, where opinions differ.

Opinions come from the two networks that a training ended with (student and teacher, or the
two of cross supervision) where its checkpoint is there; else from views of each slice, which
a model that is sure of itself reads alike: mirrored, darker and brighter.
"""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_sss.engine.inference.semantic import SLICES_AT_ONCE
from napari_sss.engine.inference.squares import SliceGeometry
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.models.sss.segmenter import Segmenter
from napari_sss.engine.models.sss.trained import TrainedModel
from napari_sss.engine.ranking.examined import FORMAT, Examined, How
from napari_sss.engine.training.checkpoint import CHECKPOINT_NAME, restore_network
from napari_sss.engine.volumes.intensity import window_for
from napari_sss.engine.volumes.volume import Volume

log = logging.getLogger(__name__)

DARKER, BRIGHTER = 1.4, 0.7
"""Gammas of the views: within what scanners and windows differ by."""

_SIDES = ("left", "right")
_NETWORK = "network."

View = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
"""What is done to the grey slices, and what undoes it in the label maps."""


@dataclass(frozen=True)
class Examiner:
    """A model that looks at cases.

    Parameters
    ----------
    model : Sam2Model
        Whose encoder says how alike slices are.
    trained : TrainedModel, optional
        Knows the classes; ``model`` is its SAM-2 then.
    pair : tuple of two Segmenter, optional
        Two networks of one training that may be of two minds.
    """

    model: Sam2Model
    trained: TrainedModel | None = None
    pair: tuple[Segmenter, Segmenter] | None = None

    @classmethod
    def of(
        cls, model: Sam2Model, trained: TrainedModel | None = None, run: Path | None = None
    ) -> Examiner:
        """An examiner with all opinions there are.

        Parameters
        ----------
        model, trained
            See the class.
        run : Path, optional
            The folder of the training that made ``trained``.
        """
        pair = None
        if trained is not None and run is not None:
            pair = networks_of_run(trained.segmenter, run)
        return cls(model if trained is None else trained.segmenter.sam2, trained, pair)

    @property
    def how(self) -> How:
        """Where the opinions come from."""
        if self.pair is not None:
            return "pair"
        return "none" if self.trained is None else "views"

    @property
    def key(self) -> str:
        """Tells this model and this way of looking from others."""
        semantic = "" if self.trained is None else self.trained.facts.semantic_sha256
        parts = (FORMAT, self.model.sha256, semantic, self.model.image_size, self.how)
        return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:20]

    def examine(self, volume: Volume, control: JobControl | None = None) -> Examined:
        """Look at a scan, all slices along its canonical first axis.

        Parameters
        ----------
        volume : Volume
            In any axis order.
        control : JobControl, optional
            May cancel between batches of slices.
        """
        control = control or JobControl()
        geometry = SliceGeometry.of(volume.grid, self.model.image_size)
        name = None if self.trained is None else self.trained.facts.window
        grey = geometry.squares(volume, window_for(volume, name))
        classes = () if self.trained is None else tuple(self.trained.facts.classes)
        parts = [self._look(batch, len(classes)) for batch in _batches(grey, control)]
        embedding, found, claimed, disputed = (
            np.concatenate(columns) for columns in zip(*parts, strict=True)
        )
        return Examined(embedding, found, claimed, disputed, classes, self.how)

    @torch.no_grad()
    def _look(self, grey: Tensor, classes: int) -> tuple[NDArray[Any], ...]:
        """Embedding, pixels of each class, pixels claimed and disputed, of some slices."""
        if self.trained is None:
            with self.model.inference():
                embedding = _pooled(self.model.encode(grey).levels[2])
            nothing = np.zeros(len(grey), dtype=np.int64)
            return embedding, np.zeros((len(grey), 0), dtype=np.int64), nothing, nothing
        segmenter = self.trained.segmenter.eval()
        with self.model.autocast():
            pyramid = segmenter.encode(grey)
            own = _labels(segmenter.classify(segmenter.enhance(pyramid)))
        opinions = [own, *self._others(grey)]
        # The pair is judged between its two, not against the model that was kept earlier.
        judged = torch.stack(opinions[1:] if self.pair is not None else opinions)
        claimed = (judged > 0).any(dim=0)
        disputed = (judged != judged[0]).any(dim=0)
        found = torch.stack([(own == k + 1).sum(dim=(1, 2)) for k in range(classes)], dim=1)
        counts = (found, claimed.sum(dim=(1, 2)), disputed.sum(dim=(1, 2)))
        return _pooled(pyramid.levels[2]), *(count.cpu().numpy() for count in counts)

    def _others(self, grey: Tensor) -> Iterator[Tensor]:
        """The other opinions' label maps (B, S, S) on some slices."""
        assert self.trained is not None
        with self.model.autocast():
            for network in self.pair or ():
                network.eval()
                yield _labels(network.classify(network.enhance(network.encode(grey))))
            if self.pair is None:
                segmenter = self.trained.segmenter
                for see, back in _views(tuple(self.trained.facts.classes)):
                    seen = segmenter.enhance(segmenter.encode(see(grey)))
                    yield back(_labels(segmenter.classify(seen)))


def networks_of_run(like: Segmenter, run: Path) -> tuple[Segmenter, Segmenter] | None:
    """The two networks that a training ended with; None where it had one, or none is left.

    Parameters
    ----------
    like : Segmenter
        A network of the same shape, with what the training did not change.
    run : Path
        The training's folder.
    """
    try:
        with safe_open(run / CHECKPOINT_NAME, framework="pt") as opened:
            names = [name for name in opened.keys() if name.startswith(_NETWORK)]  # noqa: SIM118
            states: dict[str, dict[str, Tensor]] = {}
            for name in names:
                network, _, parameter = name.removeprefix(_NETWORK).partition(".")
                states.setdefault(network, {})[parameter] = opened.get_tensor(name)
    except (OSError, SafetensorError) as error:
        log.info("No second opinion from %s: %s", run, error)
        return None
    known = like.state_dict()
    fitting = [
        state
        for _, state in sorted(states.items())
        if all(n in known and known[n].shape == t.shape for n, t in state.items())
    ]
    if len(fitting) != 2:
        return None
    pair = (copy.deepcopy(like), copy.deepcopy(like))
    for network, state in zip(pair, fitting, strict=True):
        restore_network(network, state)
    return pair


def _views(classes: tuple[str, ...]) -> list[View]:
    """Other sights of the same slices; no mirroring where left and right are told apart."""
    views: list[View] = [(lambda g, e=e: g**e, lambda m: m) for e in (DARKER, BRIGHTER)]  # type: ignore[misc]
    if not any(side in name.lower() for name in classes for side in _SIDES):
        views.append((_mirrored, _mirrored))
    return views


def _mirrored(images: Tensor) -> Tensor:
    return images.flip(-1)


def _labels(logits: Tensor) -> Tensor:
    """(B, S, S) places of the most probable classes, 0 for the background."""
    return logits.argmax(dim=1)


def _pooled(features: Tensor) -> NDArray[np.float32]:
    """(B, 2 C): mean and standard deviation of each feature over the slice."""
    features = features.float()
    pooled = torch.cat([features.mean(dim=(2, 3)), features.std(dim=(2, 3))], dim=1)
    return pooled.cpu().numpy()


def _batches(grey: NDArray[Any], control: JobControl) -> Iterator[Tensor]:
    for start in range(0, len(grey), SLICES_AT_ONCE):
        control.check()
        yield torch.from_numpy(grey[start : start + SLICES_AT_ONCE]).float()

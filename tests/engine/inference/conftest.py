"""A model whose answers are known, so that everything around it can be checked by hand."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from napari_sss.engine.inference.slices import SliceStack
from napari_sss.engine.models.sam2_model import Decoded, Features, PointPrompts, Sam2Model
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume

SIDE = 64
CLICK_RADIUS = 4  # pixels of the crop
SURE = 10.0


class Seer:
    """What a stub of the model does.

    With a box its answer is the box; a positive click on a bright pixel means everything
    bright in the crop, elsewhere a disc; a negative click takes a disc away; a mask is
    taken as it is. Without prompts, as on tracked slices, it sees what is bright.
    """

    def __init__(self) -> None:
        self.sureness = 0.9
        self.encoded: list[int] = []  # crops per call
        self.banks: list[tuple[int, set[int], set[int]]] = []  # slice, prompted, tracked

    def encode(self, grey: torch.Tensor) -> Features:
        self.encoded.append(len(grey))
        empty = torch.zeros(len(grey), 1, 1, 1)
        return Features((grey[:, None].clone(), empty, empty))

    def without_memory(self, features: Features) -> torch.Tensor:
        return features.levels[2]

    def with_memory(self, features, bank, index, *, backwards, slices) -> torch.Tensor:
        self.banks.append((index, set(bank.prompted), set(bank.tracked)))
        return features.levels[2]

    def remember(self, features, decoded, *, prompted):
        return {"obj_ptr": torch.zeros(1)}

    def upsample(self, logits: torch.Tensor) -> torch.Tensor:
        return F.interpolate(logits, size=(SIDE, SIDE), mode="nearest")

    def decode(
        self,
        features: Features,
        pixels: torch.Tensor,
        prompts: PointPrompts | None,
        mask_logits: torch.Tensor | None = None,
        *,
        multimask: bool = False,
    ) -> Decoded:
        rows = []
        for row in range(len(features)):
            given = None
            if prompts is not None:
                given = PointPrompts(
                    prompts.coordinates[row : row + 1], prompts.labels[row : row + 1]
                )
            start = None if mask_logits is None else mask_logits[row : row + 1]
            rows.append(self._decode_one(features[row : row + 1], given, start))
        return Decoded(
            *(torch.cat(parts) for parts in zip(*rows, strict=True)),
            torch.zeros(len(rows), 1, 1),
        )

    def _decode_one(
        self,
        features: Features,
        prompts: PointPrompts | None,
        mask_logits: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        bright = features.levels[0][0, 0] > 0.5
        region = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        if mask_logits is not None:
            region = self.upsample(mask_logits)[0, 0] > 0
        elif prompts is None:
            region = bright
        if prompts is not None:
            region = _clicked(region, bright, prompts)
        logits = torch.where(region, SURE, -SURE)[None, None]
        score = 5.0 if region.any() else -5.0
        return logits, torch.tensor([[self.sureness]]), torch.tensor([[score]])


def _clicked(region: torch.Tensor, bright: torch.Tensor, prompts: PointPrompts) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    corners: dict[int, tuple[float, float]] = {}
    taken = torch.zeros_like(region)
    for (x, y), label in zip(
        prompts.coordinates[0].tolist(), prompts.labels[0].tolist(), strict=True
    ):
        disc = (columns - x) ** 2 + (rows - y) ** 2 <= CLICK_RADIUS**2
        if label == 1:
            seen = bool((disc & bright).any())
            region = region | (bright if seen else disc)
        elif label == 0:
            taken = taken | disc
        elif label in (2, 3):
            corners[label] = (x, y)
    if corners:
        (x0, y0), (x1, y1) = corners[2], corners[3]
        region = region | ((columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1))
    return region & ~taken


@pytest.fixture
def seer() -> Seer:
    return Seer()


@pytest.fixture
def model(seer: Seer, tiny_architecture) -> Sam2Model:
    """A stub with :class:`Sam2Model`'s interface that does what ``seer`` does."""
    stub = create_autospec(Sam2Model, instance=True)
    stub.architecture = tiny_architecture  # drawn prompts, 64 pixels, 3 memories
    stub.name, stub.image_size = "stub", SIDE
    # Nothing in it can be interrupted.
    stub.net = SimpleNamespace(
        image_encoder=SimpleNamespace(trunk=SimpleNamespace(blocks=[])),
        memory_attention=SimpleNamespace(layers=[]),
    )
    stub.device = torch.device("cpu")
    stub.precision = torch.float32
    stub.memory_reach = 4
    stub.inference.side_effect = nullcontext
    for name in ("encode", "without_memory", "with_memory", "remember", "upsample", "decode"):
        getattr(stub, name).side_effect = getattr(seer, name)
    return stub


@pytest.fixture
def truth() -> np.ndarray:
    """(12, 48, 60) mask of a block: slices 3 to 8, rows 20 to 33, columns 30 to 45."""
    mask = np.zeros((12, 48, 60), dtype=bool)
    mask[3:9, 20:34, 30:46] = True
    return mask


@pytest.fixture
def volume(truth: np.ndarray) -> Volume:
    """The block as a scan: 1 inside, 0 outside."""
    return Volume(truth.astype(np.float32), Grid(truth.shape, (3.0, 1.0, 1.0)))


@pytest.fixture
def window() -> IntensityWindow:
    return IntensityWindow(0.0, 1.0)


@pytest.fixture
def make_stack(model, window):
    """Slices of a volume for the stub."""

    def make(volume: Volume, plane: Plane = Plane.AXIAL, labels=None) -> SliceStack:
        return SliceStack(volume, window, model, plane, labels)

    return make


@pytest.fixture
def stack(volume, make_stack) -> SliceStack:
    return make_stack(volume)


def full(answer, shape) -> np.ndarray:
    """An answer's mask on its whole slice."""
    whole = np.zeros(shape, dtype=bool)
    rows, columns = (
        slice(o, o + n) for o, n in zip(answer.offset, answer.mask.shape, strict=True)
    )
    whole[rows, columns] = answer.mask
    return whole


@pytest.fixture(name="full")
def _full():
    return full

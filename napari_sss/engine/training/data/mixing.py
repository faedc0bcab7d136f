"""What a view is, what it is to be taught, and mixing two of either.

A mixture takes every pixel from one of two partners, and everything that belongs to the
pixel with it: the image or its features, the label, its confidence, whether it is to be
ignored, and the object it prompts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.training.data.preparing import IGNORE

CELL = 16  # pixels of the coarsest features: boxes that keep to them mix features exactly


@dataclass(frozen=True)
class View:
    """B slices as a network gets them: either images or cached features.

    Parameters
    ----------
    grey : (B, S, S) tensor, optional
        0 to 1.
    features : Features, optional
        The encoder's, strides 4, 8 and 16.
    """

    grey: Tensor | None = None
    features: Features | None = None

    def __len__(self) -> int:
        return len(self.grey) if self.grey is not None else len(self._known_features)

    def mixed(self, partner: View, take: Tensor) -> View:
        """Pixels of the partner where ``take`` (B, S, S) is True, else of this view."""
        if self.grey is not None and partner.grey is not None:
            return View(grey=torch.where(take, partner.grey, self.grey))
        mixed = mix_features(self._known_features, partner._known_features, take)
        return View(features=mixed)

    def flipped_batch(self) -> View:
        """The slices in reverse order: UniMatch's partners."""
        if self.grey is not None:
            return View(grey=self.grey.flip(0))
        return View(features=flip_batch(self._known_features))

    @property
    def _known_features(self) -> Features:
        if self.features is None:
            raise ValueError("a view has either images or features")
        return self.features


@dataclass(frozen=True)
class Targets:
    """What B slices are to be taught.

    Parameters
    ----------
    labels : (B, S, S) int64 tensor
        Classes 0 to K.
    confidence : (B, S, S) float tensor
        0 to 1; 1 where a person labelled.
    ignore : (B, S, S) bool tensor
        Pixels that teach nothing.
    objects : (B, S, S) int32 tensor
        Class + 256 * number of the objects that are prompted; 0 where there is none.
    """

    labels: Tensor
    confidence: Tensor
    ignore: Tensor
    objects: Tensor

    @classmethod
    def of_labels(cls, labels: Tensor, objects: Tensor) -> Targets:
        """Targets that a person made; :data:`IGNORE` marks what is not known."""
        ignore = labels == IGNORE
        known = torch.where(ignore, 0, labels.long())
        return cls(known, (~ignore).float(), ignore, objects)

    def mixed(self, partner: Targets, take: Tensor) -> Targets:
        """Everything of the partner where ``take`` (B, S, S) is True, else of these."""
        return Targets(
            torch.where(take, partner.labels, self.labels),
            torch.where(take, partner.confidence, self.confidence),
            torch.where(take, partner.ignore, self.ignore),
            torch.where(take, partner.objects, self.objects),
        )

    def flipped_batch(self) -> Targets:
        """The slices in reverse order."""
        return Targets(
            self.labels.flip(0),
            self.confidence.flip(0),
            self.ignore.flip(0),
            self.objects.flip(0),
        )


def mix_features(own: Features, partner: Features, take: Tensor) -> Features:
    """Mix features cell by cell; ``take`` (B, S, S) should keep to cells of 16 pixels."""
    levels = []
    for mine, theirs in zip(own.levels, partner.levels, strict=True):
        stride = take.shape[-1] // mine.shape[-1]
        cells = take[:, stride // 2 :: stride, stride // 2 :: stride]
        levels.append(torch.where(cells[:, None], theirs, mine))
    return Features(tuple(levels))  # type: ignore[arg-type]


def flip_batch(features: Features) -> Features:
    """The slices in reverse order."""
    a, b, c = (level.flip(0) for level in features.levels)
    return Features((a, b, c))


def cutmix_boxes(
    count: int,
    side: int,
    probability: float,
    generator: torch.Generator,
    *,
    area: tuple[float, float] = (0.02, 0.4),
    ratio: float = 0.3,
) -> Tensor:
    """A box for each slice, as (B, S, S) bool; empty with ``1 - probability``.

    Sizes and shapes are UniMatch's: an area of 2 to 40 % and a ratio of the sides from 0.3
    to 1/0.3, here rounded to whole cells of 16 pixels, at least one.
    """
    cells = side // CELL
    take = torch.zeros(count, cells, cells, dtype=torch.bool)
    u = torch.rand(count, 5, generator=generator)
    for row, (chance, size, shape, at_y, at_x) in enumerate(u.tolist()):
        if chance >= probability:
            continue
        share = area[0] + (area[1] - area[0]) * size
        aspect = math.exp((2 * shape - 1) * math.log(1 / ratio))
        height = min(cells, max(1, round(cells * math.sqrt(share * aspect))))
        width = min(cells, max(1, round(cells * math.sqrt(share / aspect))))
        y, x = int(at_y * (cells - height + 1)), int(at_x * (cells - width + 1))
        take[row, y : y + height, x : x + width] = True
    return take.repeat_interleave(CELL, dim=1).repeat_interleave(CELL, dim=2)


def complementary_dropout(
    first: Features, second: Features, generator: torch.Generator, share: float = 0.5
) -> tuple[Features, Features]:
    """Drop from the second view what the first keeps, channel by channel.

    On ``share`` of the samples each channel of the first is multiplied by m, drawn from
    {0, 2}, and of the second by 2 - m; the other samples are left as they are.
    """
    count = len(first)
    kept = torch.randperm(count, generator=generator)[round(share * count) :]
    one, two = [], []
    for a, b in zip(first.levels, second.levels, strict=True):
        drawn = torch.randint(0, 2, (count, a.shape[1]), generator=generator)
        m = 2.0 * drawn.float()
        complement = 2.0 - m
        m[kept] = 1.0
        complement[kept] = 1.0
        one.append(a * m[..., None, None].to(a))
        two.append(b * complement[..., None, None].to(b))
    return Features(tuple(one)), Features(tuple(two))  # type: ignore[arg-type]

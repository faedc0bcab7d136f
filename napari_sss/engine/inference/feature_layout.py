"""How encoded slices lie in bytes: every level as it is, and a checksum at the end."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sss.engine.models.sam2_model import Features

CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class Layout:
    """How the features of one slice lie in a chunk: shape and type of each level."""

    levels: tuple[tuple[tuple[int, ...], str], ...]

    @classmethod
    def of(cls, features: Features) -> Layout:
        """The layout that fits these features."""
        return cls(
            tuple(
                (tuple(level.shape[1:]), str(level.dtype).removeprefix("torch."))
                for level in features.levels
            )
        )

    @classmethod
    def from_json(cls, content: Any) -> Layout:
        """The layout that :meth:`to_json` gave; ValueError or TypeError where it is none."""
        return cls(tuple((tuple(int(n) for n in shape), str(kind)) for shape, kind in content))

    def to_json(self) -> list[Any]:
        """The layout as plain JSON values."""
        return [[list(shape), kind] for shape, kind in self.levels]

    @property
    def length(self) -> int:
        """Bytes of a chunk."""
        return sum(self.sizes) + CHECKSUM_BYTES

    @property
    def sizes(self) -> list[int]:
        """Bytes of each level."""
        return [
            int(np.prod(shape)) * getattr(torch, kind).itemsize for shape, kind in self.levels
        ]

    def pack(self, features: Features) -> NDArray[np.uint8]:
        """One slice's features as bytes, with their checksum at the end."""
        levels = [
            level[0].cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            for level in features.levels
        ]
        content = np.concatenate(levels)
        checksum = np.frombuffer(zlib.crc32(content.data).to_bytes(4, "little"), np.uint8)
        return np.concatenate([content, checksum])

    def unpack(self, packed: NDArray[np.uint8], device: torch.device) -> Features | None:
        """The features (batch of one), or None where the checksum differs."""
        content = packed[:-CHECKSUM_BYTES]
        checksum = int.from_bytes(packed[-CHECKSUM_BYTES:].tobytes(), "little")
        if zlib.crc32(np.ascontiguousarray(content).data) != checksum:
            return None
        levels, start = [], 0
        for (shape, kind), size in zip(self.levels, self.sizes, strict=True):
            part = torch.from_numpy(content[start : start + size].copy())
            levels.append(part.view(getattr(torch, kind)).reshape(1, *shape).to(device))
            start += size
        a, b, c = levels
        return Features((a, b, c))

"""MedSAM-2's self-sorting memory bank: slices of other patients as the memory of a class.

SAM-2 remembers an object's neighbouring slices. Training draws slices from everywhere, so
the bank keeps, for a class, those memories that are sure and unlike each other, and a slice
reads those whose images resemble its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SIZE = 16
IOU_TOLERANCE = 0.1


@dataclass(frozen=True)
class MemoryEntry:
    """One remembered slice, detached from any graph.

    Parameters
    ----------
    memory : (M, H, W) tensor
        Memory features.
    position : (M, H, W) tensor
        Their position encoding.
    iou : float
        The decoder's estimate of its mask's IoU, 0 to 1.
    embedding : (C, H, W) tensor
        The image's coarsest features.
    """

    memory: Tensor
    position: Tensor
    iou: float
    embedding: Tensor


class SelfSortingMemoryBank:
    """Up to ``size`` memories of one class.

    Parameters
    ----------
    size : int
        Most entries.

    References
    ----------
    Zhu et al., "Medical SAM 2: Segment medical images as video via Segment Anything Model
    2", arXiv:2408.00874 (2024).
    """

    def __init__(self, size: int = SIZE) -> None:
        self.size = size
        self.entries: list[MemoryEntry] = []

    def __len__(self) -> int:
        return len(self.entries)

    def insert(self, new: MemoryEntry) -> bool:
        """Take a memory up if it makes the bank more diverse and hardly less sure.

        While there is room every memory is taken. Then the entry least similar to the new
        one is found, and that entry's nearest neighbour. The neighbour gives way when the
        new memory is less similar to the entry than the neighbour is, and when its predicted
        IoU is not more than 0.1 below the neighbour's. Similar is the cosine of memories.

        Returns
        -------
        bool
            Whether it was taken up.
        """
        if len(self.entries) < self.size:
            self.entries.append(new)
            return True
        known = F.normalize(torch.stack([e.memory.flatten().float() for e in self.entries]))
        to_new = known @ F.normalize(new.memory.flatten().float(), dim=0)
        least = int(to_new.argmin())
        among = known @ known[least]
        among[least] = -torch.inf
        neighbour = int(among.argmax())
        is_less_redundant = bool(to_new[least] < among[neighbour])
        is_sure_enough = new.iou >= self.entries[neighbour].iou - IOU_TOLERANCE
        if not (is_less_redundant and is_sure_enough):
            return False
        self.entries[neighbour] = new
        return True

    def weights(self, embeddings: Tensor) -> Tensor:
        """The probabilities with which slices read the entries.

        Parameters
        ----------
        embeddings : (N, C, H, W) tensor
            The slices' coarsest features.

        Returns
        -------
        (N, entries) tensor
            softmax of the cosine similarity of image embeddings.
        """
        known = torch.stack([e.embedding.flatten().float() for e in self.entries])
        asked = embeddings.flatten(1).float()
        return (F.normalize(asked) @ F.normalize(known.to(asked.device)).T).softmax(dim=1)

    def sample(
        self, embeddings: Tensor, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Memories for each slice, drawn with replacement by :meth:`weights`.

        Returns
        -------
        memory, position : (N, count, M, H, W) tensors
        """
        drawn = torch.multinomial(
            self.weights(embeddings).cpu(), count, replacement=True, generator=generator
        )
        device = embeddings.device
        memory = torch.stack([e.memory for e in self.entries]).to(device)
        position = torch.stack([e.position for e in self.entries]).to(device)
        return memory[drawn.to(device)], position[drawn.to(device)]

    def tensors(self) -> dict[str, Tensor]:
        """The whole bank for a checkpoint; empty where nothing is remembered."""
        if not self.entries:
            return {}
        return {
            "memory": torch.stack([e.memory for e in self.entries]),
            "position": torch.stack([e.position for e in self.entries]),
            "iou": torch.tensor([e.iou for e in self.entries], dtype=torch.float64),
            "embedding": torch.stack([e.embedding for e in self.entries]),
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what :meth:`tensors` gave."""
        self.entries = []
        if tensors:
            rows = zip(
                tensors["memory"],
                tensors["position"],
                tensors["iou"].tolist(),
                tensors["embedding"],
                strict=True,
            )
            self.entries = [MemoryEntry(m, p, iou, e) for m, p, iou, e in rows]

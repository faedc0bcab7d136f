"""A prompt encoder that also draws its prompts, for small models trained from nothing.

SAM-2 tells its decoder of a click through one token, whose position the network must learn
to compare with the image's positions. A small model trained for an hour hardly learns that.
Drawn as a picture and added to the image features, the same prompt needs no such learning.
The call is that of SAM-2's own encoder, so every SAM-2 code path works with it unchanged.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sam2.modeling.sam.prompt_encoder import PromptEncoder
from sam2.modeling.sam2_utils import LayerNorm2d
from torch import Tensor, nn

NEGATIVE, POSITIVE, BOX_FIRST_CORNER, BOX_LAST_CORNER = 0, 1, 2, 3
POINT_SIGMA = 0.02  # of the image's side: a click means a spot of about 5 % of the crop
MASK_LOGIT_LIMIT = 8.0
DRAWN_CHANNELS = 4


class DrawnPromptEncoder(PromptEncoder):
    """SAM-2's prompt encoder whose dense prompt also shows the points and the box.

    The dense prompt has four channels at a quarter of the image's resolution: the previous
    mask's logits (0 where there is none), the share of each cell inside the box, and a
    Gaussian spot at each positive and at each negative point.

    Parameters
    ----------
    embed_dim : int
        Channels of the prompt embeddings.
    image_embedding_size, input_image_size : (int, int)
        Height and width of the image embedding and of the image, pixels.
    hidden : int
        Channels between the drawing and the embedding.
    shows_drawing : bool
        Whether the drawing itself follows the embedding in the dense prompt, sixteen of its
        cells to one of the embedding's, for a decoder that looks at it.
    """

    def __init__(
        self,
        embed_dim: int,
        image_embedding_size: tuple[int, int],
        input_image_size: tuple[int, int],
        hidden: int = 32,
        shows_drawing: bool = False,
    ) -> None:
        super().__init__(embed_dim, image_embedding_size, input_image_size, mask_in_chans=16)
        self.shows_drawing = shows_drawing
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(DRAWN_CHANNELS, hidden, kernel_size=4, stride=2, padding=1),
            LayerNorm2d(hidden),
            nn.GELU(),
            nn.Conv2d(hidden, 2 * hidden, kernel_size=4, stride=2, padding=1),
            LayerNorm2d(2 * hidden),
            nn.GELU(),
            nn.Conv2d(2 * hidden, embed_dim, kernel_size=1),
        )

    def forward(
        self,
        points: tuple[Tensor, Tensor] | None,
        boxes: Tensor | None,
        masks: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Embed prompts; shapes and meaning are those of SAM-2's own encoder.

        Returns
        -------
        sparse : (B, N, C) tensor
        dense : (B, C, H, W) tensor
            With 64 more channels where the drawing is shown.
        """
        batch = self._get_batch_size(points, boxes, masks)
        sparse, dense = super().forward(points, boxes, None)
        sparse, dense = (t.expand(batch, *t.shape[1:]) for t in (sparse, dense))
        coordinates, labels = self._as_labelled_points(points, boxes, batch)
        drawn = self._draw(coordinates, labels, masks, batch)
        embedded = self.mask_downscaling(drawn)
        # Without any prompt, as on tracked slices, SAM-2's own "no mask" embedding stands.
        prompted = (labels >= 0).any(dim=1)
        if masks is not None:
            prompted = torch.ones_like(prompted)
        dense = torch.where(prompted[:, None, None, None], embedded, dense)
        if self.shows_drawing:
            dense = torch.cat([dense, F.pixel_unshuffle(drawn, 4).to(dense.dtype)], dim=1)
        return sparse, dense

    def _as_labelled_points(
        self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, batch: int
    ) -> tuple[Tensor, Tensor]:
        """All prompts as SAM-2's labelled points, (B, N, 2) and (B, N); N may be 0."""
        device = self._get_device()
        coordinates = [torch.zeros(batch, 0, 2, device=device)]
        labels = [torch.zeros(batch, 0, dtype=torch.int64, device=device)]
        if points is not None:
            coordinates.append(points[0])
            labels.append(points[1].to(torch.int64))
        if boxes is not None:
            corners = torch.tensor([BOX_FIRST_CORNER, BOX_LAST_CORNER], device=device)
            coordinates.append(boxes.reshape(-1, 2, 2))
            labels.append(corners.expand(batch, 2))
        return torch.cat(coordinates, dim=1), torch.cat(labels, dim=1)

    def _draw(
        self, coordinates: Tensor, labels: Tensor, masks: Tensor | None, batch: int
    ) -> Tensor:
        height, width = self.mask_input_size
        device = coordinates.device
        scale = torch.tensor(
            [width / self.input_image_size[1], height / self.input_image_size[0]],
            device=device,
        )
        # Cell i covers [i, i + 1) here; pixel centres of the image lie at +0.5.
        cells = (coordinates.float() + 0.5) * scale
        rows = torch.arange(height, device=device).float()
        columns = torch.arange(width, device=device).float()
        sigma = POINT_SIGMA * max(height, width)

        def spots(label: int) -> Tensor:
            y = torch.exp(-((rows + 0.5 - cells[..., 1:2]) ** 2) / (2 * sigma**2))
            x = torch.exp(-((columns + 0.5 - cells[..., 0:1]) ** 2) / (2 * sigma**2))
            chosen = (labels == label).float()[..., None]
            spot = (y * chosen)[..., :, None] * x[..., None, :]
            return spot.amax(dim=1) if spot.shape[1] else spot.new_zeros(batch, height, width)

        channels = [
            self._mask_channel(masks, batch, device),
            _box_coverage(cells, labels, rows, columns),
            4.0 * spots(POSITIVE),
            4.0 * spots(NEGATIVE),
        ]
        return torch.stack(channels, dim=1)

    def _mask_channel(self, masks: Tensor | None, batch: int, device: torch.device) -> Tensor:
        if masks is None:
            return torch.zeros(batch, *self.mask_input_size, device=device)
        logits = masks.float().clamp(-MASK_LOGIT_LIMIT, MASK_LOGIT_LIMIT)
        if tuple(logits.shape[-2:]) != tuple(self.mask_input_size):
            logits = F.interpolate(
                logits, size=self.mask_input_size, mode="bilinear", antialias=True
            )
        return logits[:, 0] / 4.0


def _box_coverage(cells: Tensor, labels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Share of each cell inside the box, -1 outside and +1 inside; 0 where no box is given."""

    def corner(label: int) -> tuple[Tensor, Tensor]:
        chosen = (labels == label).float()[..., None]
        return (cells * chosen).sum(dim=1), chosen.sum(dim=1)[..., 0]

    (first, given), (last, _) = corner(BOX_FIRST_CORNER), corner(BOX_LAST_CORNER)

    def covered(positions: Tensor, low: Tensor, high: Tensor) -> Tensor:
        upper = torch.minimum(positions + 1, high[:, None])
        return (upper - torch.maximum(positions, low[:, None])).clamp(0, 1)

    inside = (
        covered(rows, first[:, 1], last[:, 1])[:, :, None]
        * covered(columns, first[:, 0], last[:, 0])[:, None, :]
    )
    return (2 * inside - 1) * given.clamp(0, 1)[:, None, None]

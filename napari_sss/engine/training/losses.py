"""What SSS and its family minimise."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sss.engine.models.sam2_model import Sam2Model
from napari_sss.engine.models.sss.segmenter import PromptedMasks
from napari_sss.engine.training.data.mixing import Targets

_SMOOTH = 1e-5


def cross_entropy(logits: Tensor, targets: Targets, threshold: float = 0.0) -> Tensor:
    """Cross-entropy of the pixels whose target is sure enough.

    As in FixMatch and UniMatch the sum runs over the sure pixels and is divided by all that
    are not ignored, so that few sure pixels weigh little.

    Parameters
    ----------
    logits : (B, K + 1, S, S) tensor
        Of the student.
    targets : Targets
        Labels or pseudo-labels.
    threshold : float
        Least confidence.
    """
    entropy = F.cross_entropy(logits.float(), targets.labels, reduction="none")
    known = ~targets.ignore
    sure = known & (targets.confidence >= threshold)
    return (entropy * sure).sum() / known.sum().clamp(min=1)


def soft_dice(logits: Tensor, targets: Targets, threshold: float = 0.0) -> Tensor:
    """1 - Dice, the mean over all classes, each over the whole batch's sure pixels.

    Squares in the denominator, as usual on ACDC (V-Net).
    """
    sure = (~targets.ignore & (targets.confidence >= threshold))[:, None]
    probability = logits.float().softmax(dim=1) * sure
    wanted = F.one_hot(targets.labels, logits.shape[1]).permute(0, 3, 1, 2) * sure
    overlap = (probability * wanted).sum(dim=(0, 2, 3))
    total = (probability.square() + wanted).sum(dim=(0, 2, 3))
    return (1 - (2 * overlap + _SMOOTH) / (total + _SMOOTH)).mean()


def labelled_loss(logits: Tensor, targets: Targets, dice_weight: float) -> Tensor:
    """Cross-entropy plus Dice of what a person labelled."""
    loss = cross_entropy(logits, targets)
    return loss + dice_weight * soft_dice(logits, targets) if dice_weight else loss


def pseudo_labelled_loss(
    logits: Tensor, targets: Targets, threshold: float, dice_weight: float
) -> Tensor:
    """Cross-entropy plus Dice of what a teacher is sure of.

    The sources have cross-entropy alone on photographs, and UniMatch's own code for ACDC
    Dice alone: where most sure pixels are background, Dice keeps the small classes alive.
    """
    loss = cross_entropy(logits, targets, threshold)
    return loss + dice_weight * soft_dice(logits, targets, threshold) if dice_weight else loss


def prompted_mask_loss(
    masks: PromptedMasks, targets: Targets, sam2: Sam2Model, threshold: float = 0.0
) -> Tensor:
    """Binary cross-entropy plus Dice of SAM-2's masks, over classes with a prompt.

    A slice's class is the union of its prompted objects.
    """
    rows, places = torch.nonzero(masks.prompted, as_tuple=True)
    logits = sam2.upsample(masks.logits[rows, places][:, None])[:, 0]
    wanted = (targets.labels[rows] == (places + 1)[:, None, None]).float()
    known = ~targets.ignore[rows]
    sure = (known & (targets.confidence[rows] >= threshold)).float()
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    entropy = (entropy * sure).sum(dim=(1, 2)) / known.sum(dim=(1, 2)).clamp(min=1)
    probability = logits.sigmoid() * sure
    overlap = (probability * wanted).sum(dim=(1, 2))
    total = (probability.square() + wanted * sure).sum(dim=(1, 2))
    dice = 1 - (2 * overlap + 1) / (total + 1)
    return (entropy + dice).mean()


def iou_loss(masks: PromptedMasks, targets: Targets, ids: Tensor, sam2: Sam2Model) -> Tensor:
    """Squared error of the decoder's own estimate of each object's IoU.

    Parameters
    ----------
    masks : PromptedMasks
        N objects.
    targets : Targets
        Their truth is where ``targets.objects`` has their id.
    ids : (N,) int tensor
        Ids of the objects.
    """
    mask = sam2.upsample(masks.decoded.logits.detach())[:, 0] > 0
    truth = targets.objects[masks.objects.rows] == ids[:, None, None]
    overlap = (mask & truth).sum(dim=(1, 2)).float()
    union = (mask | truth).sum(dim=(1, 2)).clamp(min=1)
    return (masks.decoded.ious[:, 0] - overlap / union).square().mean()


def consistency(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean Teacher's mean squared error between class probabilities.

    Parameters
    ----------
    student : (B, K + 1, S, S) tensor
        Logits.
    teacher : (B, K + 1, S, S) tensor
        Probabilities.
    """
    return (student.float().softmax(dim=1) - teacher).square().mean()

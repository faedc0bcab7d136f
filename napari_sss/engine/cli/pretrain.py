"""``napari-sss pretrain``: train the embedded model again from generated scenes alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sss.engine.cli.output import say, tell
from napari_sss.engine.cli.terminal import terminal_job

if TYPE_CHECKING:
    from napari_sss.engine.cli.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "pretrain",
        help="train a small SAM-2 on generated scenes",
        description=(
            "Train a small SAM-2 from nothing on procedurally generated scenes. The folder "
            "that results is a model: give it to --model."
        ),
    )
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, metavar="M", help="how long to train")
    budget.add_argument("--steps", type=int, metavar="N", help="how many steps to train")
    parser.add_argument(
        "--device", metavar="D", help="cpu, cuda or mps (default: the best there is)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="its folder")
    parser.add_argument("--seed", type=int, default=0, help="decides everything (default: 0)")
    parser.add_argument("--batch", type=int, metavar="B", help="images per step")
    parser.add_argument(
        "--start-from",
        type=Path,
        metavar="FILE",
        help="begin with the weights of a model trained before (.safetensors)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint in DIR"
    )


def run(args: argparse.Namespace) -> int:
    """Train."""
    from napari_sss.engine.pretraining.launch import configured
    from napari_sss.engine.pretraining.trainer import pretrain

    config = configured(
        minutes=args.minutes,
        steps=args.steps,
        device=args.device,
        seed=args.seed,
        batch=args.batch,
        start_from=args.start_from,
    )
    tell(f"Training on {config.device} in {config.precision}; log in {args.out}.")
    with terminal_job() as control:
        folder = pretrain(config, args.out, resume=args.resume, control=control)
    say(str(folder))
    return 0

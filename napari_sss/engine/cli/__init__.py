"""The command line, the engine's public face: one module for each command.

A command's module has ``add_parser(subparsers)``, which declares its arguments, and
``run(args) -> int``, which does the work and gives the exit code. Whatever is heavy is
imported inside ``run``: ``napari-sss --help`` waits for no torch.
"""

from napari_sss.engine.cli.program import main

__all__ = ["main"]

"""A process that annotates until it is killed, and says what the saved mark covered.

It writes one line to its pipe for every act, ``act OP``, after the act returned, and one for
every move of the mark, ``saved OP``. What it does follows from the seed alone.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def annotate(project: str, seed: int, pipe: int) -> None:
    """Do random acts without end."""
    import os

    import numpy as np

    from napari_sss.engine.project.project import Project

    naive = load_naive()

    def tell(line: str) -> None:
        os.write(pipe, (line + "\n").encode())

    session = Project.open(project).open_case(1)
    session.saved.connect(lambda op: tell(f"saved {op}"))
    rng = np.random.default_rng(seed)
    tell(f"open {session.performed}")
    while True:
        naive.perform(session, naive.random_spec(rng))
        tell(f"act {session.performed}")


def load_naive():
    """The naive model's module, which lies beside this one."""
    path = Path(__file__).with_name("naive_model.py")
    spec = importlib.util.spec_from_file_location("naive_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serve() -> None:
    """Fork an annotator for each line on stdin: imports are paid for once.

    A line is ``PROJECT<TAB>SEED``; answered by the child's process id on stderr.
    """
    import os

    import napari_sss.engine.project.project  # noqa: F401 - what the children need

    for line in sys.stdin:
        project, seed = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            annotate(project, int(seed), 1)
        os.write(2, f"{child}\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


if __name__ == "__main__":
    serve()

"""``python -m napari_sss.engine.runs FOLDER``: the process that works on a run."""

import sys

from napari_sss.engine.runs.child import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

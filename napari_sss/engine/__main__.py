"""``python -m napari_sss.engine`` is the command line, wherever the scripts folder lies."""

import sys

from napari_sss.engine.cli import main

if __name__ == "__main__":
    sys.exit(main())

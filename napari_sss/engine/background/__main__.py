"""``python -m napari_sss.engine.background FOLDER``: the background process of a project."""

import sys

from napari_sss.engine.background.child import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

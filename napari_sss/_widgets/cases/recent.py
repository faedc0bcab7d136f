"""Which projects were open lately, remembered for the next start."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from napari_sss.engine.errors import WriteError
from napari_sss.engine.volumes.atomic import write_json

logger = logging.getLogger(__name__)

MOST = 10
_NAME = "recent_projects.json"


class RecentProjects:
    """The folders of the projects that were opened last, the newest first.

    Parameters
    ----------
    path : Path, optional
        The file they are kept in; by default in the user's folder for settings.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or _default_path()

    def folders(self) -> tuple[Path, ...]:
        """Those remembered.

        Whether they are still there is not asked: a share can be away, and the question
        would make the window wait.
        """
        return tuple(self._stored())

    def forget(self) -> None:
        """Remember none."""
        self._save([])

    def remember(self, folder: Path) -> None:
        """Put a folder first. A file that cannot be written is no reason to disturb."""
        known = [other for other in self._stored() if other != folder]
        self._save([folder, *known][:MOST])

    def _save(self, folders: list[Path]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json({"folders": [str(folder) for folder in folders]}, self._path)
        except (OSError, WriteError) as error:
            logger.warning("The list of recent projects was not saved: %s", error)

    def _stored(self) -> list[Path]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return [Path(text) for text in content["folders"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []


def _default_path() -> Path:
    import os

    from platformdirs import user_config_path

    home = os.environ.get("NAPARI_SSS_HOME")  # where the default project is, if not there
    folder = Path(home) if home else user_config_path("napari-sss", appauthor=False)
    return folder / _NAME

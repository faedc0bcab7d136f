"""What the tab asks about the selected cases: a scan that is gone or changed, a removal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_sss._widgets.cases.question import Answer, QuestionBar
from napari_sss._widgets.cases.rows import CaseRow
from napari_sss.engine.project.locating import Trouble

_FIND_TIP = "Look for all missing scans in a folder and below it, by name and content."
_ACCEPT_TIP = "Take the new content for this case's scan, if its voxels are the same."


class CaseQuestions:
    """Asks in a :class:`QuestionBar`; a removal that is being asked about is not disturbed.

    Parameters
    ----------
    bar : QuestionBar
        Where.
    find : callable
        Asks for a folder and looks for missing scans there.
    accept : callable
        ``accept(case_id)`` takes a changed scan over.
    remove : callable
        ``remove(case_ids)`` takes cases out of the project.
    settled : callable
        Called when a removal was decided on.
    """

    def __init__(
        self,
        bar: QuestionBar,
        find: Callable[[], None],
        accept: Callable[[int], None],
        remove: Callable[[Sequence[int]], None],
        settled: Callable[[], None],
    ) -> None:
        self._bar = bar
        self._find = Answer("Find moved files …", find, _FIND_TIP)
        self._accept = accept
        self._remove = remove
        self._settled = settled
        self._removing = False

    def withdraw(self) -> None:
        """Ask nothing any more."""
        self._removing = False
        self._bar.withdraw()

    def about_trouble(self, chosen: Sequence[CaseRow]) -> None:
        """Offer what can be done about the selected case's scan."""
        if self._removing:
            return
        case = chosen[0] if len(chosen) == 1 else None
        if case is None or case.trouble is None:
            self._bar.withdraw()
        elif case.trouble is Trouble.MISSING:
            self._bar.ask(
                f"The scan of {case.name} is not where it was. Its annotation is kept.",
                self._find,
            )
        else:
            self._bar.ask(
                f"The scan of {case.name} has changed on the disk since it was added. Accept "
                "that if you changed it on purpose; its annotation stays as it is.",
                Answer("Accept the change", lambda: self._accept(case.id), _ACCEPT_TIP),
                self._find,
            )

    def about_removing(self, chosen: Sequence[CaseRow]) -> None:
        """Ask whether the selected cases are to go."""
        ids = [case.id for case in chosen]
        one = len(chosen) == 1
        what = chosen[0].name if one else f"{len(chosen)} cases"
        lost = ""
        if any(case.objects for case in chosen):
            whose = "Its annotation is" if one else "Their annotations are"
            lost = f" {whose} deleted for good."

        def decide(remove: bool) -> None:
            self._removing = False
            if remove:
                self._remove(ids)
            self._settled()

        self._removing = True
        self._bar.ask(
            f"Remove {what} from the project?{lost} Scans stay on the disk.",
            Answer("Remove", lambda: decide(True)),
            Answer("Keep", lambda: decide(False)),
        )

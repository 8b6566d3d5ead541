"""Where a solution says its answer: after a marker such as `####`, or in `\\boxed{}`."""

import re

BOXED = re.compile(r"\\boxed\s*\{")


def after_marker(text: str, marker: str) -> str | None:
    """What follows the last `marker`, stripped; None if it does not occur."""
    _, found, answer = text.rpartition(marker)
    return answer.strip() if found else None


def marked_answer(text: str, answer_marker: str | None) -> str | None:
    """The last answer that is marked: a line's rest after `answer_marker`, or a `\\boxed{}`.

    Whichever stands last in the text counts. A marker with nothing after it and a box that is
    never closed mark nothing, so a text cut off in its answer has none.
    """
    found = [each for each in (_last_line(text, answer_marker), _last_box(text)) if each]
    return max(found)[1] if found else None


def _last_line(text: str, marker: str | None) -> tuple[int, str] | None:
    start = text.rfind(marker) if marker else -1
    if marker is None or start < 0:
        return None
    answer = text[start + len(marker) :].strip().partition("\n")[0].strip()
    return (start, answer) if answer else None


def _last_box(text: str) -> tuple[int, str] | None:
    for opening in reversed(list(BOXED.finditer(text))):
        end = _closing_brace(text, opening.end())
        if end is not None and (content := text[opening.end() : end].strip()):
            return opening.start(), content
    return None


def _closing_brace(text: str, start: int) -> int | None:
    """Where the brace that is open at `start` closes; `\\{` and `\\}` are mere characters."""
    depth = 1
    for sign in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(sign.group(), 0)
        if depth == 0:
            return sign.start()
    return None

"""A verifier's labels of a whole file, in parts that show progress."""

import time
from collections.abc import Callable, Iterator, Sequence

from align_cli.agreement.known_answers import Known
from align_cli.loop.judging import judge
from align_cli.report.reporter import Reporter
from align_cli.rows import Label

ANSWERS_AT_ONCE = 4096
"""Answers to one call; its workers start afresh, which takes about a second of a core each."""


def judge_all(
    verifier: Callable[..., Sequence[Label]], known: Sequence[Known], reporter: Reporter
) -> tuple[list[Label], float]:
    """One label per answer in the order given, and the seconds that it took."""
    prompts = {one.prompt.id: one.prompt for one in known}
    found: dict[tuple[str, int], Label] = {}
    reporter.begin("judge", total=len(known), unit="answers")
    began = time.perf_counter()
    for some in _parts(known):
        rows = [one.completion for one in some]
        for label in judge(verifier, None, rows, prompts, None):
            found[label.prompt_id, label.index] = label
        reporter.advance(len(some))
    seconds = time.perf_counter() - began
    reporter.end("")
    return [found[one.prompt.id, one.completion.index] for one in known], seconds


def _parts(known: Sequence[Known]) -> Iterator[list[Known]]:
    """Whole sets of siblings, as many as make up a call."""
    sets: dict[str, list[Known]] = {}
    for one in known:
        sets.setdefault(one.prompt.id, []).append(one)
    part: list[Known] = []
    for siblings in sets.values():
        part += siblings
        if len(part) >= ANSWERS_AT_ONCE:
            yield part
            part = []
    if part:
        yield part

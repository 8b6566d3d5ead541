"""A language model compares the answers to a prompt two by two, in both orders."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.chat_server import ChatServer
from align_cli.verifier.judge_model import (
    JudgeModel,
    Opinion,
    Structured,
    conversation,
    schema_of,
    through,
)
from align_cli.verifier.verdicts import graded, unscored

TASK = (
    "Say which of two answers, A or B, is better. Their order means nothing. Reply with one JSON "
    'object and nothing else: {"reason": "one sentence", "winner": "A" or "B" or "tie"}. If you '
    "cannot judge, the winner is null."
)
SCHEMA = schema_of("winner", {"enum": ["A", "B", "tie", None]})
POINTS = {"A": 1.0, "B": 0.0, "tie": 0.5}
"""{winner: points of the answer shown as A}"""


def llm_judge_pairwise(
    prompts: Sequence[Prompt],
    siblings: Sequence[Sequence[Completion]],
    *,
    server: str,
    model: str,
    rubric: str,
    least_judged: Annotated[float, "(0, 1]", "share"],
    show_gold: bool,
    structured: Structured,
    temperature: Annotated[float, ">= 0"],
    max_tokens: Annotated[int, ">= 1", "tokens"],
    api_key_env: str | None,
    timeout_seconds: Annotated[float, "> 0", "s"],
    retries: Annotated[int, ">= 0"],
    first_wait_seconds: Annotated[float, ">= 0", "s"],
    longest_wait_seconds: Annotated[float, ">= 0", "s"],
    cache: str | None,
    workers: Annotated[int, ">= 1", "requests"],
) -> list[Label]:
    """An answer's mean win rate against its siblings, judged by a model in both orders.

        P(a > b) = (points(a shown first) + points(a shown second)) / 2
        score(a) = mean over siblings b of P(a > b)

    where an answer has 1 point if it wins, 0 if it loses and 1/2 for a tie. Averaging over both
    orders makes P(a > b) + P(b > a) = 1 whatever the judge's liking for a place; in the detail
    stands how often the two orders disagreed. Siblings of one text tie without being asked about.
    A prompt with n answers costs n (n - 1) requests.

    A comparison counts where both orders were judged. An answer of whose comparisons less than
    `least_judged` count is unscored, with the reason of the first that failed; so is one without a
    sibling (`error`). Scores say who is better, not how good, so the judge grades and calls nothing
    right or wrong, and `evaluation.verifier` names another one for held-out answers.

    Server, retries, cache and rubric are those of verifier=llm_judge.

    Settings:
        server: base URL of the API, e.g. of vLLM, llama.cpp or a provider.
        model: its name there.
        rubric: by what to judge, in words; changing it judges anew.
        least_judged: share of an answer's comparisons that must count for it to have a score.
        show_gold: whether the judge sees the reference answer.
        structured: how the JSON is enforced: `json_schema`, `json_object`, or `none` (by words).
        temperature, max_tokens: the judge's decoding.
        api_key_env: environment variable with the key; null: none is sent. No key is recorded.
        timeout_seconds: of one request [s].
        retries: tries after the first.
        first_wait_seconds, longest_wait_seconds: before the first retry, and at most [s].
        cache: folder of answers by server, model and full request; null: none.
        workers: requests at once.
    """
    asked = ChatServer(
        server, api_key_env, timeout_seconds, retries, first_wait_seconds,
        longest_wait_seconds, None if cache is None else Path(cache),
    )  # fmt: skip
    judge = JudgeModel(
        ask_all=through(asked, workers),
        model=model,
        rubric=rubric,
        task=TASK,
        schema=SCHEMA,
        structured=structured,
        temperature=temperature,
        max_tokens=max_tokens,
    )
    return win_rates(judge, prompts, siblings, least_judged, show_gold)


def win_rates(
    judge: JudgeModel,
    prompts: Sequence[Prompt],
    siblings: Sequence[Sequence[Completion]],
    least_judged: float,
    show_gold: bool,
) -> list[Label]:
    """One label an answer, whoever the judge is."""
    pairs = [
        (prompt, first, second)
        for prompt, members in zip(prompts, siblings, strict=True)
        for one, other in combinations(members, 2)
        if one.text != other.text
        for first, second in ((one, other), (other, one))
    ]
    shown = [
        f"{conversation(prompt, show_gold)}\n\n[Answer A]\n{a.text}\n\n[Answer B]\n{b.text}"
        for prompt, a, b in pairs
    ]
    opinions = judge.opinions(shown, _points)
    asked = {
        (a.prompt_id, a.index, b.index): opinion
        for (_, a, b), opinion in zip(pairs, opinions, strict=True)
    }
    return [
        _label(row, members, asked, least_judged, judge.version)
        for members in siblings
        for row in members
    ]


def _points(answer: dict[str, Any]) -> float | None:
    winner = answer["winner"]
    if winner is None:
        return None
    if winner not in POINTS:
        raise ValueError(f"winner {winner!r} is not A, B or tie")
    return POINTS[winner]


def _label(
    row: Completion,
    members: Sequence[Completion],
    asked: dict[tuple[str, int, int], Opinion],
    least_judged: float,
    version: str,
) -> Label:
    rates: list[float] = []
    failed: list[Opinion] = []
    orders: dict[bool, int] = defaultdict(int)
    for other in members:
        if other.index == row.index:
            continue
        if other.text == row.text:
            rates.append(0.5)
            continue
        first = asked[row.prompt_id, row.index, other.index]
        second = asked[row.prompt_id, other.index, row.index]
        silent = [opinion for opinion in (first, second) if opinion.value is None]
        failed += silent[:1]
        if not silent:
            rates.append((first.value + 1 - second.value) / 2)
            orders[first.value != 1 - second.value] += 1
    said = f"rubric {version}: {len(rates)} of {len(members) - 1} comparisons"
    if len(members) == 1:
        return unscored(row, "error", f"{said}: it has no sibling")
    if not rates or len(rates) < least_judged * (len(members) - 1):
        return unscored(row, failed[0].verdict, f"{said}: {failed[0].reason}")
    return graded(row, fmean(rates), f"{said}, orders disagreed in {orders[True]}")

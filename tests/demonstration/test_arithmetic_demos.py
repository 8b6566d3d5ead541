"""Demonstrations: wrong as designed, corrections in the words that PACE sends."""

import re

import pytest

from align_cli.arithmetic import Problem
from align_cli.config.compose import composed_node
from align_cli.demonstration.arithmetic import arithmetic
from align_cli.errors import ConfigError
from align_cli.rows import Demonstration

SHAPE = re.compile(r"(\d+[+-]\d=\d+;)*\d+[+-]\d=\d+#\d+")


def settings(**changes: object) -> dict[str, object]:
    node = composed_node("demonstration", "arithmetic")
    node.pop("_target_")
    return {**node, "count": 4000, **changes}


@pytest.fixture(scope="module")
def demonstrations() -> list[Demonstration]:
    return arithmetic(0, **settings())


def problem_of(demonstration: Demonstration) -> Problem:
    first, *rest = re.findall(r"[+-]?\d+", demonstration.messages[0].content)
    return Problem(int(first), tuple(int(operand) for operand in rest))


def right(demonstration: Demonstration, solution: str | None = None) -> bool:
    answer = (solution or demonstration.response).rpartition("#")[2]
    return answer == str(problem_of(demonstration).answer)


def steps(solution: str) -> list[tuple[int, int, int]]:
    return [
        (int(a), int(b), int(c)) for a, b, c in re.findall(r"(\d+)([+-]\d)=(\d+)[;#]", solution)
    ]


def share(rows: list[Demonstration]) -> float:
    return sum(right(row) for row in rows) / len(rows)


def test_every_solution_is_written_in_the_tasks_language(
    demonstrations: list[Demonstration],
) -> None:
    for row in demonstrations:
        problem = problem_of(row)
        assert problem.split == "train"
        for solution in [m.content for m in row.messages[1:2]] + [row.response]:
            assert SHAPE.fullmatch(solution)
            lines = steps(solution)
            assert tuple(b for _, b, _ in lines) == problem.operands
            # Each step starts from what the step before came to, right or wrong.
            assert [a for a, _, _ in lines] == [problem.first, *[c for _, _, c in lines[:-1]]]
            assert solution.endswith(f"#{lines[-1][2]}")
            assert all(0 <= c <= 99 for _, _, c in lines)
    assert len({row.id for row in demonstrations}) == len(demonstrations)


def test_mistakes_are_mostly_forgotten_carries_of_large_operands(
    demonstrations: list[Demonstration],
) -> None:
    plain = [row for row in demonstrations if len(row.messages) == 1]
    counts = {True: [0, 0], False: [0, 0]}
    slips = total = 0
    for a, b, c in (step for row in plain for step in steps(row.response)):
        total += 1
        slips += (c - a - b) % 10 != 0
        if not 0 <= a % 10 + b <= 9 and (c - a - b) % 10 == 0:
            counts[abs(b) >= 8][0] += c != a + b
            counts[abs(b) >= 8][1] += 1
    assert counts[False][0] / counts[False][1] == pytest.approx(0.3, abs=0.04)
    assert counts[True][0] / counts[True][1] == pytest.approx(0.7, abs=0.04)
    assert slips / total == pytest.approx(0.02, abs=0.01)
    assert share(plain) == pytest.approx(0.55, abs=0.04)


def test_corrections_speak_as_pace_does(demonstrations: list[Demonstration]) -> None:
    pace = composed_node("sampler", "pace")
    told, untold = [], []
    for row in demonstrations:
        if len(row.messages) == 1:
            continue
        user, attempt, hint = row.messages
        assert (user.role, attempt.role, hint.role) == ("user", "assistant", "user")
        assert not right(row, attempt.content)
        gold = str(problem_of(row).answer)
        if hint.content == pace["hint_text"].replace("{gold}", gold):
            told.append(row)
        else:
            assert hint.content == pace["retry_text"]
            untold.append(row)
    corrections = (len(told) + len(untold)) / len(demonstrations)
    assert corrections == pytest.approx(settings()["correction_share"], abs=0.03)
    assert len(told) / len(untold) == pytest.approx(1, abs=0.15)
    assert share(told) == pytest.approx(settings()["right_after_hint"], abs=0.05)
    assert share(untold) == pytest.approx(settings()["right_without_gold"], abs=0.05)


def test_the_seed_decides_and_a_longer_list_begins_with_the_shorter() -> None:
    few = arithmetic(3, **settings(count=40))
    assert few == arithmetic(3, **settings(count=60))[:40]
    assert few != arithmetic(4, **settings(count=40))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="min_steps 3 is above max_steps 2"):
        arithmetic(0, **settings(min_steps=3, max_steps=2))
    with pytest.raises(ConfigError, match=r"put \{gold\} in it"):
        arithmetic(0, **settings(hint="Correct the attempt."))
    for never in ({"forget_large": 0.0}, {"large": 10}):
        with pytest.raises(ConfigError, match="has nothing to correct"):
            arithmetic(0, **settings(**{"forget": 0.0, "slip": 0.0, **never}))
    always = arithmetic(
        0, **settings(count=50, forget=0.0, forget_large=0.0, slip=0.0, correction_share=0.0)
    )
    assert share(always) == 1.0

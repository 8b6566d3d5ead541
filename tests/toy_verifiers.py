"""Verifiers that are simple enough to check by hand; yamls in tests/toy_conf/verifier."""

from collections.abc import Callable, Sequence

from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.verdicts import judged


def ranked(prompts: Sequence[Prompt], siblings: Sequence[Sequence[Completion]]) -> list[Label]:
    """Right is 1, and half the share of its siblings that are longer; right as `exact` says.

    The detail is who the siblings were.
    """
    labels = []
    for prompt, members in zip(prompts, siblings, strict=True):
        assert {row.prompt_id for row in members} == {prompt.id}
        for row in members:
            longer = sum(len(other.text) > len(row.text) for other in members)
            right = row.text.rpartition("#")[2] == prompt.gold
            score = right + 0.5 * longer / max(1, len(members) - 1)
            among = ",".join(str(other.index) for other in members)
            labels.append(judged(row, right=right, score=score, answer=None, detail=among))
    return labels


def brief(prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[Label]:
    """A grade and no verdict: minus the length."""
    return [
        Label(prompt_id=row.prompt_id, index=row.index, score=-float(len(row.text)))
        for row in completions
    ]


def undecided(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    siblings: Sequence[Sequence[Completion]],
) -> list[Label]:
    """Asks for both."""
    return []


def placed(
    prompts: Sequence[Prompt],
    siblings: Sequence[Sequence[Completion]],
    device: str,
    say: Callable[[str], None],
) -> list[Label]:
    """A model's: it is told where to compute, and may speak."""
    say(f"I judge on {device}")
    rows = [row for members in siblings for row in members]
    return [
        Label(prompt_id=row.prompt_id, index=row.index, score=-float(row.text[-1])) for row in rows
    ]

"""What samplers that look at labels share: a prompt's attempts, and whether they were judged."""

from collections.abc import Sequence

from align_cli.errors import AlignError
from align_cli.rows import Judged


def by_prompt(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    """Each prompt's attempts, in order of index, whatever order they arrive in."""
    attempts_of: dict[str, list[Judged]] = {}
    for one in sorted(judged, key=lambda one: one.completion.index):
        attempts_of.setdefault(one.completion.prompt_id, []).append(one)
    return attempts_of


def refuse_grades(attempts: Sequence[Judged], sampler: str) -> None:
    """A score without right or wrong tells such a sampler nothing; unscored attempts are let be."""
    for one in attempts:
        if one.label.score is not None and one.label.right is None:
            raise AlignError(
                f"sampler {sampler}: completion {one.completion.prompt_id}/{one.completion.index} "
                f"has score {one.label.score} but is called neither right nor wrong; {sampler} "
                "needs a verifier that says right or wrong: choose another verifier, or "
                "sampler=best_of_n"
            )

"""From judged answers to one score per held-out prompt."""

from collections.abc import Sequence

from align_cli.errors import AlignError, RowError
from align_cli.evaluation.majority import majority_right
from align_cli.rows import Judged, Prompt, Score


def score_rows(prompts: Sequence[Prompt], judged: Sequence[Judged]) -> list[Score]:
    """One Score per prompt, in the order of prompts, from the answers that evaluation drew.

    The greedy answer is the one with index 0, if its temperature is 0; all others are samples.
    Unscored samples are counted and otherwise left out: they are neither right nor wrong. Length
    and truncation are those of the samples, scored or not; where there is none but the greedy
    answer, they and `unscored` are the greedy answer's.
    """
    answers_of: dict[str, list[Judged]] = {prompt.id: [] for prompt in prompts}
    for one in judged:
        if one.completion.prompt_id not in answers_of:
            raise RowError(
                f"evaluation: completion {one.completion.prompt_id}/{one.completion.index} answers "
                "none of the held-out prompts"
            )
        answers_of[one.completion.prompt_id].append(one)
    return [_score(prompt, answers_of[prompt.id]) for prompt in prompts]


def _score(prompt: Prompt, answers: Sequence[Judged]) -> Score:
    if not answers:
        raise RowError(f"evaluation: prompt {prompt.id} ({prompt.source}) has no answer")
    greedy = [one for one in answers if _is_greedy(one)]
    sampled = [one for one in answers if not _is_greedy(one)]
    votes = [(one.label.answer, right) for one in sampled if (right := _right(one)) is not None]
    shown = sampled or greedy
    return Score(
        prompt_id=prompt.id,
        stratum=prompt.stratum,
        greedy_right=_right(greedy[0]) if greedy else None,
        samples=len(votes),
        right=sum(right for _, right in votes),
        unscored=sum(one.label.score is None for one in shown),
        majority_right=majority_right(votes),
        length_tokens=sum(len(one.completion.token_ids) for one in shown) / len(shown),
        truncated=sum(one.completion.finish == "length" for one in shown),
    )


def _is_greedy(one: Judged) -> bool:
    return one.completion.index == 0 and one.completion.temperature == 0


def _right(one: Judged) -> bool | None:
    """None where the answer is unscored; a grade without a verdict raises."""
    if one.label.score is not None and one.label.right is None:
        raise AlignError(
            f"evaluation: completion {one.completion.prompt_id}/{one.completion.index} has score "
            f"{one.label.score} but is called neither right nor wrong; accuracies need a verifier "
            "that says right or wrong"
        )
    return one.label.right

"""From judged answers to one score per held-out prompt."""

from collections.abc import Sequence
from statistics import fmean

from align_cli.errors import AlignError, RowError
from align_cli.evaluation.majority import majority_right
from align_cli.rows import Judged, Prompt, Score


def score_rows(prompts: Sequence[Prompt], judged: Sequence[Judged]) -> list[Score]:
    """One Score per prompt, in the order of prompts, from the answers that evaluation drew.

    The greedy answer is the one with index 0, if its temperature is 0; all others are samples.
    Unscored samples are counted and otherwise left out: they are neither right nor wrong. Length
    and truncation are those of the samples, scored or not; where there is none but the greedy
    answer, they and `unscored` are the greedy answer's. A verifier that only grades gives scores
    in place of right counts, and no majority: a grade is never taken for a verdict.
    """
    grades = only_grades(judged)
    answers_of: dict[str, list[Judged]] = {prompt.id: [] for prompt in prompts}
    for one in judged:
        if one.completion.prompt_id not in answers_of:
            raise RowError(
                f"evaluation: completion {one.completion.prompt_id}/{one.completion.index} answers "
                "none of the held-out prompts"
            )
        answers_of[one.completion.prompt_id].append(one)
    return [_score(prompt, answers_of[prompt.id], grades) for prompt in prompts]


def only_grades(judged: Sequence[Judged]) -> bool:
    """Whether the verifier says scores and neither right nor wrong; both at once raises."""
    graded = [one for one in judged if one.label.score is not None and one.label.right is None]
    if graded and any(one.label.right is not None for one in judged):
        first = graded[0].completion
        raise AlignError(
            f"evaluation: completion {first.prompt_id}/{first.index} has score "
            f"{graded[0].label.score} but is called neither right nor wrong, while others are; a "
            "verifier says right or wrong of all that it judges, or of none"
        )
    return bool(graded)


def _score(prompt: Prompt, answers: Sequence[Judged], grades: bool) -> Score:
    if not answers:
        raise RowError(f"evaluation: prompt {prompt.id} ({prompt.source}) has no answer")
    greedy = [one for one in answers if _is_greedy(one)]
    sampled = [one for one in answers if not _is_greedy(one)]
    votes = [(one.label.answer, one.label.right) for one in sampled if one.label.right is not None]
    scores = [one.label.score for one in sampled if one.label.score is not None]
    shown = sampled or greedy
    return Score(
        prompt_id=prompt.id,
        stratum=prompt.stratum,
        greedy_right=greedy[0].label.right if greedy else None,
        samples=len(scores),
        right=None if grades else sum(right for _, right in votes),
        unscored=sum(one.label.score is None for one in shown),
        majority_right=majority_right(votes),
        length_tokens=sum(len(one.completion.token_ids) for one in shown) / len(shown),
        truncated=sum(one.completion.finish == "length" for one in shown),
        greedy_score=greedy[0].label.score if grades and greedy else None,
        sampled_score=fmean(scores) if grades and scores else None,
    )


def _is_greedy(one: Judged) -> bool:
    return one.completion.index == 0 and one.completion.temperature == 0

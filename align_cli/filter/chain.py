"""The filters of a round's pairs, one after the other; each is off until it is asked for."""

from collections.abc import Sequence
from typing import Annotated, Literal

from align_cli.errors import AlignError
from align_cli.filter.difficulty import difficulty
from align_cli.filter.duplicates import content, same_opening
from align_cli.filter.length_ratio import length_ratio
from align_cli.filter.sides import sides
from align_cli.filter.truncated import truncated
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def chain(
    pairs: Sequence[Pair],
    siblings: Sequence[Judged],
    *,
    drop_truncated: Literal["chosen", "either"] | None,
    same_first_tokens: Annotated[int | None, ">= 1", "tokens"],
    least_margin: Annotated[float | None, "> 0", "score units"],
    min_length_ratio: Annotated[float | None, "> 0", "tokens/token"],
    max_length_ratio: Annotated[float | None, "> 0", "tokens/token"],
    min_difficulty: Annotated[float | None, "[-inf, inf]", "nats"],
    max_difficulty: Annotated[float | None, "[-inf, inf]", "nats"],
    drop_duplicates: Literal["ids", "text"] | None,
) -> list[str | None]:
    """For every pair of one prompt the first reason against it, in the order below; None keeps it.

    So pairs made = pairs kept + the sum over reasons, and no pair is counted twice. A setting that
    is null is off. Vote strength and uncertainty need judges that vote, and are no filters here.

    Source of the difficulty: Chen et al. 2024, arXiv:2405.19534, where the reference is asked; it
    is the same policy where the schedule's reference is the previous round's.

    Settings:
        drop_truncated: drop where the chosen answer, or either one, ended at the token limit
            (reason truncated).
        same_first_tokens: drop where both agree in this many first tokens, end-of-turn included:
            what a training length of as many tokens would see as one answer (same_opening).
        least_margin: drop where score_w - score_l is below this (margin).
        min_length_ratio, max_length_ratio: drop where tokens_w / tokens_l is outside
            (length_ratio).
        min_difficulty, max_difficulty: drop where rl - rw is outside: log-probs of rejected minus
            chosen under the policy that drew them and the original prompt, summed over tokens, so
            a positive one is ranked the wrong way (difficulty; unknown_difficulty where a
            correction has no log-prob under the original prompt).
        drop_duplicates: drop where both answers are one, or where an earlier pair that is kept
            holds the same two: by token ids, or by text without outer blanks (duplicate).
    """
    _ordered("length_ratio", min_length_ratio, max_length_ratio)
    _ordered("difficulty", min_difficulty, max_difficulty)
    seen: set[tuple[object, object]] = set()
    reasons: list[str | None] = []
    for pair in pairs:
        if pair.steps is not None and drop_duplicates == "text":
            raise AlignError(
                "filter.drop_duplicates=text compares whole answers, but the pairs are of steps; "
                "set filter.drop_duplicates=ids"
            )
        chosen, rejected = sides(pair, siblings)
        reason = (
            truncated(chosen, rejected, drop_truncated)
            or same_opening(chosen, rejected, same_first_tokens)
            or ("margin" if least_margin is not None and pair.margin < least_margin else None)
            or length_ratio(chosen, rejected, min_length_ratio, max_length_ratio)
            or difficulty(chosen, rejected, min_difficulty, max_difficulty)
        )
        if reason is None and drop_duplicates is not None:
            both = content(chosen, drop_duplicates), content(rejected, drop_duplicates)
            reason = "duplicate" if both[0] == both[1] or both in seen else None
            seen.add(both)
        reasons.append(reason)
    return reasons


def _ordered(name: str, least: float | None, most: float | None) -> None:
    if least is not None and most is not None and least > most:
        raise AlignError(
            f"filter.min_{name}={least} is above filter.max_{name}={most}: no pair can pass; "
            "exchange them, or set one to null"
        )

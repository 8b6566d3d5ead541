"""What a pair compares: two whole answers, or of steps the answers as far as these."""

from collections.abc import Sequence
from dataclasses import replace

from align_cli.rows import Completion, Judged
from align_cli.training_rows import Pair


def sides(pair: Pair, siblings: Sequence[Judged]) -> tuple[Completion, Completion]:
    """(chosen, rejected) with the tokens that are trained on.

    Of steps the text is still that of the whole answers, which no filter may compare by.
    """
    by_index = {one.completion.index: one.completion for one in siblings}
    chosen, rejected = by_index[pair.chosen], by_index[pair.rejected]
    if pair.steps is None:
        return chosen, rejected
    return _cut(chosen, pair.steps.chosen_tokens), _cut(rejected, pair.steps.rejected_tokens)


def _cut(row: Completion, tokens: int) -> Completion:
    """The answer up to the end of a step: a step that ends was not cut off."""
    return replace(row, token_ids=row.token_ids[:tokens], logps=row.logps[:tokens], finish="stop")

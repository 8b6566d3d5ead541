"""All of them: the group that listwise, policy-gradient-like and unpaired losses learn from."""

from collections.abc import Sequence
from typing import Annotated, Literal

from align_cli.pairing.contrast import in_order, score
from align_cli.rows import Judged
from align_cli.training_rows import Group


def siblings(
    siblings: Sequence[Judged],
    *,
    least_size: Annotated[int, ">= 2", "completions"],
    keep_tied: bool,
    corrections: bool,
) -> list[Group] | Literal["too_few", "tied"]:
    """Every judged completion of the prompt, in order of index, as one group, or why there is none.

    Nothing is compared here: the loss sees all scores. A completion that no verifier judged, or
    that failed its gate, is not among the siblings.

    Settings:
        least_size: no group where fewer completions remain, at least 2.
        keep_tied: whether completions that all have one score make a group. They hold no contrast
            within the prompt, which losses on score differences need; losses that judge each
            completion by itself (KTO, BCO) learn from them.
        corrections: whether corrections are members; they were drawn from another prompt than the
            one they are trained under.
    """
    members = [one for one in in_order(siblings) if corrections or one.completion.kind == "natural"]
    scores = tuple(score(one) for one in members)
    if len(members) < least_size:
        return "too_few"
    if len(set(scores)) == 1 and not keep_tied:
        return "tied"
    rights = [one.label.right for one in members]
    known = tuple(right for right in rights if right is not None)
    return [
        Group(
            prompt_id=members[0].completion.prompt_id,
            indices=tuple(one.completion.index for one in members),
            scores=scores,
            rights=known if len(known) == len(rights) else None,
        )
    ]

"""Every right answer over every wrong one: all that a prompt's verdicts say."""

from collections.abc import Sequence

from align_cli.pairing.contrast import in_order, pair, rights_and_wrongs
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def all_right_wrong(siblings: Sequence[Judged]) -> list[Pair]:
    """R x W pairs of a prompt with R right and W wrong answers, by index of right, then of wrong.

    Prompts weigh by R * W, most where half of the answers are right; pairing=k_pairs bounds that.
    Needs a verifier that says right or wrong; a right answer of no higher score is an error.
    """
    rights, wrongs = rights_and_wrongs("all_right_wrong", in_order(siblings))
    return [pair(right, wrong) for right in rights for wrong in wrongs]

"""Every two answers of a prompt, whatever they scored."""

from collections.abc import Sequence
from itertools import combinations

from align_cli.pairing.contrast import in_order, pair, score
from align_cli.pairing.ties import tied_pair
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def all_pairs(siblings: Sequence[Judged], *, ties: bool) -> list[Pair]:
    """All n (n - 1) / 2 pairs of a prompt's n answers, the higher score chosen.

    By index of the earlier answer, then of the later one. A prompt weighs with the square of its
    answers, so this is for answers that are all there are (sampler=every_arm), or few.

    Settings:
        ties: whether two answers of one score make a pair: of margin 0, marked as tied, the lower
            index chosen. Only what weighs both labels should learn from such a pair
            (filter=exact_gradients does).
    """
    found = []
    for one, other in combinations(in_order(siblings), 2):
        if score(one) != score(other):
            found.append(pair(*sorted((one, other), key=score, reverse=True)))
        elif ties:
            found.append(tied_pair(one, other))
    return found

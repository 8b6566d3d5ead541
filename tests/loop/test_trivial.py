"""Rules that know nothing: what they would choose of pairs written out."""

import pytest
from judged_rows import PROMPT, judged

from align_cli.loop.trivial import trivial_metrics
from align_cli.training_rows import Pair


def test_the_share_that_a_trivial_rule_predicts_coins_for_ties() -> None:
    rows = [
        judged(0, True, length=9, text="12 34", answer="34"),
        judged(1, False, length=4, text="1"),
        judged(2, True, length=4, text="7", finish="length"),
    ]
    known = {(PROMPT, one.completion.index): one for one in rows}
    pairs = [
        Pair(prompt_id=PROMPT, chosen=chosen, rejected=rejected, margin=1.0, kind="natural")
        for chosen, rejected in [(0, 1), (2, 1)]
    ]
    assert trivial_metrics(pairs, known) == {
        "pair/trivial/longer": pytest.approx((1 + 0.5) / 2),
        "pair/trivial/first": pytest.approx((1 + 0) / 2),
        "pair/trivial/more_digits": pytest.approx((1 + 0.5) / 2),
        "pair/trivial/has_answer": pytest.approx((1 + 0.5) / 2),
        "pair/trivial/stops": pytest.approx((0.5 + 0) / 2),
    }
    assert trivial_metrics([], known) == {}

"""The predicted share of wrong winners against pairs that the rule makes of noisy rows."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_rows import drawn, noise, under_noise

from align_cli.loop.yields import winner_metrics
from align_cli.noise.false_winners import (
    Difficulty,
    chosen_wrong_share,
    false_winner_chance,
    pair_chance,
    said_right,
)
from align_cli.noise.false_winners_of_pool import Counted, expected_pairs
from align_cli.pairing.first_right_first_wrong import first_right_first_wrong

CHANCES = {"2 steps": 0.8, "4 steps": 0.4, "9 steps": 0.03}
PROMPTS = 300
DRAWS = (2, 4, 8, 16)
RATE = 0.1
PARTS = {
    stratum: Difficulty(right=right, false_positive=RATE) for stratum, right in CHANCES.items()
}
chances = st.floats(0, 1)
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "noise.md"


@pytest.fixture(scope="module")
def simulated():
    """{n: (winner metrics, pairs by stratum)} of rows under noise=flip."""
    rows = under_noise(
        drawn(CHANCES, prompts=PROMPTS, n=max(DRAWS)),
        noise("flip", false_positive=RATE, false_negative=0.0),
    )
    strata = {prompt.id: prompt.stratum for prompt, _ in rows}
    judged = [one for _, siblings in rows for one in siblings]
    found = {}
    for n in DRAWS:
        pairs = [
            pair
            for _, siblings in rows
            for pair in first_right_first_wrong(siblings[:n], prefer="natural")
        ]
        per = {s: sum(strata[pair.prompt_id] == s for pair in pairs) for s in CHANCES}
        found[n] = winner_metrics(pairs, judged, strata), per
    return found


def near(share, predicted, of):
    return abs(share - predicted) <= 4 * math.sqrt(predicted * (1 - predicted) / of)


@pytest.mark.parametrize("n", DRAWS)
def test_shares_and_yields_are_those_of_simulated_rows(simulated, n):
    told, pairs = simulated[n]
    for stratum, part in PARTS.items():
        assert near(pairs[stratum] / PROMPTS, pair_chance(part, n), PROMPTS)
        share = told[f"pair/chosen_wrong_share/{stratum}"]
        assert near(share, false_winner_chance(part), pairs[stratum])
    predicted = chosen_wrong_share(list(PARTS.values()), n)
    assert near(told["pair/chosen_wrong_share"], predicted, sum(pairs.values()))


def test_the_guide_s_table_is_of_these_formulas_and_rows(simulated):
    text = GUIDE.read_text(encoding="utf-8")
    for n in DRAWS:
        told, pairs = simulated[n]
        cells = [
            f"{pair_chance(part, n):.3f} ({pairs[stratum] / PROMPTS:.3f})"
            for stratum, part in PARTS.items()
        ]
        predicted = chosen_wrong_share(list(PARTS.values()), n)
        cells.append(f"{predicted:.3f} ({told['pair/chosen_wrong_share']:.3f})")
        assert f"| {n} | {' | '.join(cells)} |" in text


def test_the_mixture_s_share_grows_with_n_where_no_part_s_does():
    shares = [chosen_wrong_share(list(PARTS.values()), n) for n in DRAWS]
    assert shares == sorted(shares)
    assert shares[-1] > shares[0] + 0.05
    for part in PARTS.values():
        alone = [chosen_wrong_share([part], n) for n in DRAWS]
        assert alone == pytest.approx([false_winner_chance(part)] * len(DRAWS))


@pytest.mark.parametrize(
    ("rate", "shares"),
    [
        (0.05, {2: 0.130, 4: 0.134, 8: 0.152, 16: 0.173, 32: 0.190}),
        (0.02, {2: 0.057, 4: 0.059, 8: 0.069, 16: 0.085, 32: 0.104}),
    ],
)
def test_prompts_of_all_difficulties(rate, shares):
    # Beta(1/2, 1/2) is the law of sin^2 of a uniform angle.
    angles = (np.arange(20_000) + 0.5) / 20_000 * math.pi / 2
    parts = [Difficulty(right=float(p), false_positive=rate) for p in np.sin(angles) ** 2]
    for n, share in shares.items():
        assert chosen_wrong_share(parts, n) == pytest.approx(share, abs=6e-4)
    # From the moments E[(1 - p)^2] = 3/8 and E[p (1 - p)] = 1/8.
    exact = rate * 3 / (1 + 3 * rate)
    assert chosen_wrong_share(parts, 2) == pytest.approx(exact)


@pytest.mark.parametrize(
    ("rate", "n", "chance"), [(0.05, 4, 0.1855), (0.05, 16, 0.5599), (0.1, 16, 0.8147)]
)
def test_an_unsolvable_prompt_yields_a_false_winner(rate, n, chance):
    part = Difficulty(right=0.0, false_positive=rate)
    assert pair_chance(part, n) == pytest.approx(chance, abs=5e-5)
    assert false_winner_chance(part) == 1.0


@given(chances, chances, chances, st.integers(1, 20))
def test_the_closed_form_is_the_binomial_sum(right, high, low, n):
    part = Difficulty(right=right, false_positive=high, false_negative=low)
    a = said_right(part)
    terms = [math.comb(n, k) * a**k * (1 - a) ** (n - k) for k in range(1, n)]
    assert pair_chance(part, n) == pytest.approx(sum(terms), abs=1e-12)


@given(chances, chances, chances)
def test_two_draws_case_by_case(right, high, low):
    part = Difficulty(right=right, false_positive=high, false_negative=low)
    said = {
        (True, True): right * (1 - low),
        (True, False): right * low,
        (False, True): (1 - right) * high,
        (False, False): (1 - right) * (1 - high),
    }
    pairs = {(x, y): said[x] * said[y] * 2 for x in said for y in said if x[1] and not y[1]}
    total = sum(pairs.values())
    share = chosen_wrong_share([part], 2)
    if total > 1e-9:
        wrong = sum(chance for (x, _), chance in pairs.items() if not x[0])
        assert share == pytest.approx(wrong / total, abs=1e-9)


def test_a_clean_verifier_has_no_false_winners_and_no_pair_no_share():
    assert chosen_wrong_share([Difficulty(right=0.3, false_positive=0.0)], 8) == 0
    assert chosen_wrong_share([Difficulty(right=0.0, false_positive=0.0)], 8) is None
    assert chosen_wrong_share([Difficulty(right=0.3, false_positive=0.1)], 1) is None
    assert chosen_wrong_share([], 8) is None


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="false_positive"):
        Difficulty(right=0.5, false_positive=1.1)
    with pytest.raises(ValueError, match="n must"):
        pair_chance(Difficulty(right=0.5, false_positive=0.1), 0)


def binomial(k, n, p):
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


@given(chances, chances, chances, st.integers(1, 4))
def test_counts_predict_without_bias(right, high, low, n):
    part = Difficulty(right=right, false_positive=high, false_negative=low)
    pairs = wrong = 0.0
    for c in range(6):
        some = expected_pairs(
            [Counted(right=c, answers=5)], n, false_positive=high, false_negative=low
        )
        pairs += binomial(c, 5, right) * some.pairs
        wrong += binomial(c, 5, right) * some.wrong
    assert pairs == pytest.approx(pair_chance(part, n), abs=1e-12)
    assert wrong == pytest.approx(
        pair_chance(part, n) * (false_winner_chance(part) or 0), abs=1e-12
    )


def test_counts_of_no_use_are_refused():
    with pytest.raises(ValueError, match="n = 4"):
        expected_pairs([Counted(right=1, answers=3)], 4, false_positive=0.1)
    with pytest.raises(ValueError, match="4 right of 3"):
        Counted(right=4, answers=3)
    assert expected_pairs([Counted(right=2, answers=2)], 2, false_positive=0.1).wrong_share is None

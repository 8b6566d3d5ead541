import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_cli.errors import AlignError
from align_cli.noise.flip import flip
from align_cli.noise.none import none
from align_cli.rows import Label
from align_cli.seeds import derive

N = 20_000


def label(right: bool | None, score: float = 1.0, index: int = 0) -> Label:
    return Label(prompt_id="p", index=index, score=score, right=right, answer="5")


def flipped(seed: int, **rates: float) -> list[bool]:
    """Whether each of N labels, right and wrong in turn, is flipped."""
    changes = []
    for n in range(N):
        before = label(n % 2 == 0, float(n % 2 == 0), n)
        after = flip(before, derive(seed, "noise", n), **rates)
        assert (after.clean_score, after.clean_right) == (before.score, before.right)
        assert after.score == float(after.right)
        changes.append(after.right != before.right)
    return changes


@pytest.mark.parametrize(
    ("false_positive", "false_negative"), [(0.1, 0.0), (0.0, 0.3), (0.25, 0.05), (0.5, 0.5)]
)
def test_realised_rates_are_the_rates_asked_for(false_positive, false_negative):
    changes = flipped(0, false_positive=false_positive, false_negative=false_negative)
    for rate, found in ((false_negative, changes[0::2]), (false_positive, changes[1::2])):
        error = (rate * (1 - rate) / len(found)) ** 0.5
        assert abs(sum(found) / len(found) - rate) <= 4 * error


def test_seeds_differ_and_repeat():
    rates = {"false_positive": 0.5, "false_negative": 0.5}
    one, again, other = flipped(1, **rates), flipped(1, **rates), flipped(2, **rates)
    assert one == again
    agreement = sum(a == b for a, b in zip(one, other, strict=True)) / N
    assert abs(agreement - 0.5) <= 4 * (0.25 / N) ** 0.5


def test_a_larger_rate_flips_all_that_a_smaller_one_flips():
    low = flipped(3, false_positive=0.1, false_negative=0.1)
    high = flipped(3, false_positive=0.2, false_negative=0.2)
    assert all(after >= before for before, after in zip(low, high, strict=True))
    assert sum(high) > sum(low)


@given(st.integers(0, 2**64 - 1), st.booleans(), st.booleans())
def test_certain_rates_are_certain(seed, right, both):
    rate = float(both)
    after = flip(label(right), seed, false_positive=rate, false_negative=rate)
    assert after.right == (right != both)


def test_scores_outside_zero_and_one_become_one_or_zero():
    rates = {"false_positive": 1.0, "false_negative": 1.0}
    risen = flip(label(False, -0.5), 0, **rates)
    fallen = flip(label(True, 3.0), 0, **rates)
    assert (risen.score, risen.right, risen.clean_score) == (1.0, True, -0.5)
    assert (fallen.score, fallen.right, fallen.clean_score) == (0.0, False, 3.0)
    kept = flip(label(False, -0.5), 0, false_positive=0.0, false_negative=0.0)
    assert (kept.score, kept.right, kept.clean_score) == (-0.5, False, -0.5)


@pytest.mark.parametrize("verdict", ["no_gold", "unreadable_gold", "timeout", "error"])
def test_unscored_labels_are_untouched(verdict):
    unscored = Label(prompt_id="p", index=0, verdict=verdict, detail="why")
    assert flip(unscored, 0, false_positive=1.0, false_negative=1.0) == unscored
    assert none(unscored) == unscored


def test_a_graded_label_is_refused():
    with pytest.raises(AlignError, match=r"p/0.*neither right nor wrong"):
        flip(label(None, 0.7), 0, false_positive=0.0, false_negative=0.0)


def test_none_keeps_the_label_and_calls_it_clean():
    after = none(label(True, 0.7))
    assert (after.score, after.right, after.clean_score, after.clean_right) == (
        0.7,
        True,
        0.7,
        True,
    )
    assert none(after) == after
    assert none(label(None, 0.7)).clean_score == 0.7

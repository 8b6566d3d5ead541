"""Injected rates come back from the rows, part by part, whatever the rows are asked with."""

import random
from statistics import NormalDist

import pytest
from judged_rows import asked, judged
from noisy_rows import drawn, noise, under_noise

from align_cli.errors import AlignError, ConfigError
from align_cli.loop.verdicts import label_metrics
from align_cli.noise.by_answer_type import answer_type
from align_cli.rows import Label

CHANCES = {"2 steps": 0.7, "3 steps": 0.5, "9 steps": 0.1}
ROWS = drawn(CHANCES, prompts=160, n=8)
TYPES = ("integer", "decimal", "fraction", "text", "unread")
NOISES = {
    "flip": {"false_positive": 0.2, "false_negative": 0.1},
    "by_stratum": {"other_false_positive": 0.3, "false_negative": {"2 steps": 0.2}},
    "by_difficulty": {"false_negative_per_step": 0.02},
    "by_answer_type": {"false_positive": dict.fromkeys(TYPES, 0.3)},
    "by_length": {"false_negative": 0.1},
    "gaussian": {},
    "bradley_terry": {},
}


def labels(choice, rows=ROWS, seed=0, **settings):
    noisy = under_noise(rows, noise(choice, **settings), seed)
    return [one.label for _, siblings in noisy for one in siblings]


def metrics(found, rows=ROWS):
    return label_metrics(found, {prompt.id: prompt.stratum for prompt, _ in rows})


def check(found, name, rate, of):
    """Within four standard errors of `of` labels."""
    assert abs(found[name] - rate) <= 4 * (rate * (1 - rate) / of) ** 0.5, name


def counts(found):
    """{(stratum, cleanly right): labels}"""
    stratum = {prompt.id: prompt.stratum for prompt, _ in ROWS}
    of = {}
    for one in found:
        for part in (stratum[one.prompt_id], ""):
            of[part, one.clean_right] = of.get((part, one.clean_right), 0) + 1
    return of


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("kind", ["false_positive", "false_negative"])
def test_constant_rates_are_recovered_overall_and_by_stratum(rate, kind):
    other = "false_negative" if kind == "false_positive" else "false_positive"
    found = labels("flip", **{kind: rate, other: 0.0})
    told, of = metrics(found), counts(found)
    for stratum in ("", *CHANCES):
        tail = f"/{stratum}" if stratum else ""
        check(told, f"label/{kind}_rate{tail}", rate, of[stratum, kind == "false_negative"])
        assert told[f"label/{other}_rate{tail}"] == 0


def test_rates_by_name_are_recovered_in_each_stratum():
    wanted = {"2 steps": 0.05, "3 steps": 0.1, "9 steps": 0.2}
    found = labels("by_stratum", false_positive=wanted, false_negative={"3 steps": 0.3})
    told, of = metrics(found), counts(found)
    for stratum, rate in wanted.items():
        check(told, f"label/false_positive_rate/{stratum}", rate, of[stratum, False])
    check(told, "label/false_negative_rate/3 steps", 0.3, of["3 steps", True])
    assert told["label/false_negative_rate/2 steps"] == 0


def test_a_stratum_without_a_rate_is_refused_by_name():
    with pytest.raises(AlignError, match=r"'9 steps'.*'2 steps', '3 steps', '4 steps'.*other_"):
        labels("by_stratum")


def test_rates_grow_with_the_steps():
    found = labels(
        "by_difficulty", false_positive=0.05, false_positive_per_step=0.03,
        false_negative=0.04, false_negative_per_step=-0.02, from_steps=2,
    )  # fmt: skip
    told, of = metrics(found), counts(found)
    for stratum, high, low in (("2 steps", 0.05, 0.04), ("3 steps", 0.08, 0.02),
                               ("9 steps", 0.26, 0.0)):  # fmt: skip
        check(told, f"label/false_positive_rate/{stratum}", high, of[stratum, False])
        check(told, f"label/false_negative_rate/{stratum}", low, of[stratum, True])


def test_a_stratum_without_a_number_has_no_difficulty():
    with pytest.raises(AlignError, match=r"'algebra'.*noise=by_stratum"):
        labels("by_difficulty", drawn({"algebra": 0.5}, prompts=1, n=1))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("12", "integer"), ("-1,200", "integer"), (" $45 ", "integer"), ("3.5", "decimal"),
        (".5", "decimal"), ("50%", "decimal"), ("3/4", "fraction"), ("-3 / 4", "fraction"),
        (r"\frac{3}{4}", "fraction"), (r"\dfrac{x}{2}", "fraction"), ("x + 1", "text"),
        ("1,2", "text"), ("1/2/3", "text"), (r"\frac{1}{2} + x", "text"), ("", "unread"),
        (" $ ", "unread"), (None, "unread"),
    ],
)  # fmt: skip
def test_types_of_answers(answer, kind):
    assert answer_type(answer) == kind


def test_rates_by_type_of_answer():
    answers = {"integer": "7", "decimal": "0.7", "fraction": "7/10", "text": "x", "unread": None}
    certain = dict.fromkeys(TYPES, 0.0) | {"fraction": 1.0, "unread": 1.0}
    part = noise("by_answer_type", false_positive=certain)
    for kind, answer in answers.items():
        before = judged(0, False, answer=answer)
        after = part(label=before.label, prompt=asked(), completion=before.completion, seed=1)
        assert after.right == (certain[kind] == 1.0)
    with pytest.raises(ConfigError, match="fractoin"):
        noise("by_answer_type", false_positive=certain | {"fractoin": 0.1})


def test_longer_wrong_answers_pass_more_often():
    found = labels("by_length", false_positive_per_token=0.01, max_false_positive=0.4)
    length = {
        (one.completion.prompt_id, one.completion.index): len(one.completion.token_ids)
        for _, siblings in ROWS
        for one in siblings
    }
    for low, high in ((1, 20), (20, 40), (40, 60)):
        some = [
            one for one in found
            if not one.clean_right and low <= length[one.prompt_id, one.index] < high
        ]  # fmt: skip
        rates = [min(0.4, 0.01 * length[one.prompt_id, one.index]) for one in some]
        error = sum(rate * (1 - rate) for rate in rates) ** 0.5
        assert abs(sum(bool(one.right) for one in some) - sum(rates)) <= 4 * error
    assert metrics(found)["label/false_negative_rate"] == 0


@pytest.mark.parametrize(
    ("choice", "settings", "rate"),
    [
        ("gaussian", {"sd": 0.5, "threshold": 0.5}, NormalDist().cdf(-1.0)),
        ("bradley_terry", {"temperature": 0.25, "threshold": 0.5}, 1 / (1 + 2.718281828459045**2)),
    ],
)
def test_noise_on_scores_errs_as_often_as_its_formula(choice, settings, rate):
    found = labels(choice, **settings)
    told, of = metrics(found), counts(found)
    check(told, "label/false_positive_rate", rate, of["", False])
    check(told, "label/false_negative_rate", rate, of["", True])
    assert all(one.right == (one.score > 0.5) for one in found)


def test_gaussian_errors_have_the_spread_asked_for():
    errors = [one.score - one.clean_score for one in labels("gaussian", sd=2.0, threshold=None)]
    mean = sum(errors) / len(errors)
    spread = (sum((e - mean) ** 2 for e in errors) / len(errors)) ** 0.5
    assert abs(mean) <= 4 * 2.0 / len(errors) ** 0.5
    assert abs(spread - 2.0) <= 4 * 2.0 / (2 * len(errors)) ** 0.5
    wide = [one.score - one.clean_score for one in labels("gaussian", sd=4.0, threshold=None)]
    assert wide == pytest.approx([2 * e for e in errors])
    assert all(one.right == one.clean_right for one in labels("gaussian", threshold=None))


@pytest.mark.parametrize(
    ("choice", "settings"),
    [("gaussian", {"sd": 0.0, "threshold": 2.0}),
     ("bradley_terry", {"temperature": 1e-6, "threshold": 2.0})],
)  # fmt: skip
def test_a_grade_gets_a_verdict_and_a_clean_one(choice, settings):
    part = noise(choice, **settings)
    for score in (-1.0, 3.0):
        before = judged(0, None, score=score)
        after = part(label=before.label, prompt=asked(), completion=before.completion, seed=1)
        assert (after.right, after.clean_right, after.clean_score) == (score > 2, score > 2, score)


def test_far_scores_are_certain_and_finite():
    part = noise("bradley_terry", temperature=1e-3)
    before = judged(0, None, score=1e9)
    after = part(label=before.label, prompt=asked(), completion=before.completion, seed=1)
    assert (after.score, after.right) == (1.0, True)


@pytest.mark.parametrize("choice", NOISES)
def test_noise_does_not_know_n_order_or_batch(choice):
    part = noise(choice, **NOISES[choice])
    rows = ROWS[::10]
    whole = {(x.prompt_id, x.index): x for x in labels(choice, rows, **NOISES[choice])}
    few = [(prompt, siblings[:2]) for prompt, siblings in rows]
    mixed = [(prompt, siblings[::-1]) for prompt, siblings in rows]
    random.Random(0).shuffle(mixed)
    for other in (few, mixed, *([row] for row in rows[:5])):
        for _, siblings in under_noise(other, part):
            for one in siblings:
                assert one.label == whole[one.label.prompt_id, one.label.index]
    another = labels(choice, rows, seed=1, **NOISES[choice])
    assert another != list(whole.values())


@pytest.mark.parametrize("choice", NOISES)
def test_the_clean_label_stands_beside_and_silence_stays(choice):
    before = {(x.label.prompt_id, x.label.index): x.label for _, some in ROWS for x in some}
    found = labels(choice, **NOISES[choice])
    for one in found:
        clean = before[one.prompt_id, one.index]
        assert (one.clean_right, one.clean_score) == (clean.right, clean.score)
    assert any(one.right != one.clean_right for one in found)
    silent = judged(0, None)
    part = noise(choice, **NOISES[choice])
    after = part(label=silent.label, prompt=asked(), completion=silent.completion, seed=1)
    assert after == silent.label


def test_what_has_no_clean_verdict_has_no_error_rate():
    graded = [Label(prompt_id="p", index=0, score=0.3, clean_score=0.3)]
    assert metrics(graded, [(asked("p", stratum="s"), [])]) == {
        "label/judged": 1, "label/count": 1, "label/mean_score": 0.3
    }  # fmt: skip

import pytest
from judged_rows import PROMPT, asked, judged

from align_cli.errors import AlignError, RowError
from align_cli.evaluation.scores import score_rows
from align_cli.evaluation.summary import summary
from align_cli.rows import Score


def greedy(right: bool | None, prompt_id: str = PROMPT, length: int = 9):
    return judged(0, right, prompt_id=prompt_id, temperature=0.0, length=length)


def score(prompt_id: str = PROMPT, **changed) -> Score:
    known = {
        "prompt_id": prompt_id, "stratum": "", "greedy_right": True, "samples": 4, "right": 1,
        "unscored": 0, "majority_right": 0.0, "length_tokens": 8.0, "truncated": 0,
    }  # fmt: skip
    return Score(**(known | changed))


def test_one_score_per_prompt_in_their_order():
    prompts = [asked("b", stratum="3 steps"), asked("a", stratum="2 steps")]
    answers = [
        greedy(False, "a"),
        judged(1, False, prompt_id="a", answer="9", length=3),
        greedy(True, "b"),
        judged(1, True, prompt_id="b", answer="12", length=4),
        judged(2, None, prompt_id="b", length=10, finish="length"),
        judged(3, False, prompt_id="b", answer="9", length=1),
    ]
    assert score_rows(prompts, answers[::-1]) == [
        Score(
            prompt_id="b", stratum="3 steps", greedy_right=True, samples=2, right=1, unscored=1,
            majority_right=0.5, length_tokens=5.0, truncated=1,
        ),
        Score(
            prompt_id="a", stratum="2 steps", greedy_right=False, samples=1, right=0, unscored=0,
            majority_right=0.0, length_tokens=3.0, truncated=0,
        ),
    ]  # fmt: skip


def test_without_a_greedy_answer_index_0_is_a_sample():
    (found,) = score_rows([asked()], [judged(0, True, answer="12"), judged(1, False, answer="9")])
    assert (found.greedy_right, found.samples, found.right) == (None, 2, 1)


def test_only_index_0_is_the_greedy_answer():
    (found,) = score_rows([asked()], [greedy(True), judged(1, False, temperature=0.0)])
    assert (found.greedy_right, found.samples, found.right) == (True, 1, 0)


@pytest.mark.parametrize(("right", "unscored"), [(True, 0), (False, 0), (None, 1)])
def test_a_greedy_answer_alone(right: bool | None, unscored: int):
    (found,) = score_rows([asked()], [greedy(right, length=9)])
    assert (found.greedy_right, found.unscored, found.length_tokens) == (right, unscored, 9.0)
    assert (found.samples, found.right, found.majority_right) == (0, 0, None)
    expected = {} if right is None else {"eval/greedy_accuracy": float(right)}
    counts = {"length_tokens": 9.0, "truncated_share": 0.0, "unscored_share": float(unscored)}
    assert summary([found]) == expected | {f"eval/{name}": n for name, n in counts.items()}


def test_all_samples_unscored_is_unknown_and_not_zero():
    (found,) = score_rows([asked()], [greedy(None), judged(1, None), judged(2, None)])
    assert (found.greedy_right, found.samples, found.majority_right) == (None, 0, None)
    assert found.unscored == 2
    assert set(summary([found])) == {
        "eval/length_tokens", "eval/truncated_share", "eval/unscored_share"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "error", "message"),
    [
        ([], RowError, "has no answer"),
        ([judged(0, True, prompt_id="other")], RowError, "none of the held-out prompts"),
        (
            [judged(0, None, score=0.5), judged(1, True)],
            AlignError,
            "neither right nor wrong, while others are",
        ),
    ],
)
def test_what_cannot_be_scored_is_an_error(answers, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        score_rows([asked()], answers)


def test_a_grade_is_no_verdict():
    answers = [
        judged(0, None, score=3.0, temperature=0.0),
        judged(1, None, score=-1.0),
        judged(2, None, score=2.0),
        judged(3, None),
    ]
    (found,) = score_rows([asked(stratum="hard")], answers)
    assert (found.samples, found.right, found.unscored) == (2, None, 1)
    assert (found.greedy_right, found.majority_right) == (None, None)
    metrics = summary([found])
    assert metrics.pop("eval/length_tokens") == 4
    assert metrics == {
        "eval/greedy_score": 3.0,
        "eval/sampled_score": 0.5,
        "eval/sampled_score/hard": 0.5,
        "eval/truncated_share": 0.0,
        "eval/unscored_share": pytest.approx(1 / 3),
    }


def test_summary_of_known_scores():
    scores = [
        score("a", stratum="2 steps", right=4, majority_right=1.0, truncated=1),
        score("b", stratum="3 steps", right=1, greedy_right=False, length_tokens=10.0),
        score(
            "c", stratum="3 steps", samples=2, right=1, unscored=2, majority_right=0.5,
            greedy_right=None,
        ),
    ]  # fmt: skip
    assert summary(scores) == pytest.approx(
        {
            "eval/greedy_accuracy": 1 / 2,
            "eval/sampled_accuracy": (1 + 1 / 4 + 1 / 2) / 3,
            "eval/sampled_accuracy/2 steps": 1.0,
            "eval/sampled_accuracy/3 steps": (1 / 4 + 1 / 2) / 2,
            "eval/pass_at_1": (1 + 1 / 4 + 1 / 2) / 3,
            "eval/pass_at_2": (1 + 1 / 2 + 1) / 3,
            "eval/pass_at_4": 1.0,  # of the two prompts with four judged samples
            "eval/maj_at_4": (1 + 0 + 1 / 2) / 3,
            "eval/length_tokens": (8 + 10 + 8) / 3,
            "eval/truncated_share": 1 / 12,
            "eval/unscored_share": 2 / 12,
        }
    )


@pytest.mark.parametrize(("samples", "ks"), [(1, [1]), (3, [1, 2]), (8, [1, 2, 4, 8])])
def test_pass_at_powers_of_two_up_to_the_samples(samples: int, ks: list[int]):
    names = summary([score(samples=samples)])
    assert [name for name in names if "pass_at" in name] == [f"eval/pass_at_{k}" for k in ks]
    assert f"eval/maj_at_{samples}" in names


def test_no_scores_no_summary():
    assert summary([]) == {}

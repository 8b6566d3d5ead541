"""Judges behind a real HTTP server: orders, cache, retries, and answers that are none."""

import json
import re
import socket
import time
from email.utils import formatdate
from types import SimpleNamespace

import pytest
from judge_server import says, serving, shown, verdict
from omegaconf import OmegaConf
from sampler_settings import CONF
from verifier_rows import make_completion, make_prompt

from align_cli.errors import AlignError, ConfigError
from align_cli.verifier import chat_server
from align_cli.verifier.chat_server import JudgeDown, retry_after
from align_cli.verifier.llm_judge import llm_judge
from align_cli.verifier.llm_judge_pairwise import llm_judge_pairwise


def settings_of(choice, **changed):
    given = OmegaConf.to_container(OmegaConf.load(CONF.parent / f"verifier/{choice}.yaml"))
    given = {k: v for k, v in given.items() if k not in ("_target_", "max_unscored")}
    return (
        given | {"model": "judge", "cache": None, "workers": 1, "timeout_seconds": 30.0} | changed
    )


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """Waits are noted and not spent."""
    found: list[float] = []
    monkeypatch.setattr(chat_server, "time", SimpleNamespace(sleep=found.append))
    return found


def compare(siblings, **settings):
    """Labels of one prompt's answers."""
    prompt = make_prompt(0, "7")
    rows = [make_completion(prompt, text, index) for index, text in enumerate(siblings)]
    return llm_judge_pairwise([prompt], [rows], **settings)


def grade_by_words(request):
    text = shown(request).rpartition("[Answer]\n")[2]
    replies = {
        "good": verdict(score=9),
        "fenced": says('So:\n```json\n{"reason": "ok", "score": 2.5}\n```'),
        "prose": says("I would say a 7 out of 10."),
        "range": verdict(score=11),
        "text": verdict(score="9"),
        "true": verdict(score=True),
        "lacks": verdict(points=3),
        "null": verdict(score=None),
        "refuses": says(None, refusal="I will not judge this."),
        "filter": says("", finish_reason="content_filter"),
        "empty": says(None),
        "long": (400, {}, {"error": "context length exceeded"}),
        "broken": (200, {}, b"<html>"),
    }
    return replies[text]


def test_grades_refusals_and_malformed_answers(judge):
    expected = {
        "good": 9.0, "fenced": 2.5, "prose": "malformed", "range": "malformed",
        "text": "malformed", "true": "malformed", "lacks": "malformed", "null": "refused",
        "refuses": "refused", "filter": "refused", "empty": "malformed", "long": "error",
        "broken": "error",
    }  # fmt: skip
    with serving(grade_by_words) as server:
        settings = settings_of("llm_judge", server=server.url, workers=4)
        labels = judge(llm_judge, [("7", text) for text in expected], **settings)
    found = {text: label.verdict if label.score is None else label.score
             for text, label in zip(expected, labels, strict=True)}  # fmt: skip
    assert found == expected
    assert {label.right for label in labels} == {None}
    version = re.fullmatch(r"rubric ([0-9a-f]{12}): because", labels[0].detail)
    assert version
    assert all(label.detail.startswith(f"rubric {version[1]}: ") for label in labels)


def test_what_the_judge_is_asked(judge, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "not-a-secret")
    with serving(lambda request: verdict(score=5)) as server:
        settings = settings_of("llm_judge", server=server.url, rubric="Be brief.", show_gold=True,
                               right_from=5.0, api_key_env="JUDGE_KEY")  # fmt: skip
        [label] = judge(llm_judge, [("42", "it is 42")], **settings)
        bare = judge(llm_judge, [("42", "it is 42")], **{**settings, "structured": "none",
                                                         "show_gold": False})  # fmt: skip
        others = judge(llm_judge, [("42", "x")], **{**settings, "rubric": "Be long."})
    assert (label.right, label.score) == (True, 5.0)
    asked, again = server.asked[:2]
    assert "Be brief." in asked["messages"][0]["content"]
    assert shown(asked) == (
        "[Question]\nquestion 0\n\n[Reference answer]\n42\n\n[Answer]\nit is 42"
    )
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["reason", "score"]
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("judge", 0.0, 512)
    assert server.headers[0]["path"] == "/v1/chat/completions"
    assert server.headers[0]["Authorization"] == "Bearer not-a-secret"
    assert "response_format" not in again
    assert "Reference" not in shown(again)
    assert bare[0].detail[:20] == label.detail[:20] != others[0].detail[:20]


def longer_wins(request):
    """Judges by length, but says A wherever the lengths are close: a liking for a place."""
    _, a, b = re.split(r"\n\n\[Answer [AB]\]\n", shown(request))
    if a == "refuse" or b == "refuse":
        return verdict(winner=None)
    return verdict(winner="A" if len(a) >= len(b) - 1 else "B")


def test_both_orders_are_asked_and_averaged():
    with serving(longer_wins) as server:
        settings = settings_of("llm_judge_pairwise", server=server.url)
        labels = compare(["aaaa", "aaa", "a", "aaaa"], **settings)
    # 0 beats 2 twice and ties with 1 (each order says the first) and with 3 (the same text).
    assert [label.score for label in labels] == [
        pytest.approx(each) for each in (2 / 3, 2 / 3, 0.0, 2 / 3)
    ]
    assert sum(label.score for label in labels) == pytest.approx(4 / 2)
    assert len(server.asked) == 2 * 5
    assert "3 of 3 comparisons, orders disagreed in 1" in labels[0].detail
    assert {label.right for label in labels} == {None}


def test_a_comparison_counts_where_both_orders_were_judged():
    with serving(longer_wins) as server:
        settings = settings_of("llm_judge_pairwise", server=server.url)
        labels = compare(["aaaaaa", "refuse", "a"], **settings)
        strict = compare(["aaaaaa", "refuse", "a"], **{**settings, "least_judged": 1.0})
        [alone] = compare(["a"], **settings)
    assert [label.score for label in labels] == [1.0, None, 0.0]
    assert [label.verdict for label in labels] == ["judged", "refused", "judged"]
    assert [label.verdict for label in strict] == ["refused"] * 3
    assert (alone.verdict, "no sibling" in alone.detail) == ("error", True)


def test_passing_trouble_is_tried_again_after_doubled_waits(judge, waits):
    replies = [(429, {"Retry-After": "7"}, {}), (500, {}, {}), (503, {}, {}), verdict(score=4)]
    with serving(lambda request: replies.pop(0)) as server:
        settings = settings_of("llm_judge", server=server.url)
        [label] = judge(llm_judge, [("7", "x")], **settings)
    assert label.score == 4.0
    assert waits == [7.0, 2.0, 4.0]


def test_retry_after_is_a_number_or_a_date():
    assert retry_after("12") == 12.0
    assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert retry_after(None) == retry_after("soon") == retry_after("-3") == 0.0


def test_a_server_that_stays_away_stops_the_run(judge, waits):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: connections are refused.
        settings = settings_of("llm_judge", server=f"http://127.0.0.1:{taken.getsockname()[1]}/v1",
                               retries=3, longest_wait_seconds=2.0)  # fmt: skip
        with pytest.raises(JudgeDown, match=r"refused.*tried 4 times.*labels so far are kept"):
            judge(llm_judge, [("7", "x")], **settings)
    assert waits == [1.0, 2.0, 2.0]
    with serving(lambda request: (429, {"Retry-After": "3600"}, {})) as server:
        settings = settings_of("llm_judge", server=server.url)
        with pytest.raises(JudgeDown, match="asks to wait 3600 s"):
            judge(llm_judge, [("7", "x")], **settings)


@pytest.mark.parametrize(("code", "said"), [(401, "api_key_env"), (404, "verifier.model")])
def test_what_no_retry_mends_stops_at_once(judge, waits, code, said):
    with (
        serving(lambda request: (code, {}, {"error": "no"})) as server,
        pytest.raises(AlignError, match=f"HTTP {code}.*{said}"),
    ):
        judge(llm_judge, [("7", "x")], **settings_of("llm_judge", server=server.url))
    assert waits == []
    assert len(server.asked) == 1


def test_a_judge_that_is_too_slow_leaves_its_row_unscored(judge):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # Accepts, and never answers.
        settings = settings_of("llm_judge", server=f"http://127.0.0.1:{silent.getsockname()[1]}",
                               timeout_seconds=0.2, retries=1)  # fmt: skip
        [label] = judge(llm_judge, [("7", "x")], **settings)
    assert (label.verdict, label.score) == ("timeout", None)


def test_answers_are_kept_by_all_that_matters(judge, tmp_path):
    with serving(grade_by_words) as server:
        settings = settings_of("llm_judge", server=server.url, cache=str(tmp_path / "kept"))
        rows = [("7", "good"), ("7", "prose")]
        first = judge(llm_judge, rows, **settings)
        assert judge(llm_judge, rows, **settings) == first
        assert len(server.asked) == 3  # What could not be read is asked again.
        for change in (
            {"model": "other"}, {"rubric": "Otherwise."}, {"temperature": 0.5},
            {"max_tokens": 9}, {"show_gold": True}, {"structured": "none"}, {"highest": 20.0},
        ):  # fmt: skip
            before = len(server.asked)
            judge(llm_judge, rows[:1], **{**settings, **change})
            assert len(server.asked) == before + 1, change
    for file in (tmp_path / "kept").iterdir():
        assert json.loads(file.read_text())["url"] == f"{server.url}/chat/completions"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rubric": " \n"}, "rubric is empty"),
        ({"lowest": 3.0, "highest": 3.0}, "must be below"),
        ({"api_key_env": "NO_SUCH_KEY_SET"}, "no NO_SUCH_KEY_SET"),
    ],
)
def test_mistakes_are_said(judge, change, message):
    with (
        serving(lambda request: verdict(score=5)) as server,
        pytest.raises(AlignError, match=message) as caught,
    ):
        judge(llm_judge, [("7", "x")], **settings_of("llm_judge", server=server.url, **change))
    assert isinstance(caught.value, ConfigError) or "environment" in str(caught.value)

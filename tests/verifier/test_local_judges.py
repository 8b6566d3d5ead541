"""Judges that are transformers models of this process: the same wording, states and versions."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from sampler_settings import CONF
from scripted_judge import scripted_judge
from small_runs import run_small
from verifier_rows import make_completion, make_prompt

from align_cli.errors import ConfigError
from align_cli.model import chat
from align_cli.model.language_model import LanguageModel
from align_cli.verifier.llm_judge_local import llm_judge_local
from align_cli.verifier.llm_judge_pairwise_local import llm_judge_pairwise_local


def says(**verdict):
    return json.dumps({"reason": "because", **verdict})


DIGITS = {str(digit): says(score=digit) for digit in range(1, 10)}
SCRIPT = DIGITS | {
    "0": says(score=1.5), "x": "I would say 7", "n": says(score=None), "r": says(score=11),
}  # fmt: skip


@pytest.fixture(scope="module")
def grader(tmp_path_factory):
    return scripted_judge(tmp_path_factory.mktemp("grader"), SCRIPT)


def settings_of(choice, folder, **changed):
    given = OmegaConf.to_container(OmegaConf.load(CONF.parent / f"verifier/{choice}.yaml"))
    given = {k: v for k, v in given.items() if k not in ("_target_", "max_unscored")}
    return given | {"path": str(folder), "cache": None, "device": "cpu", "max_tokens": 8} | changed


def test_grades_and_what_is_none(judge, grader):
    rows = [("7", text) for text in ("it is 9", "3", "xx", "n", "r", "4" * 2000 + "x")]
    for size in (1, 16):
        labels = judge(
            llm_judge_local, rows, **settings_of("llm_judge_local", grader, batch_size=size)
        )
        found = [label.verdict if label.score is None else label.score for label in labels]
        assert found == [9.0, 3.0, "malformed", "refused", "malformed", "error"]
        assert all(label.detail[:20] == labels[0].detail[:20] for label in labels)
    assert labels[0].detail.endswith(": because")
    assert "2048 tokens" in labels[-1].detail
    other = settings_of("llm_judge_local", grader, rubric="Be brief.", right_from=5.0)
    again = judge(llm_judge_local, rows[:2], **other)
    assert [label.right for label in again] == [True, False]
    assert again[0].detail[:20] != labels[0].detail[:20]


def test_the_version_is_that_of_the_same_words_behind_a_server(judge, grader):
    from judge_server import serving, verdict

    from align_cli.verifier.llm_judge import llm_judge

    given = OmegaConf.to_container(OmegaConf.load(CONF.parent / "verifier/llm_judge.yaml"))
    given = {k: v for k, v in given.items() if k not in ("_target_", "max_unscored")}
    with serving(lambda request: verdict(score=9)) as server:
        served = given | {"server": server.url, "model": "judge", "cache": None}
        [there] = judge(llm_judge, [("7", "9")], **served)
    [here] = judge(llm_judge_local, [("7", "9")], **settings_of("llm_judge_local", grader))
    assert here == there


def test_both_orders_are_asked_and_averaged(tmp_path):
    # Says that the answer shown last is better where it ends with g, and else the first one.
    script = {"g": says(winner="B"), "b": says(winner="A"), "x": "neither"}
    folder = scripted_judge(tmp_path, script)
    prompt = make_prompt(0, "7")
    rows = [make_completion(prompt, text, i) for i, text in enumerate(["1g", "2b", "3g", "4x"])]
    settings = settings_of("llm_judge_pairwise_local", folder)
    labels = llm_judge_pairwise_local([prompt], [rows], **settings)
    assert [label.score for label in labels[:3]] == [0.75, 0.0, 0.75]
    assert (labels[3].verdict, labels[3].score) == ("malformed", None)
    assert "2 of 3 comparisons, orders disagreed in 1" in labels[0].detail


def test_what_was_read_is_kept_by_weights_and_words(judge, grader, tmp_path, monkeypatch):
    asked = []

    def heard(model, conversations, **more):
        asked.extend(conversations)
        return answers(model, conversations, **more)

    answers = chat.answers
    monkeypatch.setattr("align_cli.verifier.local_model.answers", heard)
    settings = settings_of("llm_judge_local", grader, cache=str(tmp_path / "kept"))
    rows = [("7", "9"), ("7", "x")]
    first = judge(llm_judge_local, rows, **settings)
    asked.clear()
    assert judge(llm_judge_local, rows, **settings) == first
    assert {turns[-1].content[-1] for turns in asked} == {"x"}, "what could not be read is asked"
    moved = scripted_judge(tmp_path / "other", SCRIPT | {"9": says(score=2)})
    [other] = judge(llm_judge_local, rows[:1], **settings | {"path": str(moved)})
    assert (first[0].score, other.score) == (9.0, 2.0)


def test_a_path_that_is_none_is_said_before_anything_is_drawn(tmp_path):
    with pytest.raises(ConfigError, match=r"verifier\.path"):
        llm_judge_local([], [], **settings_of("llm_judge_local", tmp_path / "nowhere"))


@pytest.mark.e2e
def test_a_run_is_judged_by_a_model_that_is_read_once(grader, tmp_path, monkeypatch):
    read: list[Path] = []
    load = LanguageModel.load

    def counted(folder, *, device):
        read.append(Path(folder))
        return load(folder, device=device)

    monkeypatch.setattr(LanguageModel, "load", counted)
    chat._loaded.cache_clear()
    result = run_small(
        tmp_path, "name=run", "schedule.rounds=1", "task.prompts_per_round=12",
        "task.heldout_prompts=4", "evaluation.samples=1", "pairing=best_worst",
        "verifier=llm_judge_local", f"verifier.path={grader}", f"verifier.cache={tmp_path}/kept",
        "verifier.max_tokens=4", "evaluation.verifier=exact", "verifier.max_unscored=0.5",
    )  # fmt: skip
    assert read.count(grader.resolve()) == 1
    lines = map(json.loads, (Path(result.folder) / "metrics.jsonl").read_text().splitlines())
    [labels] = [e["metrics"] for e in lines if (e["round"], e["stage"]) == (0, "3_labels")]
    assert labels["label/judged"] > 30
    assert 1 < labels["label/mean_score"] < 9

"""Right, wrong, and unscored with a reason: what no verifier may turn into a score."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from judge_server import says, serving, shown, verdict
from omegaconf import OmegaConf
from sampler_settings import CONF
from verifier_rows import make_completion, make_prompt

from align_cli.config.catalogue import choices
from align_cli.config.presets import target_of
from align_cli.errors import Unscored
from align_cli.loop.judging import judge
from align_cli.loop.labelling import check_unscored
from align_cli.rows import Judged

MARK = "#### 7"
FAILURES = {
    "exact": [("no_gold", None, "#7"), ("unreadable_gold", " ", "#7")],
    "math": [
        ("no_gold", None, MARK),
        ("unreadable_gold", "1/0", MARK),
        ("timeout", "7", "#### 9^{9^{9^{9}}}"),
    ],
    "regex": [
        ("no_gold", None, MARK),
        ("unreadable_gold", "seven", MARK),
        ("timeout", "7", "a" * 60 + "b"),
    ],
    "python": [("timeout", "7", "hang"), ("error", "7", "die"), ("error", "7", "raise"),
               ("refused", "7", "decline")],
    "code": [
        ("no_gold", None, "x = 1"),
        ("unreadable_gold", "assert x ==", "x = 1"),
        ("timeout", "assert x", "while True: pass"),
        ("error", "assert x", "import os\nos._exit(3)"),
    ],
    "llm_judge": [("refused", "7", "decline"), ("malformed", "7", "chat"), ("error", "7", "long")],
    "llm_judge_pairwise": [("refused", "7", "decline"), ("malformed", "7", "chat"),
                           ("error", "7", "long")],
}  # fmt: skip
"""{choice: (what becomes of it, gold, answer)}"""
ELSEWHERE = {"reward_model", "reward_ensemble", "reward_constrained", "reward_hypervolume",
             "reward_by_prompt", "preference_model", "win_rate", "true_reward", "progress",
             "llm_judge_local", "llm_judge_pairwise_local", "evolving_rubric"}  # fmt: skip
"""Modules whose verifiers run no foreign code and ask nobody but as llm_judge does: they have tests
of their own."""
SETTINGS = {
    "math": {"timeout_seconds": 4.0},
    "regex": {"timeout_seconds": 1.0, "pattern": r"(a|aa)+$|#### (\w+)"},
    "python": {"timeout_seconds": 1.0, "function_target": "user_judges.judged_by_words"},
    "code": {"cpu_seconds": 1},
    "llm_judge": {"model": "judge", "cache": None, "retries": 0},
    "llm_judge_pairwise": {"model": "judge", "cache": None, "retries": 0},
}


def say(request):
    text = shown(request)
    if "decline" in text:
        return says(None, refusal="no")
    if "long" in text:
        return 413, {}, {}
    return says("Well, well.") if "chat" in text else verdict(score=5, winner="tie")


@contextmanager
def verifier(choice: str) -> Iterator[SimpleNamespace]:
    """The choice as a run binds it, servers running."""
    from align_cli.config.build import bind

    node = OmegaConf.to_container(OmegaConf.load(CONF.parent / f"verifier/{choice}.yaml"))
    with serving(say) as server:
        node |= SETTINGS.get(choice, {})
        node |= {"server": server.url} if "server" in node else {}
        binding = bind(node, group="verifier", choice=choice, plugins=["user_judges"])
        part = binding.load()

        class Part(SimpleNamespace):
            def __call__(self, **offer):
                return part(**offer)

        yield Part(unit=binding.unit, loop_settings=binding.loop_settings, target=choice)


@pytest.mark.parametrize("choice", FAILURES)
def test_a_failure_is_unscored_with_its_reason_and_stops_the_run(choice, monkeypatch, children):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    rows, prompts = [], {}
    for number, (_, gold, text) in enumerate(FAILURES[choice]):
        prompt = make_prompt(number, gold)
        prompts[prompt.id] = prompt
        rows += [make_completion(prompt, text), make_completion(prompt, f"{text} too", 1)]
    if choice != "llm_judge_pairwise":
        rows = rows[::2]
    with verifier(choice) as part:
        labels = judge(part, None, rows, prompts, None)
        first = [label for label in labels if label.index == 0]
        assert [label.verdict for label in first] == [each[0] for each in FAILURES[choice]]
        for label in first:
            assert (label.score, label.right) == (None, None)
            assert label.detail or label.verdict == "no_gold"
        judged = [Judged(completion=r, label=label) for r, label in zip(rows, labels, strict=True)]
        with pytest.raises(Unscored, match=r"round 3.*100.0%") as stopped:
            check_unscored(part, judged, "round 3")
    assert all(f"{reason} " in str(stopped.value) for reason, _, _ in FAILURES[choice])
    assert not children(os.getpid())


def test_every_verifier_of_the_catalogue_is_among_them():
    targets = {choice.name: str(target_of(choice.file)) for choice in choices("verifier")}
    tested = {targets[name] for name in FAILURES}
    rest = {t for t in targets.values() if t not in tested and t.split(".")[2] not in ELSEWHERE}
    assert rest == set()

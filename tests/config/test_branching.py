"""`from=RUN@ROUND` in words: what it stands for, and what it refuses."""

import json
import re
from pathlib import Path

import pytest

from align_cli.config.compose import compose, jobs
from align_cli.config.grid import compose_each
from align_cli.config.reopened import reopen
from align_cli.errors import ConfigError

WORDS = ("tracker=none", "loss.beta=0.4", "sampler.n=2", "schedule.rounds=3")


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a run of which two of three rounds are finished."""
    monkeypatch.chdir(tmp_path)
    return made("seed=0", rounds=2)


def made(*words: str, rounds: int) -> str:
    config = compose([*WORDS, *words])
    folder = Path(config.outputs) / config.run_name()
    for number in range(rounds):
        (folder / f"round_{number:02d}").mkdir(parents=True)
        (folder / f"round_{number:02d}" / "6_scores.json").write_text("{}")
    (folder / "config.yaml").write_text(config.as_yaml())
    (folder / ".identity.json").write_text(json.dumps(config.identity(), default=list))
    return config.run_name()


def test_a_branch_has_its_run_s_settings_and_says_where_it_comes_from(parent: str) -> None:
    config = compose([f"from={parent}@2", "loss=ipo", "sampler.n=4"])
    assert config.bindings["sampler"].settings["n"] == 4
    assert config.bindings["schedule"].settings["rounds"] == 3
    assert config.choices["loss"] == "ipo"
    assert config.choices["tracker"] == "none"
    # A group that is chosen anew keeps nothing of the run's.
    assert config.identity()["loss.beta"] == compose(["loss=ipo"]).identity()["loss.beta"]
    assert config.branch is not None
    assert (config.branch.run, config.branch.round) == (parent, 2)
    plain = compose(["tracker=none", "loss=ipo", "sampler.n=4", "schedule.rounds=3"])
    assert config.run_name() != plain.run_name()
    Path("again.yaml").write_text(config.as_yaml())
    assert reopen(Path("again.yaml")) == config
    assert f"run: {parent}" in config.as_yaml()


def test_a_branch_may_be_an_axis(parent: str) -> None:
    found = jobs(["-m", f"from={parent}@1,{parent}@2", "loss.beta=0.1,0.2"])
    branches = [job.config.branch for job in found]
    assert [each.round for each in branches if each is not None] == [1, 1, 2, 2]
    assert len({job.config.run_name() for job in found}) == 4
    cells = [[f"from={parent}@1", "seed=0"], [f"from={parent}@2", "loss=ipo", "seed=0"]]
    one, other = compose_each(cells)
    assert one == compose(cells[0])
    assert other == compose(cells[1])


def test_seeds_of_a_branch_come_from_the_runs_of_those_seeds(parent: str) -> None:
    words = [f"from={parent}@2", "loss=ipo", "seed=1"]
    with pytest.raises(ConfigError, match="has its settings with seed 1"):
        compose(words)
    sibling = made("seed=1", rounds=2)
    branch = compose(words).branch
    assert branch is not None
    assert branch.run == sibling
    first = compose(words[:2])
    assert first.identity()["branch.from"] == compose(words).identity()["branch.from"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["from=gone@2"], "no run 'gone' in outputs"),
        (["from=RUN"], "wanted from=RUN@ROUND"),
        (["from=RUN@0"], "no round lies before round 0"),
        (["from=RUN@3", "schedule.rounds=5"], "2 finished rounds, wanted 3"),
        (["from=RUN@2", "schedule.rounds=2"], "leaves no round to make"),
        (["from=RUN@2", "task.prompts_per_round=9"], r"task\.prompts_per_round was 768"),
        (["from=RUN@2", "evaluation.samples=9"], r"evaluation\.samples was \d+ .* would be 9"),
        (["from=RUN@2", "policy=scratch"], r"policy\.\S+ was"),
        (["from=RUN@2", "experiment=smoke"], "write out what should differ"),
        (["from=RUN@2", "outputs=other"], "no run 'RUN' in other"),
        (["from=./outputs/RUN@2", "outputs=other"], "leave `outputs` out"),
        (["from=RUN@1", "from=RUN@2"], "wanted one of them"),
        (["branch=RUN@1"], "branch: no such key"),
        (["+branch={run: RUN, round: 1, settings: x}"], "no such key"),
    ],
    ids=str,
)
def test_a_branch_that_would_lie_is_refused(parent: str, words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=re.sub("RUN'", f"{parent}'", said)):
        compose([word.replace("RUN", parent) for word in words])


def test_a_run_without_a_branch_is_named_as_ever() -> None:
    config = compose(["tracker=none"])
    assert "branch.from" not in config.identity()
    assert "branch" not in config.as_yaml()

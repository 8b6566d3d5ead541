"""Cells composed together are what each is by itself."""

import pytest

from align_cli.config.compose import compose
from align_cli.config.grid import compose_each, key_of, read_yaml, yaml_text
from align_cli.config.schema import RunConfig
from align_cli.errors import ConfigError

CELLS = [
    [],
    ["seed=1"],
    [],
    ["sampler=pace", "sampler.explore=3", "seed=2"],
    ["sampler=pace", "sampler.explore=3", "seed=3"],
    ["loss=ipo", "loss.beta=0.5"],
    ["loss=ipo"],
    ["experiment=smoke", "noise=flip", "noise.false_positive=0.2", "seed=0"],
    ["tracker.group=mine", "plugins=[]", "threads=2"],
]


def test_it_is_what_each_composes_to_alone() -> None:
    found = compose_each(CELLS)
    for words, config in zip(CELLS, found, strict=True):
        assert isinstance(config, RunConfig), config
        alone = compose(words)
        assert config.as_yaml() == alone.as_yaml()
        assert config.identity() == alone.identity()
        assert config.run_name() == alone.run_name()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["loss.bta=1"], "did you mean 'beta'"),
        (["+loss.bta=1"], "did you mean 'beta'"),
        (["lss=dpo"], "did you mean 'loss'"),
        (["loss=dppo"], "did you mean 'dpo'"),
        (["loss.beta=0.1", "loss.beta=0.2"], "wanted one of them"),
        (["loss.beta=0.1,0.2"], "one value"),
        (["hydra.job.chdir=true"], "one value"),
        (["loss.beta=0"], "loss.beta"),
        (["seed=x"], "seed"),
        (["seed=1", "seed=2"], "wanted one of them"),
    ],
    ids=str,
)
def test_one_that_does_not_compose_leaves_the_others(words: list[str], said: str) -> None:
    before, refused, after = compose_each([["seed=1"], words, ["seed=2"]])
    assert isinstance(refused, ConfigError)
    assert said in str(refused)
    assert isinstance(before, RunConfig)
    assert isinstance(after, RunConfig)
    assert (before.seed, after.seed) == (1, 2)


def test_yaml_there_and_back(tmp_path) -> None:
    values = {"a": [1, 0.05, "x y", None, True], "b": {"loss.beta": {"1.0e-05": ["loss=dpo"]}}}
    (tmp_path / "it.yaml").write_text(yaml_text(values))
    assert read_yaml(tmp_path / "it.yaml") == values
    (tmp_path / "it.yaml").write_text("rate: 5e-7\n")
    assert read_yaml(tmp_path / "it.yaml") == {"rate": 5e-7}
    (tmp_path / "it.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="KEY: VALUE"):
        read_yaml(tmp_path / "it.yaml")


def test_the_key_of_a_word() -> None:
    assert key_of("loss.beta=0.1") == "loss.beta"
    assert key_of("++loss.beta=0.1") == "loss.beta"

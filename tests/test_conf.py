"""Every yaml in conf/ composes, binds, says what it is for, and has no dead setting."""

import ast
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from small_runs import TOYS

from align_cli.config.catalogue import choices
from align_cli.config.compose import compose, compose_reward, compose_sft, jobs
from align_cli.config.fit import supplying
from align_cli.config.folders import conf_dir
from align_cli.config.offers import OFFERS
from align_cli.config.roots import RunRoot, groups_of
from align_cli.config.signature import signature_of
from align_cli.config.source import read_module

CONF = conf_dir()
YAMLS = sorted(CONF.rglob("*.yaml"))
TARGETS = sorted(
    set(re.findall(r"^\s*_target_: (\S+)", "\n".join(f.read_text() for f in YAMLS), re.MULTILINE))
)


def test_there_is_something_to_test() -> None:
    assert len(YAMLS) > 20
    assert len(TARGETS) > 10


@pytest.mark.parametrize("file", YAMLS, ids=lambda file: str(file.relative_to(CONF)))
def test_a_yaml_says_first_what_it_is_for(file: Path) -> None:
    first, second = file.read_text(encoding="utf-8").splitlines()[:2]
    line = second if first.startswith("# @package") else first
    assert line.startswith("# ")
    assert len(line) > 10


@pytest.mark.parametrize("file", YAMLS, ids=lambda file: str(file.relative_to(CONF)))
def test_a_yaml_composes_and_binds(file: Path) -> None:
    place = file.relative_to(CONF).with_suffix("")
    if len(place.parts) == 1:
        assert jobs(_path([]) if place.name == "train_rm" else [], place.name)
        return
    group, choice = place.parts[0], "/".join(place.parts[1:])
    words = [f"{group}={choice}", *_given(group, file), *_fitting(group, choice)]
    if group in ("demonstration", "recipe"):
        assert compose_sft(words).bindings
    elif group in ("preference", "objective"):
        assert compose_reward([*words, *_path(words)]).bindings
    else:
        config = compose(words)
        assert group == "experiment" or config.choices[group] == choice


def _fitting(group: str, choice: str) -> list[str]:
    """What a choice needs beside it: a loss on groups, a sampler of steps, another examiner."""
    if (group, choice) == ("verifier", "progress"):
        return ["evaluation.verifier=exact", "sampler=forced_stop"]
    if group == "verifier":  # Those that judge siblings against each other examine no policy.
        return ["evaluation.verifier=exact"]
    if (group, choice) == ("pairing", "sibling_steps"):
        return ["sampler=tree"]
    if group == "pairing" and choice in supplying("groups", [CONF]):
        return [*TOYS, "loss=squares"]
    return []


def _path(words: list[str]) -> list[str]:
    """Where the pairs of a reward model are: every source of them leaves that to the user."""
    return [] if any("preference.path=" in word for word in words) else ["preference.path=given"]


def _given(group: str, file: Path) -> list[str]:
    """Values for what a yaml leaves to the user as `???`."""
    # Unresolved: a recipe copies values of other groups, which are not in its own file.
    node = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    inside = f"{group}." if group in OFFERS else ""
    words = []
    for key in sorted(_left_open(node)):
        function = key.endswith("_target")
        words += ["plugins=[toy_verifiers]"] if function else []
        value = {"paths": "[given]", "thresholds": "[0.5]"}.get(key, "given")
        words.append(f"{inside}{key}={'toy_verifiers.brief' if function else value}")
    return words


def _left_open(node: object, prefix: str = "") -> list[str]:
    if isinstance(node, dict):
        return [key for name, each in node.items() for key in _left_open(each, f"{prefix}.{name}")]
    return [prefix[1:]] if node == "???" else []


@pytest.mark.parametrize("group", ["sampler", "noise", "pairing", "filter", "loss"])
def test_every_choice_says_where_it_comes_from(group: str) -> None:
    """`own design` is a source too; what could not be confirmed says reconstruction."""
    for choice in choices(group):
        assert choice.source, choice.name
        assert choice.line.endswith(f"({choice.source})")


def test_every_group_of_a_run_has_a_choice() -> None:
    for group in groups_of(RunRoot):
        assert choices(group), group


def test_the_root_is_one_screen_and_explains_every_key() -> None:
    lines = (CONF / "config.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 40
    for line in lines:
        if line.strip() and line.strip() != "defaults:":
            assert "#" in line, line


@pytest.mark.parametrize("target", TARGETS)
def test_no_setting_is_dead(target: str) -> None:
    """Every keyword-only parameter is read somewhere in the function's body."""
    module_name, _, name = target.rpartition(".")
    module = read_module(module_name)
    assert module is not None
    function = module.function(name)
    assert function is not None, f"{target} is not a plain function"
    read = {
        node.id
        for statement in function.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    assert {each.arg for each in function.args.kwonlyargs} <= read


@pytest.mark.parametrize("target", TARGETS)
def test_the_source_and_the_function_agree(target: str) -> None:
    """What was read from source is what an import would say: same data, same settings."""
    import importlib
    import inspect

    module_name, _, name = target.rpartition(".")
    parameters = inspect.signature(
        getattr(importlib.import_module(module_name), name)
    ).parameters.values()
    signature = signature_of(target)
    assert list(signature.needs) == [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    assert list(signature.settings) == [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    assert signature.docstring == (
        inspect.getdoc(getattr(importlib.import_module(module_name), name)) or ""
    )


@pytest.mark.parametrize("target", TARGETS)
def test_numbers_have_a_range(target: str) -> None:
    def bare(kind) -> bool:  # type: ignore[no-untyped-def]
        return (kind.name in ("int", "float") and not kind.ranges) or any(map(bare, kind.parts))

    unlimited = [
        name for name, setting in signature_of(target).settings.items() if bare(setting.kind)
    ]
    # Scores are in the verifier's own unit, of either sign.
    scores = {"wrong_score", "unmarked_score", "right_score", "threshold"}
    assert set(unlimited) <= scores, unlimited

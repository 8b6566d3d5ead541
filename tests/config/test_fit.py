"""What a pairing rule supplies is what the loss trains on, or it is said before anything runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from align_cli.cli.app import app
from align_cli.config import catalogue
from align_cli.config.catalogue import choices, explain
from align_cli.config.compose import compose, jobs
from align_cli.config.fit import supplying
from align_cli.config.presets import preset, target_of
from align_cli.config.reopened import reopen
from align_cli.errors import ConfigError

PARTS = '''
"""Losses on groups, and rules that supply them; never imported."""
from align_cli.training_rows import Group, Pair
raise ImportError("a configuration is checked without importing components")
def kto(groups, ref_groups, group_labels, mismatch_logratio_G, *, beta: float): "Toy KTO."
def both(pairs, group_labels): "Asks for pairs and for groups."
def neither(): "Asks for nothing."
def all_of_them(siblings, *, keep_tied: bool) -> list[Group]: "Toy groups."
def says_why(siblings) -> "list[align_cli.training_rows.Group] | str": "Toy groups, or why not."
def silent(siblings): "Does not say what it supplies."
'''
SETS = "defaults:\n  - override /pairing@_global_.pairing: {}\n  - _self_\n"
YAMLS = {
    "loss/kto": SETS.format("all") + "_target_: grouped.kto\nbeta: 0.1",
    "loss/kto_plain": "_target_: grouped.kto\nbeta: 0.1",
    "loss/both": "_target_: grouped.both",
    "loss/neither": "_target_: grouped.neither",
    "pairing/all": "_target_: grouped.all_of_them\nkeep_tied: false",
    "pairing/ties": "defaults:\n  - all\n  - _self_\nkeep_tied: true",
    "pairing/why": "_target_: grouped.says_why",
    "pairing/silent": "_target_: grouped.silent",
}
GROUPS = ["plugins=[toyparts,grouped]"]


@pytest.fixture
def groups(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy world with losses on groups; returns its conf/."""
    (world / "grouped.py").write_text(PARTS)
    for place, text in YAMLS.items():
        write(world, place, text)
    monkeypatch.setattr(catalogue, "conf_dir", lambda: world / "conf")
    return world / "conf"


def write(world: Path, place: str, text: str) -> Path:
    file = world / "conf" / f"{place}.yaml"
    file.write_text(f"# Toy.\n{text}\n")
    return file


def chosen(*words: str) -> str:
    return str(compose([*GROUPS, *words]).choices["pairing"])


def refused(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        jobs([*GROUPS, *words])
    return str(caught.value)


def test_a_loss_sets_its_pairing_and_the_user_has_the_last_word(groups: Path) -> None:
    assert chosen() == "toy"
    assert chosen("loss=kto") == "all"
    assert chosen("loss=kto", "pairing=ties") == chosen("pairing=ties", "loss=kto") == "ties"
    assert compose([*GROUPS, "loss=kto", "pairing.keep_tied=true"]).identity()["pairing.keep_tied"]
    swept = jobs([*GROUPS, "-m", "loss=dpo,kto"])
    assert [job.config.choices["pairing"] for job in swept] == ["toy", "all"]


def test_an_experiment_may_choose_both(groups: Path) -> None:
    for name, more in (("by_loss", ""), ("itself", "  - override /pairing: why\n")):
        text = f"# @package _global_\n# E.\ndefaults:\n{more}  - override /loss: kto\n"
        (groups / "experiment" / f"{name}.yaml").write_text(text)
    assert chosen("experiment=by_loss") == "all"
    assert chosen("experiment=itself") == "why"
    assert chosen("experiment=itself", "pairing=ties") == "ties"


def test_the_other_unit_is_refused_and_what_fits_is_listed(groups: Path) -> None:
    said = refused("loss=kto", "pairing=toy")
    assert "loss=kto trains on groups" in said
    assert "mismatch_logratio_G" in said
    assert "pairing=toy supplies pairs" in said
    assert said.endswith("pairing=all, pairing=ties, pairing=why")
    said = refused("pairing=all")
    assert "loss=dpo trains on pairs" in said
    assert said.endswith("supply pairs: pairing=toy")
    assert "pairing=toy supplies pairs" in refused("loss=kto_plain")
    assert "loss=dpo" in refused("-m", "loss=kto,dpo", "pairing=all")


def test_what_does_not_say_its_unit_is_refused(groups: Path) -> None:
    assert "-> list[Group]" in refused("loss=kto", "pairing=silent")
    both = refused("loss=both")
    assert "pairs (pairs)" in both
    assert "group_labels (groups)" in both
    assert "no data" in refused("loss=neither")


def test_units_are_read_through_strings_unions_and_bases(groups: Path) -> None:
    assert supplying("groups", [groups]) == ["all", "ties", "why"]
    assert supplying("pairs", [groups]) == ["toy"]
    assert target_of(groups / "pairing" / "ties.yaml") == "grouped.all_of_them"


@pytest.mark.parametrize(
    "entry",
    [
        "override /pairing: all",  # lands inside the loss
        "override /sampler@_global_.sampler: toy",
        "override /pairing@_global_.loss: all",
        "/pairing@_global_.pairing: all",
        "override /pairing@_global_.pairing: [all]",
        "optional extra: x",
    ],
)
def test_a_choice_sets_nothing_else(groups: Path, entry: str) -> None:
    text = f"defaults:\n  - {entry}\n  - _self_\n_target_: grouped.kto\nbeta: 0.1"
    file = write(groups.parent, "loss/odd", text)
    with pytest.raises(
        ConfigError, match=r"odd\.yaml.*override /pairing@_global_\.pairing: CHOICE"
    ):
        preset(file)
    with pytest.raises(ConfigError, match="odd"):
        choices("loss")
    refused("loss=odd", "pairing=all")


def test_what_a_choice_sets_is_explained(groups: Path) -> None:
    found = {each.name: each.sets for each in choices("loss")}
    assert found["kto"] == {"pairing": "all"}
    assert found["dpo"] == {}


def test_the_runs_own_config_composes_to_the_run_again(groups: Path, tmp_path: Path) -> None:
    """Also where the user's pairing is not the one that the loss sets."""
    for words in (["loss=kto"], ["loss=kto", "pairing=why"], []):
        config = compose([*GROUPS, *words])
        folder = tmp_path / str(len(words))
        folder.mkdir()
        (folder / "config.yaml").write_text(config.as_yaml())
        assert reopen(folder / "config.yaml") == config
        (folder / "mine.yaml").write_text(config.as_yaml())
        again = compose([], "mine", [folder])
        assert again.identity() == config.identity()
        assert again.choices == config.choices


def test_explain_prints_what_a_choice_sets(groups: Path) -> None:
    done = CliRunner().invoke(app, ["explain", "loss=kto"])
    assert done.exit_code == 0, done.output
    assert "sets pairing=all, unless pairing=... is given" in done.stdout
    assert "sets" not in CliRunner().invoke(app, ["explain", "loss=dpo"]).stdout
    # A whole run overrides what it names.
    assert explain("experiment", "hot").choice.sets == {}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sampler.n=1"], ["sampler.n=1", "needs 2 answers", "first_right_first_wrong"]),
        (["loss=opo", "sampler.n=2", "pairing.least_size=4"], ["sampler.n=2", "needs 4 answers"]),
        (["pairing=sibling_steps"], ["compares steps", "sampler=best_of_n", "sampler=tree"]),
        (["loss=mcts_dpo", "loss.believe=visits"], ["whole answers", "pairing=sibling_steps"]),
        (
            ["sampler=tree", "pairing=sibling_steps", "filter=mc_dropout", "filter.path=x"],
            ["compares whole answers", "choose filter=none"],
        ),
        (["sampler=tree", "sampler.first=20"], ["sampler.first 20 is above sampler.n 16"]),
        (["sampler=adaptive", "sampler.mean_draws=99"], ["mean_draws 99.0 is outside"]),
        (["sampler=mixed", "sampler.others=3"], ["sampler.others 3 is above"]),
        (["sampler=pace", "sampler.hint_text=x"], ["has no {gold}"]),
    ],
    ids=str,
)
def test_draws_that_no_rule_could_pair_are_refused_before_they_are_made(
    words: list[str], told: list[str]
) -> None:
    done = CliRunner().invoke(app, ["check", *words])
    assert done.exit_code == 2
    for each in told:
        assert each in done.output
    fitting = ["pairing=sibling_steps", "sampler=tree", "loss=mcts_dpo", "loss.believe=visits"]
    assert compose(fitting).bindings["pairing"].unit == "pairs"


@pytest.mark.parametrize(
    "words",
    [("sampler.features_of=embedding",), ("sampler.embedding_target=toy_group_loss.squares",)],
)
def test_an_embedding_is_named_exactly_where_it_is_used(words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="named where features_of=embedding, and only there"):
        compose(["sampler=g_optimal", "plugins=[toy_group_loss]", *words])

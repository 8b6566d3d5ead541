"""What is listed and explained comes from the yaml and the source, and from nowhere else."""

from pathlib import Path

import pytest

from align_cli.config import catalogue
from align_cli.config.catalogue import choices, explain, groups, summary, yaml_comments
from align_cli.errors import ConfigError


@pytest.fixture(autouse=True)
def _conf(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "conf_dir", lambda: world / "conf")


def test_groups_come_in_the_order_of_the_data() -> None:
    found = groups()
    assert found[0] == "task"
    assert found.index("sampler") < found.index("pairing") < found.index("loss")
    assert found[-2:] == ["experiment", "recipe"]


def test_a_choice_is_a_yaml_and_its_first_comment() -> None:
    assert [(each.name, each.summary) for each in choices("loss")] == [
        ("dpo", "A toy loss."),
        ("ipo", "A toy loss."),
    ]
    assert choices("experiment")[0].summary.startswith("Asks ")
    with pytest.raises(ConfigError, match="did you mean 'loss'"):
        choices("losss")


def test_an_explanation_has_value_range_unit_and_comment() -> None:
    found = explain("loss", "dpo")
    assert found.docstring.startswith("Toy DPO.")
    assert found.needs == ("pairs", "ref_pairs")
    beta, smoothing = found.settings
    assert (beta.value, beta.kind, beta.limits, beta.unit, beta.comment) == (
        0.1, "float", "> 0", "1/nat", "1/nat"
    )  # fmt: skip
    assert (smoothing.value, smoothing.limits) == (0.0, "[0, 0.5)")
    names = [row.name for row in explain("verifier", "toy").settings]
    assert names == ["leaks", "max_unscored"]
    assert explain("demonstration", "toy").settings[0].value == 3
    with pytest.raises(ConfigError, match="did you mean 'dpo'"):
        explain("loss", "dop")


def test_an_experiment_is_explained_by_its_own_text() -> None:
    assert "tau: 0.9" in explain("experiment", "hot").docstring


def test_the_users_folder_is_listed_too(world: Path) -> None:
    (world / "mine" / "loss").mkdir(parents=True)
    (world / "mine" / "loss" / "own.yaml").write_text("# My own.\nbeta: 1\n")
    found = {each.name: each.summary for each in choices("loss", [world / "mine"])}
    assert found["own"] == "My own."


@pytest.mark.parametrize(
    ("line", "comment"),
    [
        ("a: 1  # x", "x"),
        ("a: 'b # c'  # x", "x"),
        ('a: "b # \\" c"  # x', "x"),
        ("a: [1, 2]  # x # y", "x # y"),
        ("a: 1", None),
        ("a: 'b # c'", None),
        ("a:  # x", "x"),
        ("  a: 1  # nested", None),
    ],
)
def test_comments_are_read_past_quotes(tmp_path: Path, line: str, comment: str | None) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"# Summary.\n{line}\n")
    assert yaml_comments(file).get("a") == comment
    assert summary(file) == "Summary."


def test_a_preset_inherits_the_comments_of_its_base(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("# Base.\na: 1  # of base\nb: 2  # of base\n")
    (tmp_path / "preset.yaml").write_text("# P.\ndefaults:\n  - base\n  - _self_\na: 3  # own\n")
    assert yaml_comments(tmp_path / "preset.yaml") == {"a": "own", "b": "of base"}

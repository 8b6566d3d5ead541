from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from align_cli.config.compose import composed_node
from align_cli.errors import ConfigError
from align_cli.schedule.plan import plan

CONF = Path(__file__).parents[2] / "conf" / "schedule"


def settings(name: str = "iterative", **changed: Any) -> dict[str, Any]:
    loaded = composed_node("schedule", name)
    loaded.pop("_target_")
    return loaded | changed


@pytest.mark.parametrize(
    "name",
    sorted(f.stem for f in CONF.glob("*.yaml") if "full_batch" not in f.read_text()),
)
def test_a_preset_is_the_plan_it_spells_out(name: str):
    assert asdict(plan(**settings(name))) == {**settings(name), "full_batch": None}


def test_offline_differs_from_iterative_in_whose_answers_and_which_reference():
    iterative, offline = settings("iterative"), settings("offline")
    differing = {key for key in iterative if iterative[key] != offline[key]}
    assert differing == {"draw_from", "reference"}
    assert (offline["draw_from"], offline["reference"]) == ("initial", "initial")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("ema", {"reference": "ema", "ema_decay": 0.5}),
        ("every_m", {"reference": "every_m", "reference_every": 2}),
    ],
)
def test_a_moving_reference_is_all_that_its_preset_changes(name: str, changed: dict[str, Any]):
    iterative = settings("iterative")
    found = {key: value for key, value in settings(name).items() if value != iterative[key]}
    assert found == changed


OWNED = [
    ("ema_decay", 0.9, {"reference": "ema"}),
    ("reference_every", 2, {"reference": "every_m"}),
    ("replay_rounds", 3, {"replay": "last_k"}),
]


@pytest.mark.parametrize(("name", "value", "owner"), OWNED)
def test_a_setting_of_one_choice_goes_with_it(name: str, value: float, owner: dict[str, str]):
    made = plan(**settings(**{name: value}, **owner))
    assert getattr(made, name) == value


@pytest.mark.parametrize(("name", "value", "owner"), OWNED)
def test_a_setting_nobody_reads_is_refused(name: str, value: float, owner: dict[str, str]):
    with pytest.raises(ConfigError, match=f"schedule.{name} is {value}, but only"):
        plan(**settings(**{name: value}))


@pytest.mark.parametrize(("name", "value", "owner"), OWNED)
def test_a_choice_without_its_setting_is_refused(name: str, value: float, owner: dict[str, str]):
    with pytest.raises(ConfigError, match=f"needs schedule.{name}, which is null"):
        plan(**settings(**owner))


@pytest.mark.parametrize(
    ("batch", "micro", "whole"), [(16, 4, True), (16, 5, False), (8, 16, False)]
)
def test_a_batch_is_whole_micro_batches(batch: int, micro: int, whole: bool):
    changed = settings(batch_size=batch, micro_batch_size=micro)
    if whole:
        assert plan(**changed).micro_batch_size == micro
    else:
        with pytest.raises(ConfigError, match=f"batch_size {batch} .* {micro}"):
            plan(**changed)

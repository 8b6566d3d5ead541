"""What a study is said to share, to cost and to be able to find, before it runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from align_cli.config.grid import compose_each
from align_cli.study.detectable import detectable_effect
from align_cli.study.estimate import Oracle
from align_cli.study.grid import Cell
from align_cli.study.shape import shape_of
from align_cli.study.works import Work, distinct, draws_per_prompt, works_of


def works(*words: str) -> list[Work]:
    return works_of(cell(*words).config)


def cell(*words: str) -> Cell:
    [config] = compose_each([list(words)])
    assert not isinstance(config, Exception), config
    return Cell(choices={}, seed=0, words=tuple(words), config=config)


def shared(first: list[Work], second: list[Work]) -> set[str]:
    keys = {work.key for work in second}
    return {
        f"{'start' if work.round_number is None else work.round_number}/{work.place}"
        for work in first
        if work.key in keys
    }


START = {"start/5_policy", "start/1_prompts", "start/6_scores"}
ASKED = {f"{number}/1_prompts" for number in range(4)}
DRAWN = {"0/2_completions", "0/3_labels", "0/4_pairs"}


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("loss.beta=0.1", "loss.beta=0.2", START | ASKED | DRAWN | {"0/4_reference"}),
        ("loss=dpo", "loss=sft", START | ASKED | DRAWN),
        ("sampler.n=4", "sampler.n=16", START | ASKED | DRAWN - {"0/4_pairs"}),
        ("sampler.n=2", "sampler.n=3", START | ASKED | DRAWN - {"0/4_pairs"}),
        ("sampler=best_of_n", "sampler=pace", START | ASKED),
        ("noise=none", "noise=flip", START | ASKED | {"0/2_completions"}),
        ("sampler=pace", "sampler=pace noise=flip", START | ASKED),
        ("sampler=adaptive", "sampler=adaptive noise=flip", START | ASKED),
        *(
            (
                f"sampler={one_pass} sampler.n=4",
                f"sampler={one_pass} sampler.n=8 noise=flip",
                START | ASKED | {"0/2_completions"},
            )
            for one_pass in ("mixed", "contrast_modes", "directional")
        ),
        (
            "schedule=offline sampler=mixed schedule.reference=initial",
            "schedule=offline sampler=mixed schedule.reference=previous",
            None,
        ),
        ("pairing=random", "pairing=best_worst", START | ASKED | DRAWN - {"0/4_pairs"}),
        ("seed=0", "seed=1", set()),
        ("policy.dtype=float32", "policy.dtype=bfloat16", {"start/1_prompts", *ASKED}),
        ("evaluation.samples=2", "evaluation.samples=4", None),
        ("schedule.rounds=2", "schedule.rounds=4", None),
    ],
    # The words alone: a set is printed in another order by every process.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_two_runs_share(one: str, other: str, wanted: set[str] | None) -> None:
    first, second = works(*one.split()), works(*other.split())
    found = shared(first, second)
    if one.startswith("evaluation"):
        wanted = {f"{w.round_number}/{w.place}".replace("None", "start") for w in first}
        wanted -= {each for each in wanted if each.endswith("6_scores")}
    if one.startswith("schedule.rounds"):
        wanted = {f"{w.round_number}/{w.place}".replace("None", "start") for w in first}
    if one.startswith("schedule=offline"):
        # From round 1 on, the other author is another policy.
        assert "0/2_completions" in found
        assert "1/1_prompts" in found
        assert "1/2_completions" not in found
        return
    assert found == wanted


def test_offline_runs_draw_alike_whatever_the_loss() -> None:
    offline = ("schedule=offline", "schedule.rounds=3")
    found = shared(works(*offline, "loss=dpo"), works(*offline, "loss=ipo"))
    assert {f"{number}/4_pairs" for number in range(3)} <= found
    assert {f"{number}/4_reference" for number in range(3)} <= found
    assert "0/5_policy" not in found


def test_a_reference_that_moves_is_another_one_from_round_one_on() -> None:
    words = ("schedule.draw_from=initial", "schedule.rounds=3")
    previous, every = (
        works(*words, f"schedule.reference={kind}", *more)
        for kind, more in (("previous", ()), ("every_m", ("schedule.reference_every=2",)))
    )
    assert {"0/4_reference", "0/5_policy"} <= shared(previous, every)
    assert "1/4_reference" not in shared(previous, every)


def test_schedules_across_rounds_decide_what_is_trained() -> None:
    words = ("schedule.rounds=3", "schedule.draw_from=initial", "schedule.reference=initial")
    plain = works(*words)
    past = works(*words, "schedule.extrapolation=0.5")
    assert "1/5_policy" in shared(plain, past)
    assert "2/5_policy" not in shared(plain, past)
    anew = works(*words, "schedule.train_from=initial")
    assert "0/5_policy" in shared(plain, anew)
    assert "1/5_policy" not in shared(plain, anew)


@pytest.mark.parametrize(
    ("words", "most"),
    [
        ("sampler=adaptive sampler.n=6", 6),
        ("sampler=rejection sampler.mean_draws=2.5", 2.5),
        ("sampler=pace", 3),
        ("sampler=self_correct sampler.steps=4", 5),
        ("sampler=mixed", 2),
    ],
)
def test_the_most_draws_a_prompt_can_get(words: str, most: float) -> None:
    assert draws_per_prompt(cell(*words.split()).config) == most


def test_units_are_draws_and_pairs() -> None:
    wide = works("sampler.n=8")
    by_place = {(w.round_number, w.place): w.units for w in wide}
    drawn = [w for w in wide if (w.round_number, w.place) == (0, "2_completions")]
    assert [w.units for w in drawn] == [768 * 2, 768 * 2, 768 * 4]
    assert sum(w.share for w in drawn) == 1
    assert by_place[0, "5_policy"] == 768 * 2
    assert by_place[0, "6_scores"] == 400 * 5
    replayed = {(w.round_number, w.place): w.units for w in works("schedule.replay=all")}
    assert replayed[2, "5_policy"] == 768 * 2 * 3
    assert len(distinct(works())) == len(works())


def test_the_shape_is_what_torch_would_say() -> None:
    from transformers import AutoConfig

    from align_cli.model.flops import forward_flops
    from align_cli.study import shape

    folder = Path(shape.__file__).resolve().parent.parent / "policy" / "tiny"
    found = shape_of("package:tiny")
    assert found is not None
    config = AutoConfig.from_pretrained(folder)
    for tokens, context in ((1, 1.0), (50, 25.5)):
        assert found.flops(tokens, context) == forward_flops(config, tokens, context)
    assert shape_of("Qwen/Qwen2.5-0.5B-Instruct") is None


def a_run(outputs: Path, measured: Cell, rounds: int, tokens: float) -> None:
    """A finished run in which round k generates `tokens` x (k + 1) tokens."""
    folder = outputs / measured.run
    folder.mkdir(parents=True)
    (folder / ".identity.json").write_text(json.dumps(measured.config.identity(), default=list))

    def line(number: int | None, stage: str, **metrics: float) -> str:
        entry: dict[str, Any] = {"round": number, "stage": stage, "step": None, "metrics": metrics}
        return json.dumps(entry) + "\n"

    def cost(generated: float) -> dict[str, float]:
        return {"cost/generated_tokens": generated, "cost/forward_flops": 2 * generated,
                "cost/backward_flops": 0.0, "cost/wall_seconds": generated / 1000}  # fmt: skip

    lines = [line(None, place, **cost(0)) for place in ("5_policy", "1_prompts")]
    lines.append(line(None, "6_scores", **cost(100)))
    for number in range(rounds):
        for place in ("1_prompts", "3_labels", "4_pairs", "4_reference", "5_policy"):
            lines.append(line(number, place, **cost(0)))
        draws = {
            "sample/draws_per_prompt": float(measured.config.bindings["sampler"].settings["n"])
        }
        lines.append(line(number, "2_completions", **cost(tokens * (number + 1)), **draws))
        lines.append(line(number, "6_scores", **cost(100)))
    ended = {"time/run_seconds": 9.0, "time/outside_stages_seconds": 1.0, "time/setup_seconds": 2.0}
    (folder / "metrics.jsonl").write_text("".join([*lines, line(None, "run", **ended)]))


def test_an_estimate_is_the_measured_twin_or_scaled_from_a_relative(tmp_path: Path) -> None:
    a_run(tmp_path, cell("schedule.rounds=2", "seed=5"), 2, tokens=1000)
    oracle = Oracle(tmp_path)
    twin = cell("schedule.rounds=2", "seed=0")
    assert oracle.source(twin) == "a measured run of the same settings"
    total = oracle.of(twin, works_of(twin.config)) + oracle.start(twin)
    assert (total.tokens, total.flops) == (3300, 6600)
    assert total.seconds == pytest.approx(3.3 + 3.0)
    doubled = cell("schedule.rounds=2", "sampler.n=8", "evaluation.samples=9")
    assert "scaled" in oracle.source(doubled)
    assert oracle.of(doubled, works_of(doubled.config)).tokens == pytest.approx(6000 + 600)
    longer = cell("schedule.rounds=3")
    assert oracle.of(longer, works_of(longer.config)).tokens == pytest.approx(1000 + 2000 * 2 + 400)
    other = cell("sampler.max_new_tokens=32")
    assert "shape" in oracle.source(other)


def test_without_a_measurement_tokens_are_bounded_and_time_is_unknown(tmp_path: Path) -> None:
    oracle = Oracle(tmp_path)
    here = cell("schedule.rounds=1")
    found = oracle.of(here, works_of(here.config))
    assert found.tokens == 64 * (768 * 4 + 2 * 400 * 5)
    assert found.flops is not None
    assert found.flops > 2 * 440_000 * found.tokens
    assert found.seconds is None
    there = cell("policy=hf", "policy.path=Qwen/Qwen2.5-0.5B-Instruct", "schedule.rounds=1")
    assert oracle.of(there, works_of(there.config)).flops is None


def test_the_detectable_effect_is_detected_as_often_as_promised() -> None:
    effect = detectable_effect(1200, accuracy=0.6)
    assert effect == pytest.approx(2.8016 * (2 * 0.24 / 1200) ** 0.5, rel=1e-4)
    stream = np.random.default_rng(0)
    sides = (0.6 - effect / 2, 0.6 + effect / 2)
    one, other = (stream.binomial(1200, share, 20_000) / 1200 for share in sides)
    error = np.sqrt((one * (1 - one) + other * (1 - other)) / 1200)
    assert np.mean((other - one) / error > 1.96) == pytest.approx(0.8, abs=0.01)
    assert detectable_effect(1200, comparisons=10) > detectable_effect(1200)

"""A setting chosen by each method for itself: picked on half of the prompts, judged on the rest."""

from dataclasses import replace

import numpy as np
import pytest
from invented_runs import cell, skilled

from align_cli.errors import AlignError, ConfigError
from align_cli.study.comparison import Wanted, compare
from align_cli.study.gather import baselines_of
from align_cli.study.metrics import metric_named
from align_cli.study.spec import read_study
from align_cli.study.tuning import Tuning, tuned

SPEC = {"against": {"loss": "dpo"}}
TUNING = Tuning(("rate",), lambda among: baselines_of(among, SPEC))


def named(loss, rate, rights_by_seed):
    made = cell(f"loss={loss} rate={rate}", {
        seed: [(0.0, [2] * len(rights)), (100.0, rights)]
        for seed, rights in enumerate(rights_by_seed)
    })  # fmt: skip
    return replace(made, choices={"loss": loss, "rate": rate})


def metric_of(cells):
    return metric_named("sampled_accuracy", list(cells[0].runs[0].last.scores.values()))


def flat(right, items=8, seeds=2):
    return [[right] * items] * seeds


def test_the_best_of_each_method_is_compared_with_the_baselines_best():
    cells = [
        named("dpo", "1", flat(1)), named("dpo", "2", flat(3)), named("dpo", "3", flat(2)),
        named("ipo", "1", flat(4)), named("ipo", "2", flat(1)), named("ipo", "3", flat(4)),
    ]  # fmt: skip
    found = compare(Wanted(question="?", cells=tuple(cells), baselines={}, tuning=TUNING))
    assert [each.name for each in found.cells] == ["loss=dpo rate=2", "loss=ipo rate=1"]
    (claim,) = found.claims
    assert (claim.cell, claim.baseline) == ("loss=ipo rate=1", "loss=dpo rate=2")
    assert claim.effect.value == pytest.approx(0.25)
    assert (found.items, found.items_dropped) == (4, 0)
    assert any("picked for each cell on 4 of 8" in note for note in found.notes)
    edges = [note for note in found.notes if "last on its side" in note]
    assert edges == ["loss=ipo rate=1: the best value tried is the last on its side"]


def test_what_picks_does_not_judge():
    """A cell that shines on the picking half alone is picked, and judged by the other half."""
    shines = [[4, 0] * 4] * 2
    cells = [named("dpo", "1", flat(1)), named("dpo", "2", shines)]
    found = tuned(cells, TUNING, metric_of(cells), [str(i) for i in range(8)])
    assert [each.name for each in found.cells] == ["loss=dpo rate=2"]
    assert found.items == ("1", "3", "5", "7")


def test_many_values_do_not_win_by_their_number():
    """One value against the best of twelve equals: the naive maximum wins, the honest one not."""
    naive, honest = [], []
    for trial in range(60):
        stream = np.random.default_rng(trial)
        draw = lambda: skilled(stream, 2, 40, level=0.0, between=0.0)  # noqa: E731, B023
        base = named("dpo", "1", draw())
        many = [named("ipo", str(k), draw()) for k in range(12)]
        metric = metric_of([base])
        items = [str(i) for i in range(40)]

        def mean(one, among, metric=metric):
            return np.mean([[metric.of(r.last.scores[i]) for i in among] for r in one.runs])

        best = max(mean(one, items) for one in many)
        naive.append(best - mean(base, items))
        found = tuned([base, *many], TUNING, metric, items)
        picked = found.cells[1]
        honest.append(mean(picked, found.items) - mean(base, found.items))
        assert found.baselines == {picked.name: base.name}
    error = np.std(honest) / np.sqrt(len(honest))
    assert np.mean(naive) > 0.04
    assert abs(np.mean(honest)) < 3 * error < 0.04


def test_a_cell_without_all_seeds_is_not_picked_and_is_noted():
    cells = [named("dpo", "1", flat(1)), named("dpo", "2", flat(4, seeds=1))]
    found = tuned(cells, TUNING, metric_of(cells), [str(i) for i in range(8)])
    assert [each.name for each in found.cells] == ["loss=dpo rate=1"]
    assert "loss=dpo rate=2: lacks seeds, so it could not be picked" in found.notes


def test_too_few_prompts_are_refused():
    cells = [named("dpo", "1", flat(1, items=3))]
    with pytest.raises(AlignError, match="3 held-out prompts are too few"):
        tuned(cells, TUNING, metric_of(cells), ["0", "1", "2"])


def study(**compare):
    axes = {"loss": ["dpo", "ipo"], "loss.beta": [0.1, 0.3]}
    values = {"question": "Q?", "axes": axes, "seeds": 2, "compare": compare}
    return read_study(values, name="s", where="s.yaml", words=("loss",))


def test_a_study_file_names_the_axes_that_are_tuned():
    found = study(against={"loss": "dpo"}, tune=["loss.beta"])
    assert found.compare.tune == ("loss.beta",)
    assert found.as_values()["compare"]["tune"] == ["loss.beta"]


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        ({"tune": ["loss.bta"]}, r"tune: loss.bta: no such axis.*loss.beta"),
        ({"tune": ["loss"], "against": {"loss": "dpo"}}, "cannot be chosen by each"),
        ({"tune": {"loss": 1}}, "wanted axes"),
    ],
)
def test_what_cannot_be_tuned_is_refused(compare, message):
    with pytest.raises(ConfigError, match=message):
        study(**compare)

"""Claims and ratios on invented runs: what is paired, dropped, corrected, and what cannot be."""

import math

import numpy as np
import pytest
from invented_runs import cell, point, run, score, skilled

from align_cli.errors import AlignError, ConfigError
from align_cli.study.cells import Cell, brief, briefs, cell_of, differences, grouped
from align_cli.study.comparison import Wanted, compare
from align_cli.study.curves import Curve
from align_cli.study.metrics import metric_named
from align_cli.study.ratio import cost_ratio
from align_cli.study.verdict import Rule, final_claim, judged

ITEMS = 60


def study(levels, seeds=(0, 1, 2), cost=100.0, between=0.02, stream=0):
    """Cells by name whose accuracy rises to a level in two rounds."""
    luck = np.random.default_rng(stream)
    made = []
    for name, (level, price) in levels.items():
        steps = [skilled(luck, len(seeds), ITEMS, level=at, between=between)
                 for at in (0.0, level / 2, level)]  # fmt: skip
        curves = {
            seed: [(k * cost * price, steps[k][s]) for k in range(3)]
            for s, seed in enumerate(seeds)
        }
        made.append(cell(name, curves))
    return made


def asked(cells, **more):
    baselines = {c.name: cells[0].name for c in cells[1:]}
    return Wanted(question="?", cells=tuple(cells), baselines=baselines, **more)


def test_a_clear_difference_is_called_and_a_copy_is_not():
    cells = study({"a=base": (1.0, 1), "a=good": (3.0, 1), "a=bad": (-1.5, 1)})
    twin = Cell("a=twin", cells[0].runs)
    found = compare(asked([*cells, twin]))
    verdicts = {claim.cell: claim.verdict for claim in found.claims}
    assert verdicts == {"a=good": "better", "a=bad": "worse", "a=twin": "inconclusive"}
    good = found.claims[0]
    assert (good.comparisons, good.effect.items, good.effect.seeds) == (3, ITEMS, 3)
    assert good.p_corrected >= good.p
    assert good.effect.low > 0
    assert good.mde > 0


def test_effects_are_paired_by_prompt_id_and_not_by_place():
    a, b = study({"a=x": (1.0, 1), "a=y": (1.3, 1)})
    before = compare(asked([a, b])).claims[0].effect
    shuffled = []
    for each in b.runs:
        points = [point_with(p, dict(reversed(p.scores.items()))) for p in each.points]
        shuffled.append(run(each.name, each.seed, points))
    after = compare(asked([a, Cell("a=y", tuple(shuffled))])).claims[0].effect
    assert after.standard_error == pytest.approx(before.standard_error, rel=1e-12)
    assert after.value == pytest.approx(before.value)


def point_with(old, scores):
    from dataclasses import replace

    return replace(old, scores=scores)


def test_common_seeds_are_paired_and_others_are_said():
    [a] = study({"a=x": (1.0, 1)}, seeds=(0, 1, 2))
    [b] = study({"a=y": (1.2, 1)}, seeds=(1, 2, 7), stream=1)
    found = compare(asked([a, b]))
    assert found.claims[0].seeds == (1, 2)
    assert found.claims[0].seeds_dropped == (0, 7)
    assert any("dropped" in note and "0, 7" in note for note in found.notes)


def test_no_common_seed_compares_two_groups_of_seeds():
    [a] = study({"a=x": (1.0, 1)}, seeds=(0, 1, 2))
    [b] = study({"a=y": (1.0, 1)}, seeds=(3, 4, 5), stream=1)
    found = compare(asked([a, b]))
    assert not found.claims[0].paired
    assert found.ratios[0].ratio is None
    assert any("no seed in common" in note for note in found.notes)


def test_one_seed_gives_intervals_over_prompts_and_says_so():
    a, b = study({"a=x": (1.0, 1), "a=y": (3.0, 1)}, seeds=(0,))
    found = compare(asked([a, b]))
    [claim] = found.claims
    assert claim.effect.seed_deviation is None
    assert claim.verdict == "better"
    assert any("seed to seed is unknown" in note for note in found.notes)
    assert (found.ratios[0].low, found.ratios[0].verdict) == (None, "inconclusive")


def test_greedy_answers_of_one_seed_are_tested_exactly():
    right = [4] * 10 + [0] * 50
    more = [4] * 16 + [0] * 44
    a = cell("a=x", {0: [(0.0, [0] * 60), (1.0, right)]})
    b = cell("a=y", {0: [(0.0, [0] * 60), (1.0, more)]})
    [claim] = compare(asked([a, b], metric="greedy_accuracy")).claims
    assert claim.test == "mcnemar"
    # Six discordant items, all one way: 2 / 2^6.
    assert claim.p == pytest.approx(2 / 64)
    assert (claim.discordant[0].only_cell, claim.discordant[0].only_baseline) == (6, 0)
    assert claim.verdict == "better"


def test_items_without_a_judged_answer_are_dropped_in_all_runs_and_counted():
    a, b = study({"a=x": (1.0, 1), "a=y": (1.0, 1)}, seeds=(0, 1))
    last = b.runs[0].last
    scores = {**last.scores, "3": score("3", 0, unscored=4)}
    hurt = run("hurt", 0, [*b.runs[0].points[:-1], point_with(last, scores)])
    first = point_with(hurt.points[0], {**hurt.points[0].scores, "4": score("4", 0, unscored=4)})
    hurt = run("hurt", 0, [first, *hurt.points[1:]])
    found = compare(asked([a, Cell("a=y", (hurt, b.runs[1]))]))
    assert (found.items, found.items_dropped) == (ITEMS - 2, 2)
    assert found.claims[0].effect.items == ITEMS - 2


def test_a_metric_of_a_stratum_uses_its_prompts_alone():
    found = compare(asked(study({"a=x": (1.0, 1), "a=y": (2.0, 1)}),
                          metric="eval/sampled_accuracy/3 steps"))  # fmt: skip
    assert (found.items, found.items_dropped) == (ITEMS // 2, 0)


def test_metrics_by_item_are_those_that_a_run_reports():
    from align_cli.evaluation.summary import summary

    rows = [score(str(i), i % 5, greedy=i % 3 == 0) for i in range(20)]
    reported = summary(rows)
    for name in ("greedy_accuracy", "sampled_accuracy", "pass_at_2", "sampled_accuracy/3 steps"):
        metric = metric_named(name, rows)
        values = [metric.of(row) for row in rows if metric.stratum in (None, row.stratum)]
        assert np.mean(values) == pytest.approx(reported[f"eval/{name}"])


def test_an_unknown_metric_lists_what_there_is():
    with pytest.raises(ConfigError, match="did you mean 'sampled_accuracy'"):
        metric_named("sampled_acuracy", [score("1", 2)])
    with pytest.raises(ConfigError, match="pass_at_4"):
        metric_named("pass_at_8", [score("1", 2)])


# Curves


def line(costs, means):
    return Curve(np.array(costs, float), np.array([[m, m] for m in means], float))


def test_a_curve_is_straight_between_rounds_and_ends_where_it_ends():
    curve = line([0, 100, 300], [0.5, 0.7, 0.9])
    assert curve.at(200) == pytest.approx([0.8, 0.8])
    assert curve.at(300) == pytest.approx([0.9, 0.9])
    assert curve.cost_of(0.6) == pytest.approx(50)
    assert curve.cost_of(0.9) == pytest.approx(300)
    assert curve.cost_of(0.91) is None
    with pytest.raises(ValueError, match="outside"):
        curve.at(301)


def test_a_curve_that_falls_and_rises_is_read_where_it_first_gets_there():
    assert line([0, 10, 20, 30], [0.5, 0.8, 0.6, 0.9]).cost_of(0.7) == pytest.approx(100 / 15)


def test_rounds_that_cost_nothing_count_by_their_last_policy():
    assert line([0, 0, 10], [0.5, 0.6, 0.8]).at(0) == pytest.approx([0.6, 0.6])


def test_the_same_curve_at_half_the_price_has_a_ratio_of_one_half():
    dear, cheap = study({"a=x": (2.0, 1), "a=y": (2.0, 1)})
    halved = [
        run(r.name, r.seed, [point(p.round, [s.right for s in p.scores.values()],
                                   p.cost["generated_tokens"] / 2) for p in o.points])
        for r, o in zip(cheap.runs, dear.runs, strict=True)
    ]  # fmt: skip
    found = compare(asked([dear, Cell("a=y", tuple(halved))]))
    for ratio in found.ratios:
        assert ratio.ratio == pytest.approx(0.5)
        assert (ratio.reached, len(ratio.at)) == (3, 3)
    equal = [claim for claim in found.at_equal_cost if claim.axis == "generated_tokens"]
    assert equal[0].cost == pytest.approx(100)
    assert equal[0].effect.value > 0
    assert found.claims[0].effect.value == pytest.approx(0)


def test_ratio_is_the_geometric_mean_over_seeds_with_its_t_interval():
    from scipy import stats

    flat, full = [0] * 10, [4] * 10
    prices = {0: 40.0, 1: 60.0, 2: 90.0}
    a = cell("a=x", {s: [(0.0, flat), (100.0, full)] for s in prices})
    b = cell("a=y", {s: [(0.0, flat), (price, full)] for s, price in prices.items()})
    metric = metric_named("sampled_accuracy", [score("1", 2)])
    found = cost_ratio(b, a, metric, [str(i) for i in range(10)], Rule(), "generated_tokens")
    logs = np.log([0.4, 0.6, 0.9])
    interval = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    assert found.ratio == pytest.approx(math.exp(logs.mean()))
    assert (found.low, found.high) == pytest.approx((math.exp(interval.low),
                                                     math.exp(interval.high)))  # fmt: skip
    above = cost_ratio(b, a, metric, ["1", "2"], Rule(), "generated_tokens", target=0.5)
    assert [each.cell_cost for each in above.at] == pytest.approx([20, 30, 45])


def test_costs_are_compared_where_both_get_and_not_beyond():
    a = cell("a=x", {0: [(0.0, [0] * 10), (100.0, [4] * 10)]})
    b = cell("a=y", {0: [(0.0, [0] * 10), (30.0, [3] * 10)]})
    metric = metric_named("sampled_accuracy", [score("1", 2)])
    [at] = cost_ratio(b, a, metric, ["1", "2"], Rule(), "generated_tokens").at
    assert (at.target, at.cell_cost, at.baseline_cost) == pytest.approx((0.75, 30, 75))
    found = cost_ratio(b, a, metric, ["1", "2"], Rule(), "generated_tokens", target=0.8)
    assert (found.at, found.reached) == ((), 0)


def test_what_never_improves_has_no_cost_at_equal_accuracy():
    a = cell("a=x", {0: [(0.0, [2] * 10), (100.0, [3] * 10)]})
    b = cell("a=y", {0: [(0.0, [2] * 10), (100.0, [1] * 10)]})
    metric = metric_named("sampled_accuracy", [score("1", 2)])
    found = cost_ratio(b, a, metric, ["1", "2"], Rule(), "seconds")
    assert (found.ratio, found.reached, found.at) == (None, 0, ())
    assert found.reason == "in no seed do both improve to the same accuracy"


# Cells


def named(name, seed, **settings):
    choices = {k: v for k, v in settings.items() if "." not in k}
    return run(name, seed, [point(None, [1, 2], 0), point(0, [2, 3], 1)], choices=choices,
               identity={k: v for k, v in settings.items() if "." in k})  # fmt: skip


def test_runs_become_cells_named_by_what_differs():
    runs = [
        named("a", 0, loss="dpo", **{"loss.beta": 0.1}),
        named("b", 1, loss="dpo", **{"loss.beta": 0.1}),
        named("c", 0, loss="dpo", **{"loss.beta": 0.5}),
        named("d", 0, loss="ipo", **{"loss.link": "square"}),
    ]
    cells = grouped(runs)
    assert [c.name for c in cells] == [
        "loss=dpo loss.beta=0.1", "loss=dpo loss.beta=0.5", "loss=ipo",
    ]  # fmt: skip
    assert cells[0].seeds == (0, 1)
    assert set(differences(cells)) == {"loss", "loss.beta", "loss.link"}


def test_brief_names_keep_the_key_of_a_number():
    assert brief("sampler=pace loss.beta=0.1 N=4 plain") == "pace beta=0.1 N=4 plain"
    assert briefs(["a=x", "b=x"]) == {"a=x": "a=x", "b=x": "b=x"}


def test_one_seed_twice_in_a_cell_is_refused():
    with pytest.raises(ConfigError, match="same cell"):
        cell_of("x", [named("a", 0), named("b", 0)], {})


# What is refused


def test_unlike_evaluations_are_refused_by_what_differs():
    [a] = study({"a=x": (1.0, 1)}, seeds=(0, 1))
    last = a.runs[1].points
    fewer = [point_with(p, dict(list(p.scores.items())[:-4])) for p in last]
    cases = {
        "prompts": (run("u", 1, fewer), "60 and 56, of which 56 are the same"),
        "evaluation": (run("u", 1, last, identity={"evaluation.samples": 9}), "samples: 4 and 9"),
        "verifier": (run("u", 1, last, identity={"verifier.marker": "!"}), "verifier.marker"),
        "code": (run("u", 1, last, judge_code="new"), "fingerprints code and new"),
    }
    for kind, (other, said) in cases.items():
        mixed = [a.of_seeds([0]), Cell("a=y", (other,))]
        with pytest.raises(AlignError, match=said):
            compare(asked(mixed))
        found = compare(asked(mixed, allowed=(kind,)))
        assert any(said in note for note in found.notes)
    allowed = [a.of_seeds([0]), Cell("a=y", (cases["prompts"][0],))]
    assert compare(asked(allowed, allowed=("prompts",))).items_dropped == 4


def test_other_reference_answers_are_refused():
    from dataclasses import replace

    [a] = study({"a=x": (1.0, 1)}, seeds=(0, 1))
    other = replace(a.runs[1], gold={**a.runs[1].gold, "7": "another"})
    with pytest.raises(AlignError, match=r"1 held-out prompts, for instance 7: '1' and 'another'"):
        compare(asked([a.of_seeds([0]), Cell("a=y", (other,))]))


def test_runs_of_different_versions_are_compared_and_it_is_said():
    from dataclasses import replace

    [a] = study({"a=x": (1.0, 1)}, seeds=(0, 1))
    last = run("u", 1, a.runs[1].points)
    other = replace(last, environment={**last.environment, "versions": {"torch": "9"}})
    notes = compare(asked([a.of_seeds([0]), Cell("a=y", (other,))])).notes
    [note] = [note for note in notes if "made by different" in note]
    assert note.startswith("runs were made by different torch: 2: 1 runs")
    assert "9: 1 runs (u)" in note
    same = compare(asked([a.of_seeds([0]), Cell("a=y", (last,))])).notes
    assert not [note for note in same if "made by different" in note]


def test_a_setting_that_changes_no_score_is_no_difference():
    [a] = study({"a=x": (1.0, 1)}, seeds=(0, 1))
    other = run("u", 1, a.runs[1].points, identity={"verifier.max_unscored": 0.5})
    assert compare(asked([a.of_seeds([0]), Cell("a=y", (other,))])).claims


def test_unfinished_runs_are_refused_unless_allowed():
    a, b = study({"a=x": (1.0, 1), "a=y": (1.0, 1)})
    for points, said in ((b.runs[0].points[:1], "no finished evaluation"), ((), "no finished"),
                         (b.runs[0].points[:2], "1 of 1 rounds are scored")):  # fmt: skip
        half = Cell("a=y", (run("half", 0, points, complete=False),))
        with pytest.raises(AlignError, match=said):
            compare(asked([a, half]))
    assert compare(asked([a, half], allowed=("unfinished",))).claims


def test_correction_is_over_the_claims_of_one_kind():
    cells = study({"a=base": (1.0, 1), **{f"a=c{i}": (1.4, 1) for i in range(4)}})
    metric = metric_named("sampled_accuracy", [score("1", 2)])
    raw = [final_claim(c, cells[0], metric, [str(i) for i in range(ITEMS)], Rule())
           for c in cells[1:]]  # fmt: skip
    done = judged(raw, Rule())
    smallest = min(done, key=lambda claim: claim.p)
    assert smallest.p_corrected == pytest.approx(min(1, 4 * smallest.p))
    assert {claim.comparisons for claim in done} == {4}


def test_an_axis_of_cost_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="generated_tokens"):
        compare(asked(study({"a=x": (1.0, 1), "a=y": (1.0, 1)}), axis="tokens"))


def test_each_cell_is_held_against_the_one_that_differs_by_the_spec_alone():
    from align_cli.study.gather import baselines_of

    cells = [
        Cell(f"draws={d} verifier={v}", (), {"draws": d, "verifier": v})
        for v in ("clean", "noisy")
        for d in ("bo2", "bo16", "pace")
    ]
    spec = {"against": {"draws": "bo16"}}
    assert baselines_of(cells, spec) == {
        f"draws={d} verifier={v}": f"draws=bo16 verifier={v}"
        for v in ("clean", "noisy") for d in ("bo2", "pace")
    }  # fmt: skip
    only = {**spec, "cells": {"draws": ["pace"], "verifier": ["noisy"]}}
    assert baselines_of(cells, only) == {"draws=pace verifier=noisy": "draws=bo16 verifier=noisy"}
    assert set(baselines_of(cells, {}).values()) == {"draws=bo2 verifier=clean"}

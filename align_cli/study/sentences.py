"""A comparison in words and numbers, as tables and pages show it."""

from collections.abc import Mapping

from align_cli.study.comparison import Comparison
from align_cli.study.ratio import CostRatio
from align_cli.study.statistics import Estimate
from align_cli.study.verdict import Claim

AXES = {
    "generated_tokens": "generated tokens",
    "total_flops": "total FLOPs",
    "seconds": "seconds of computing",
}
COST_RULE = (
    "Cost: all generating, labelling, pairing and training of the rounds so far, without the "
    "examination on held-out prompts. A stage that another run had made already counts at its "
    "full cost, as if the run had been alone"
)
CURVE_RULE = (
    "Between two rounds a curve is taken as straight; nothing is read off beyond a curve's end"
)


def method(comparison: Comparison) -> str:
    """How intervals, p and verdicts come about."""
    rule = comparison.wanted.rule
    return (
        f"Intervals: {rule.level:.0%}, each for itself, seeds and held-out prompts both taken as "
        "samples, and never narrower than the t interval over seeds alone. p: two-sided, corrected "
        "over the comparisons of its kind (Holm); better or worse where it is below "
        f"{rule.alpha:g}. MDE: the smallest true difference that would be found with "
        f"{rule.power:.0%} chance"
    )


def claim_sentence(claim: Claim, names: Mapping[str, str]) -> str:
    """The verdict with its numbers; `names` says how cells are called here."""
    cell, baseline = names[claim.cell], names[claim.baseline]
    numbers = f"{signed(claim.effect.value)} {interval(claim.effect, signs=True)}"
    where = "" if claim.axis is None else f" at {amount(claim.cost, claim.axis)}"
    if claim.verdict == "inconclusive":
        seen = f"; a difference of {claim.mde:.3f} would have shown" if claim.mde else ""
        return f"{cell} against {baseline}{where}: inconclusive, {numbers}{seen}"
    corrected = f"corrected {p_text(claim.p_corrected)}"
    return f"{cell} is {claim.verdict} than {baseline}{where}: {numbers}, {corrected}"


def ratio_sentence(ratio: CostRatio, names: Mapping[str, str]) -> str:
    """How dear the same accuracy is, and whether the baseline's best is reached at all."""
    cell, baseline = names[ratio.cell], names[ratio.baseline]
    if ratio.ratio is None:
        return f"{cell}: no cost at equal accuracy, since {ratio.reason}"
    among = "" if len(ratio.at) == len(ratio.seeds) else f" ({len(ratio.at)} seeds)"
    known = ratio_interval(ratio) if ratio.low is not None else f"({ratio.reason})"
    doubt = ratio.verdict == "inconclusive"
    lead = f"Whether {cell} is cheaper is inconclusive" if doubt else f"{cell} is {ratio.verdict}"
    return (
        f"{lead}: {ratio.ratio:.2f} {known} times the {AXES[ratio.axis]} of "
        f"{baseline} for an accuracy that both reach{among}; it gets as good as {baseline} ever "
        f"does in {ratio.reached} of {len(ratio.seeds)} seeds"
    )


def ratio_interval(ratio: CostRatio) -> str:
    """`[0.41, 0.97]`, or a dash where one seed gives none."""
    if ratio.low is None or ratio.high is None:
        return "-"
    return f"[{_factor(ratio.low)}, {_factor(ratio.high)}]"


def _factor(value: float) -> str:
    return f"{value:.2f}" if 0.01 <= value < 100 else f"{value:.0e}"


def interval(estimate: Estimate, *, signs: bool = False) -> str:
    """`[+0.012, +0.034]`."""
    form = signed if signs else "{:.3f}".format
    return f"[{form(estimate.low)}, {form(estimate.high)}]"


def signed(value: float) -> str:
    """With three decimals and always a sign, which a true minus makes easy to see."""
    return f"{value:+.3f}".replace("-", "\u2212")


def p_text(p: float | None) -> str:
    """`p 0.013`; below what anyone can tell apart, `p < 0.0001`."""
    if p is None:
        return "p unknown"
    return "p < 0.0001" if p < 0.0001 else f"p {p_short(p)}"


def p_short(p: float | None) -> str:
    """For a column of a table."""
    if p is None:
        return "-"
    return "<0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def amount(value: float | None, axis: str) -> str:
    """A cost with its unit."""
    return "-" if value is None else f"{short(value)} {AXES[axis]}"


def short(value: float) -> str:
    """`1.2M`, `148k`, `3.1T`: three figures and a letter."""
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def shared_count(comparison: Comparison) -> int:
    """Stages of the method, in all runs together, that were found already made."""
    return sum(
        not place.startswith("start/") and not place.endswith("/6_scores")
        for cell in comparison.cells
        for run in cell.runs
        for place in run.shared
    )

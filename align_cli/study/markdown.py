"""A comparison as a Markdown table: for a page, a pull request, a lab book."""

from align_cli.study import sentences as say
from align_cli.study.cells import briefs
from align_cli.study.comparison import Comparison


def as_markdown(comparison: Comparison) -> str:
    """The question, a line a cell, and what must be minded in reading it."""
    axis = comparison.wanted.axis
    names = briefs([cell.name for cell in comparison.cells])
    claims = {claim.cell: claim for claim in comparison.claims}
    ratios = {ratio.cell: ratio for ratio in comparison.ratios if ratio.axis == axis}
    head = (
        "cell", "seeds", comparison.metric.name, say.AXES[axis], "against", "effect", "p (Holm)",
        "MDE", "verdict", f"{say.AXES[axis]} for equal accuracy", "verdict",
    )  # fmt: skip
    lines = [f"**{comparison.wanted.question}**", "", _row(head), "|" + "---|" * len(head)]
    for cell in comparison.cells:
        level, claim = comparison.levels.get(cell.name), claims.get(cell.name)
        ratio = ratios.get(cell.name)
        row = [names[cell.name], str(len(cell.runs))]
        if level is None:
            row += ["-"] * 2
        else:
            cost = comparison.curves[cell.name][-1].cost[axis]
            row += [f"{level.value:.3f} {say.interval(level)}", say.short(cost)]
        if claim is None:
            row += [""] * 5
        else:
            row += [
                names[claim.baseline],
                f"{say.signed(claim.effect.value)} {say.interval(claim.effect, signs=True)}",
                say.p_short(claim.p_corrected),
                "-" if claim.mde is None else f"{claim.mde:.3f}",
                claim.verdict,
            ]
        if ratio is None or ratio.ratio is None:
            row += ["" if ratio is None else "-"] * 2
        else:
            row += [f"{ratio.ratio:.2f} x {say.ratio_interval(ratio)}", ratio.verdict]
        lines.append(_row(row))
    notes = [*comparison.notes, f"{comparison.items} held-out prompts, each compared with itself"]
    notes += [say.method(comparison), f"{say.COST_RULE} ({say.shared_count(comparison)} here)"]
    return "\n".join([*lines, "", *(f"- {note}." for note in notes)]) + "\n"


def _row(parts: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(part.replace("|", "\\|") for part in parts) + " |"

"""`align list` and `align explain`: what there is, and what it does."""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from align_cli.cli.arguments import AsJson, Group, GroupChoice
from align_cli.cli.output import print_json, results
from align_cli.errors import ConfigError

if TYPE_CHECKING:
    from align_cli.config.catalogue import Explanation

WIDE = 100
"""A setting's value that is longer than a line of text [characters]."""


def list_choices(group: Group = None, as_json: AsJson = False) -> None:
    """List the choices of a group, or of all groups, with what each is for."""
    from align_cli.config.catalogue import choices, groups

    found = [choice for name in ([group] if group else groups()) for choice in choices(name)]
    if as_json:
        by_group: dict[str, dict[str, str]] = defaultdict(dict)
        for choice in found:
            by_group[choice.group][choice.name] = choice.line
        print_json(by_group)
        return
    width = max((len(f"{each.group}={each.name}") for each in found), default=0)
    for choice in found:
        # One line a choice, however wide: it is read by eyes and by grep.
        line = f"{choice.group}={choice.name}".ljust(width + 2) + choice.line
        results().print(line, markup=False, soft_wrap=True)


def explain(choice: GroupChoice, as_json: AsJson = False) -> None:
    """Explain one choice: formula, source, settings with their ranges and units."""
    from align_cli.config.catalogue import choices
    from align_cli.config.catalogue import explain as look_up

    group, equals, name = choice.partition("=")
    if not equals:
        names = ", ".join(f"{group}={each.name}" for each in choices(group))
        raise ConfigError(f"explain: wanted GROUP=CHOICE, got {choice!r}; choices: {names}")
    explanation = look_up(group, name)
    if as_json:
        print_json(_as_dict(explanation))
    else:
        _print(explanation)


def _as_dict(explanation: "Explanation") -> dict[str, Any]:
    return {
        "group": explanation.choice.group,
        "choice": explanation.choice.name,
        "summary": explanation.choice.summary,
        "source": explanation.choice.source,
        "formula": explanation.choice.formula,
        "sets": dict(explanation.choice.sets),
        "target": explanation.target,
        "needs": list(explanation.needs),
        "docstring": explanation.docstring,
        "divergence": _divergence(explanation),
        "settings": [
            {
                "name": row.name,
                "value": row.value,
                "type": row.kind,
                "range": row.limits,
                "unit": row.unit,
                "comment": row.comment,
            }
            for row in explanation.settings
        ],
    }


def _divergence(explanation: "Explanation") -> str | None:
    """What the divergence of the choice's link promises, computed."""
    if explanation.choice.group != "loss":
        return None
    from align_cli.cli.divergence import promised

    return promised({row.name: row.value for row in explanation.settings})


def _print(explanation: "Explanation") -> None:
    choice, out = explanation.choice, results()
    out.print(f"{choice.group}={choice.name}", style="bold", markup=False)
    out.print(choice.summary, markup=False)
    if choice.source:
        out.print(f"Source: {choice.source}", markup=False, soft_wrap=True)
    if choice.formula:
        out.print(f"\nloss = {choice.formula}", style="bold", markup=False, soft_wrap=True)
    for group, chosen in choice.sets.items():
        out.print(f"sets {group}={chosen}, unless {group}=... is given", markup=False)
    out.print(f"\n{explanation.docstring}", markup=False, soft_wrap=True)
    if divergence := _divergence(explanation):
        out.print(f"\ndivergence {divergence}", markup=False, soft_wrap=True)
    if explanation.target:
        out.print(f"\nfunction {explanation.target}", markup=False, soft_wrap=True)
        out.print(f"asks for {', '.join(explanation.needs) or 'nothing'}\n", markup=False)
    if not explanation.settings:
        return
    lines = [f"{choice.group}.{row.name}={_shown(row.value)}" for row in explanation.settings]
    # A long text stands on a line of its own and does not move the others' columns.
    width = max((len(line) for line in lines if len(line) <= WIDE), default=0)
    for line, row in zip(lines, explanation.settings, strict=True):
        # One line a setting, however wide, as in a yaml: what may stand there, then what it is.
        facts = " ".join(part for part in (row.kind, row.limits, f"[{row.unit}]" * bool(row.unit)))
        note = f"  # {row.comment}" if row.comment else ""
        gap = "\n" + " " * width if len(line) > width else ""
        out.print(f"{line.ljust(width)}{gap}  {facts}{note}", markup=False, soft_wrap=True)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)

"""The tree of a search, as a person looks at it: steps with their visits, value and prior."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from align_cli.rows import Completion, Judged, Label
from align_cli.step_tree import Node, tree_of
from align_cli.training_rows import Pair


def search_facts(
    completions: Sequence[Completion],
    labels: Sequence[Label],
    pairs: Sequence[Pair],
    step_end: str | None,
) -> dict[str, Any] | None:
    """The root with everything below it; None where no steps were found in the answers.

    A node: the step's text, N (visits), Q (mean score, null without a judged answer), p (prior),
    the answer that it was first seen in, and which side of a pair it is.
    """
    by_index = {label.index: label for label in labels}
    answers = [
        Judged(completion=one, label=by_index[one.index])
        for one in completions
        if one.step_ends is not None and one.index in by_index
    ]
    if not answers or step_end is None:
        return None
    sides: dict[tuple[int, int], set[str]] = {}
    for pair in pairs:
        if pair.steps is not None:
            sides.setdefault((pair.chosen, pair.steps.chosen_tokens), set()).add("chosen")
            sides.setdefault((pair.rejected, pair.steps.rejected_tokens), set()).add("rejected")
    return _facts(tree_of(answers), step_end, sides)


def _facts(node: Node, step_end: str, sides: dict[tuple[int, int], set[str]]) -> dict[str, Any]:
    pieces = node.first.text.split(step_end)
    text = ""
    if node.depth:
        text = pieces[node.depth - 1] + step_end * (node.depth < len(pieces))
    return {
        "step": text,
        "visits": node.visits,
        "value": node.value,
        "prior": node.prior,
        "tokens": node.tokens,
        "answer": node.first.index,
        "sides": sorted(sides.get((node.first.index, node.tokens), ())),
        "next": [_facts(child, step_end, sides) for child in node.children.values()],
    }


def print_search(facts: dict[str, Any], console: Console) -> None:
    """One line a step, indented below what it follows."""
    console.print(
        "steps: N judged answers through it, Q their mean score, p prior; #: first seen in answer"
    )
    console.print(_drawn(facts, Tree(_line(facts))), highlight=False)


def _drawn(facts: dict[str, Any], tree: Tree) -> Tree:
    for each in facts["next"]:
        _drawn(each, tree.add(_line(each)))
    return tree


def _line(facts: dict[str, Any]) -> Text:
    worth = "-" if facts["value"] is None else f"{facts['value']:.3g}"
    numbers = f"N {facts['visits']}  Q {worth}  p {facts['prior']:.3f}  #{facts['answer']}"
    said = f"  {' and '.join(facts['sides'])}" if facts["sides"] else ""
    step = facts["step"].strip() or "(all answers)"
    return Text(f"{step}  {numbers}{said}")

"""The tree that a prompt's answers make of their steps, and what each of its nodes is worth.

Answers that begin with the same steps, token by token, go through the same nodes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp

from align_cli.errors import AlignError
from align_cli.rows import Completion, Judged

LENGTH_POWER = 1.25
"""Of p = exp(sum of log-probs / length^1.25), the prior of a step."""


@dataclass(frozen=True, slots=True)
class Node:
    """A beginning of answers, up to the end of a step; the root is the empty one.

    Below a node that a single answer goes through nothing is built: it has not been branched at.
    """

    depth: int
    """Steps to here."""
    tokens: int
    """Tokens to here."""
    prior: float
    """p = exp(sum of log-probs / length^1.25) of the last step; 1 at the root."""
    answers: list[Judged]
    """Whose first tokens these are, in order of index; the unscored among them."""
    ended: bool
    """The answer is over: nothing can follow."""
    children: dict[tuple[int, ...], "Node"] = field(default_factory=dict)
    """{token ids of the next step: node}, in order of the first answer's index"""

    @property
    def visits(self) -> int:
        """N: judged answers that go through."""
        return sum(one.label.score is not None for one in self.answers)

    @property
    def value(self) -> float | None:
        """Mean score of the judged answers that go through [score units]; None without one."""
        scores = [one.label.score for one in self.answers if one.label.score is not None]
        return sum(scores) / len(scores) if scores else None

    @property
    def first(self) -> Completion:
        """The answer of lowest index that goes through."""
        return self.answers[0].completion


def tree_of(answers: Sequence[Judged]) -> Node:
    """The root of the tree of one prompt's answers, whatever order they arrive in.

    What an answer that was cut off leaves after its last whole step is no step; its score counts
    for the nodes before.
    """
    ordered = sorted(answers, key=lambda one: one.completion.index)
    root = Node(depth=0, tokens=0, prior=1.0, answers=ordered, ended=False)
    spans = {one.completion.index: _spans(one.completion) for one in ordered}
    unbranched = [root]
    while unbranched:
        node = unbranched.pop()
        _branch(node, spans)
        unbranched += [child for child in node.children.values() if len(child.answers) > 1]
    return root


def _branch(node: Node, spans: dict[int, list[tuple[int, int]]]) -> None:
    for one in node.answers:
        row, steps = one.completion, spans[one.completion.index]
        if node.depth == len(steps):
            continue
        start, end = steps[node.depth]
        step = row.token_ids[start:end]
        if step not in node.children:
            prior = exp(sum(row.logps[start:end]) / len(step) ** LENGTH_POWER)
            over = end == len(row.token_ids) and row.finish == "stop"
            node.children[step] = Node(node.depth + 1, end, prior, [], over)
        node.children[step].answers.append(one)


def _spans(row: Completion) -> list[tuple[int, int]]:
    """(start, end) of every whole step of an answer [tokens]."""
    if row.step_ends is None:
        raise AlignError(
            f"completion {row.prompt_id}/{row.index} does not know its steps; only a sampler that "
            "says what ends one finds them: sampler=tree"
        )
    ends = list(row.step_ends)
    if row.finish == "stop" and (not ends or ends[-1] < len(row.token_ids)):
        ends.append(len(row.token_ids))
    return list(pairwise([0, *ends]))


def nodes(root: Node) -> Iterator[Node]:
    """Every node, each before its children."""
    yield root
    for child in root.children.values():
        yield from nodes(child)

"""Steps that follow the same beginning, the better over the worse: the pairs of MCTS-DPO."""

from collections.abc import Sequence
from typing import Annotated, Literal

from align_cli.pairing.contrast import drawn, in_order
from align_cli.rows import Judged
from align_cli.step_tree import Node, nodes, tree_of
from align_cli.training_rows import Pair, Steps


def sibling_steps(
    siblings: Sequence[Judged],
    seed: int,
    *,
    against: Literal["worst", "next", "random"],
    where: Literal["everywhere", "best_path"],
    least_visits: Annotated[int, ">= 1", "answers"],
) -> list[Pair]:
    """At every node that was branched at, its best next step over another one of lower value.

        value of a step   mean score of the judged answers that go through it
        margin            value(chosen) - value(rejected)                       [score units]

    A side is the common beginning and its own step, no more: what its answer says after the step
    is not trained on. Losses on the diverging suffix (mcts_dpo, suffix_dpo) see where the two
    part; mcts_dpo believes a pair by its visits. Values differ only where answers branched, so the
    draws are those of sampler=tree; another sampler that finds steps gives pairs at steps that
    answers happen to share. Equal values are no pair.

    Source: Xie et al. 2024, arXiv:2405.00451 (MCTS-DPO), and its authors' code: best against worst,
    next-worst or random, level by level. That a level's node is the best of the level above
    (where=best_path) is a **reconstruction**.

    Settings:
        against: which step of lower value is rejected: the worst, the next one below the best, or
            one drawn from all.
        where: everywhere takes each node; best_path goes from the root to the best step of each
            node in turn.
        least_visits: judged answers that a step must have had to be a side.
    """
    in_order(siblings)
    root = tree_of(siblings)
    found: list[Pair] = []
    for number, node in enumerate(nodes(root) if where == "everywhere" else _best_path(root)):
        ranked = _ranked(node, least_visits)
        lower = [child for child in ranked if child.value != ranked[0].value]
        if lower:
            at = {"worst": -1, "next": 0, "random": drawn(seed, len(lower), step=number)}[against]
            found.append(_pair(ranked[0], lower[at]))
    return found


def _ranked(node: Node, least_visits: int) -> list[Node]:
    """The steps after a node, best first; of equal ones the more visited, then the earlier drawn.

    None begins with another: each ends where its first delimiter does, or with the answer.
    """
    seen = [child for child in node.children.values() if child.visits >= least_visits]
    return sorted(seen, key=lambda child: (-_value(child), -child.visits, child.first.index))


def _best_path(root: Node) -> list[Node]:
    path = [root]
    while ranked := _ranked(path[-1], 1):
        path.append(ranked[0])
    return path


def _value(node: Node) -> float:
    assert node.value is not None, "only visited steps are ranked"
    return node.value


def _pair(chosen: Node, rejected: Node) -> Pair:
    return Pair(
        prompt_id=chosen.first.prompt_id,
        chosen=chosen.first.index,
        rejected=rejected.first.index,
        margin=_value(chosen) - _value(rejected),
        kind=chosen.first.kind,
        steps=Steps(
            chosen_tokens=chosen.tokens,
            rejected_tokens=rejected.tokens,
            chosen_value=_value(chosen),
            rejected_value=_value(rejected),
            chosen_visits=chosen.visits,
            rejected_visits=rejected.visits,
        ),
    )

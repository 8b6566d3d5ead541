"""Tree search over the steps of a solution: where to go on from is chosen by what came of it."""

from collections.abc import Sequence
from math import sqrt
from typing import Annotated

from align_cli.errors import ConfigError
from align_cli.rows import Decoding, Draw, Judged, Prefix, Prompt
from align_cli.sampler.attempts import by_prompt
from align_cli.step_tree import Node, tree_of


def tree(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    n: Annotated[int, ">= 2", "draws per prompt"],
    first: Annotated[int, ">= 2", "draws per prompt"],
    breadth: Annotated[int, ">= 2", "draws per node"],
    depth: Annotated[int, ">= 1", "steps"],
    exploration: Annotated[float, ">= 0", "score units"],
    step_end: str,
    temperature: Annotated[float, ">= 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """Answers that branch off at steps, each pass at the node that PUCT chooses.

        pass 1     `first` whole answers: the roll-outs of the root
        then       from the root, go down to  argmax Q + c p sqrt(N_parent) / (1 + N)  until a node
                   that fewer than `breadth` answers go through, and draw the ones it lacks
        Q          mean score of the judged answers through the node
        N          how many they are
        p          exp(sum of log-probs / length^1.25) of the node's step
        c          exploration

    A draw keeps the tokens of the node as they were sampled and samples the rest to the end, so
    that every value comes from the verifier on a finished answer, and only new tokens cost. A
    prompt takes n draws, or fewer where no node is left to go on from (`sample/draws_per_prompt`).
    An unscored answer is spent budget without a value. Every node of the search can be told from
    the rows: `align show RUN --prompt ID` prints it with N, Q and p.

    Source: Xie et al. 2024, arXiv:2405.00451 (MCTS-DPO), and its authors' code: PUCT, p, c = 1,
    depth 5, breadth 8. **Reconstruction**: there, a node is valued when it is made, by the outcome
    and by the model's own judgement of the step, and Q = r + g V adds the rewards below it; here a
    value is the mean outcome of roll-outs, which holds what is below: sum of N_child (Q_child - Q)
    is 0. Its 10 searches a step (40 at the root) count node by node, n here counts answers.

    Settings:
        n: most draws of a prompt.
        first: whole answers that the search begins with.
        breadth: answers that a node gets before its children are looked at.
        depth: steps after which no node is gone on from.
        exploration: c; 0 only follows the best value so far.
        step_end: the text that ends a step, e.g. a newline.
        temperature, top_p, top_k: as in sampler=best_of_n; with temperature 0 no branch differs.
        max_new_tokens: of a whole answer, the tokens it keeps included.
    """
    if first > n:
        raise ConfigError(
            f"sampler.first {first} is above sampler.n {n}, which counts it; raise sampler.n or "
            "lower sampler.first"
        )
    if not step_end:
        raise ConfigError('sampler.step_end is empty; give the text that ends a step, e.g. "\\n"')
    decoding = Decoding(
        max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
    )
    attempts_of = by_prompt(judged)
    draws: list[Draw] = []
    for prompt in prompts:
        attempts = attempts_of.get(prompt.id, [])
        node, wanted = None, first
        if attempts:
            node = selected(tree_of(attempts), breadth, depth, exploration)
            wanted = 0 if node is None else breadth - len(node.answers)
        draws += [
            Draw(
                prompt_id=prompt.id,
                index=len(attempts) + more,
                messages=prompt.messages,
                decoding=decoding,
                prefix=None if node is None else _prefix(node),
                step_end=step_end,
            )
            for more in range(min(wanted, n - len(attempts)))
        ]
    return draws


def selected(root: Node, breadth: int, depth: int, exploration: float) -> Node | None:
    """The node to go on from next; None where none is left. The root has had its answers."""

    def lacks(node: Node) -> bool:
        return not node.ended and node.depth < depth and len(node.answers) < breadth

    def promise(node: Node, parent: Node) -> tuple[float, tuple[int, ...]]:
        value, bonus = node.value, sqrt(parent.visits) / (1 + node.visits)
        assert value is not None, "only judged nodes are compared"
        # Rounded, so that the last digits of log-probs decide nothing; equals go by token id.
        best = round(value + exploration * node.prior * bonus, 6)
        return (-best, node.first.token_ids[: node.tokens])

    def below(node: Node) -> Node | None:
        judged = [child for child in node.children.values() if child.visits]
        for child in sorted(judged, key=lambda child: promise(child, node)):
            found = child if lacks(child) else below(child)
            if found is not None:
                return found
        return None

    return below(root)


def _prefix(node: Node) -> Prefix:
    row = node.first
    return Prefix(
        of=row.index, token_ids=row.token_ids[: node.tokens], logps=row.logps[: node.tokens]
    )

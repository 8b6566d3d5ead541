"""Judged rows of prompts whose answers are right with a known chance, under a noise."""

from collections.abc import Callable, Mapping

import numpy as np
from judged_rows import asked, judged

from align_cli.config.compose import composed_node
from align_cli.loop.judging import judge
from align_cli.rows import Completion, Judged, Label, Prompt
from align_cli.seeds import derive, uniforms


def noise(choice: str, **settings: object) -> Callable[..., Label]:
    """A choice of conf/noise with these settings, bound as in a run."""
    from align_cli.config.build import bind

    node = {**composed_node("noise", choice), **settings}
    return bind(node, group="noise", choice=choice).load()


def drawn(
    chances: Mapping[str, float], *, prompts: int, n: int, seed: int = 0
) -> list[tuple[Prompt, list[Judged]]]:
    """{stratum: chance of a right answer} -> prompts with n cleanly judged answers each.

    Answer j of prompt i does not depend on n.
    """
    rows = []
    for stratum, chance in chances.items():
        for number in range(prompts):
            name = f"{stratum}:{number}"
            keys = np.array([derive(seed, name, j) for j in range(n)], dtype=np.uint64)
            rights, lengths = uniforms(keys, 0) < chance, 1 + 59 * uniforms(keys, 1)
            answers = [
                judged(j, bool(rights[j]), prompt_id=name, answer="5", length=int(lengths[j]))
                for j in range(n)
            ]
            rows.append((asked(name, stratum=stratum), answers))
    return rows


def under_noise(
    rows: list[tuple[Prompt, list[Judged]]], part: Callable[..., Label], seed: int = 0
) -> list[tuple[Prompt, list[Judged]]]:
    """The same rows, labelled as the loop labels them."""
    flat = [one for _, siblings in rows for one in siblings]
    labels = {(one.label.prompt_id, one.label.index): one.label for one in flat}

    def verifier(prompts: list[Prompt], completions: list[Completion]) -> list[Label]:
        return [labels[row.prompt_id, row.index] for row in completions]

    asked_of = {prompt.id: prompt for prompt, _ in rows}
    noisy = judge(verifier, part, [one.completion for one in flat], asked_of, (seed, "noise", 0))
    found = {(label.prompt_id, label.index): label for label in noisy}
    return [
        (
            prompt,
            [
                Judged(
                    completion=one.completion,
                    label=found[prompt.id, one.completion.index],
                )
                for one in siblings
            ],
        )
        for prompt, siblings in rows
    ]

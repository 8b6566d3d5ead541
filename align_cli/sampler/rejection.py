"""Drawing on until a prompt has enough right answers."""

from collections.abc import Sequence
from typing import Annotated

from align_cli.rows import Decoding, Draw, Judged, Prompt
from align_cli.sampler.until import Budget, draw_until


def rejection(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    right: Annotated[int, ">= 1", "right answers per prompt"],
    n: Annotated[int, ">= 1", "draws per prompt"],
    mean_draws: Annotated[float | None, "> 0", "draws per prompt"],
    first: Annotated[int, ">= 1", "draws per prompt"],
    step: Annotated[int, ">= 1", "draws per prompt"],
    temperature: Annotated[float, ">= 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """Answers until `right` of them are right, or the budget is spent.

        E[draws] = right / p, less what n cuts off    if first = step = 1; p = chance of a right one

    With right=1, first=2, step=1, n=3 it spends what sampler=pace spends, on a third plain attempt
    where pace corrects: the control that tells the correction's effect from that of one more draw
    (an unscored attempt stops pace, not this).
    An answer that no verifier could judge is spent budget, and not right.

    Source: drawing until a number of right answers is found, the Uniform strategy of DART-Math
    (Tong et al. 2024, arXiv:2407.13690), from memory: **reconstruction**. Wrong answers are kept,
    for pairs; for rejection-sampled supervised training use loss=sft, which learns the chosen.

    Settings:
        right: right answers after which a prompt is finished.
        n: most draws of a prompt.
        mean_draws: most draws per prompt on average over the round, which may be fractional: at
            most floor(mean_draws x prompts) draws in all; null: n. Where it ends a pass early,
            prompts with the fewest draws come first, then those of the lower id.
        first, step: draws of a prompt in the first pass; at most, in each later one. A larger
            step makes fewer, fuller passes, and may draw up to step - 1 more than it needs.
        temperature, top_p, top_k, max_new_tokens: as in sampler=best_of_n, for every pass.
    """
    return draw_until(
        lambda attempts: sum(one.label.right is True for one in attempts) >= right,
        prompts,
        judged,
        sampler="rejection",
        budget=Budget(first=first, step=step, n=n, mean_draws=mean_draws),
        decoding=Decoding(
            max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
        ),
    )

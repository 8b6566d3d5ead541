"""Drawing on until a prompt has a right and a wrong answer."""

from collections.abc import Sequence
from typing import Annotated

from align_cli.rows import Decoding, Draw, Judged, Prompt
from align_cli.sampler.until import Budget, draw_until


def adaptive(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    n: Annotated[int, ">= 1", "draws per prompt"],
    mean_draws: Annotated[float | None, "> 0", "draws per prompt"],
    first: Annotated[int, ">= 1", "draws per prompt"],
    step: Annotated[int, ">= 1", "draws per prompt"],
    temperature: Annotated[float, ">= 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """Answers until one is right and one is wrong, or the budget is spent.

        E[draws] = sum over t < n of  p^t + (1 - p)^t,  less 1 where t = 0   if first = step = 1

    p is the chance that one answer is right: easy and hard prompts take most of the draws, and a
    prompt of p = 1/2 takes 3 at most on average. Neither answer is chosen for its score, so a pair
    is a random right answer and a random wrong one. An answer that no verifier could judge is
    spent budget, and neither right nor wrong. `sample/draws_per_prompt` is what was spent.

    Settings:
        n: most draws of a prompt.
        mean_draws: most draws per prompt on average over the round, which may be fractional: at
            most floor(mean_draws x prompts) draws in all; null: n. Where it ends a pass early,
            prompts with the fewest draws come first, then those of the lower id.
        first, step: draws of a prompt in the first pass; at most, in each later one. A larger
            step makes fewer, fuller passes, and may draw up to step - 1 more than it needs.
        temperature, top_p, top_k, max_new_tokens: as in sampler=best_of_n, for every pass.
    """
    return draw_until(
        has_contrast,
        prompts,
        judged,
        sampler="adaptive",
        budget=Budget(first=first, step=step, n=n, mean_draws=mean_draws),
        decoding=Decoding(
            max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
        ),
    )


def has_contrast(attempts: Sequence[Judged]) -> bool:
    """Whether one attempt is right and another wrong; an unscored one is neither."""
    return {True, False} <= {one.label.right for one in attempts}

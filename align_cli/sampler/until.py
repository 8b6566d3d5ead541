"""Drawing on, a little at a time, until a prompt has what it needs or a budget is spent."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from align_cli.errors import ConfigError
from align_cli.rows import Decoding, Draw, Judged, Prompt
from align_cli.sampler.attempts import by_prompt, refuse_grades


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How many draws a prompt, and all prompts of a round together, may take."""

    first: int
    """Draws of every prompt in the first pass."""
    step: int
    """Most draws of a prompt in every later pass."""
    n: int
    """Most draws of a prompt in all."""
    mean_draws: float | None
    """Most draws per prompt on average over the round; None: n."""

    def __post_init__(self) -> None:
        if self.first > self.n:
            raise ConfigError(
                f"sampler.first {self.first} is above sampler.n {self.n}: the first pass alone "
                "would break the budget; lower the first or raise the second"
            )
        if self.mean_draws is not None and not self.first <= self.mean_draws <= self.n:
            raise ConfigError(
                f"sampler.mean_draws {self.mean_draws} is outside sampler.first {self.first} to "
                f"sampler.n {self.n}: the first pass takes `first` and no prompt takes more than "
                "`n`; choose a value between them, or null for no bound on the mean"
            )

    def total(self, prompts: int) -> int:
        """Most draws of a round of so many prompts."""
        mean = Fraction(self.n) if self.mean_draws is None else Fraction(str(self.mean_draws))
        return math.floor(mean * prompts)


def draw_until(
    finished: Callable[[Sequence[Judged]], bool],
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    sampler: str,
    budget: Budget,
    decoding: Decoding,
) -> list[Draw]:
    """The next draws of every prompt that is not finished; none where the budget is spent.

    Where the round's budget ends within a pass, prompts with the fewest draws come first, then
    those of the lower id, so that the order of the prompts decides nothing.
    """
    attempts_of = by_prompt(judged)
    drawn = {prompt.id: len(attempts_of.get(prompt.id, [])) for prompt in prompts}
    wanted: dict[str, int] = {}
    for prompt in prompts:
        attempts = attempts_of.get(prompt.id, [])
        refuse_grades(attempts, sampler)
        if not attempts:
            wanted[prompt.id] = budget.first
        elif not finished(attempts):
            wanted[prompt.id] = min(budget.step, budget.n - len(attempts))
    left = budget.total(len(prompts)) - sum(drawn.values())
    for prompt_id in sorted(wanted, key=lambda id: (drawn[id], id)):
        wanted[prompt_id] = min(wanted[prompt_id], left)
        left -= wanted[prompt_id]
    return [
        Draw(
            prompt_id=prompt.id,
            index=drawn[prompt.id] + more,
            messages=prompt.messages,
            decoding=decoding,
        )
        for prompt in prompts
        for more in range(wanted.get(prompt.id, 0))
    ]

"""The usual examination: one greedy answer, and a few sampled ones."""

from collections.abc import Sequence
from typing import Annotated

from align_cli.errors import ConfigError
from align_cli.rows import Decoding, Draw, Prompt


def standard(
    prompts: Sequence[Prompt],
    *,
    greedy: bool,
    samples: Annotated[int, ">= 0", "draws per prompt"],
    temperature: Annotated[float, "> 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """For every held-out prompt a greedy answer (index 0), then `samples` sampled ones.

    The scores made of them: greedy accuracy; mean@k, pass@k (unbiased) and maj@k of the sampled
    answers; length, truncation and unscored share; see evaluation/summary.py.

    Settings:
        greedy: whether the greedy answer is drawn; without it the samples begin at index 0.
        samples: sampled answers per prompt; pass@k is given for k = 1, 2, 4, ... up to here.
        temperature, top_p, top_k: of the sampled answers; greedy has no temperature.
        max_new_tokens: a longer answer is cut there and finishes by "length" [tokens].
        verifier: who judges the answers, a choice of conf/verifier; null is the run's own. One that
            judges siblings against each other cannot: its mean is the same for every policy. One
            that only grades gives mean scores and no accuracy.
    """
    if not greedy and samples == 0:
        raise ConfigError(
            "evaluation.greedy is false and evaluation.samples is 0: nothing would be drawn; set "
            "either"
        )
    sampled = Decoding(
        max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
    )
    most_likely = Decoding(max_new_tokens=max_new_tokens, temperature=0.0)
    decodings = [most_likely] * greedy + [sampled] * samples
    return [
        Draw(prompt_id=prompt.id, index=index, messages=prompt.messages, decoding=decoding)
        for prompt in prompts
        for index, decoding in enumerate(decodings)
    ]

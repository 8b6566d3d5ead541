"""Independent draws: the sampler of DPO-R1."""

from collections.abc import Sequence
from typing import Annotated

from align_cli.rows import Decoding, Draw, Judged, Prompt
from align_cli.sampler.exploring import explored


def best_of_n(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    n: Annotated[int, ">= 1", "draws per prompt"],
    temperature: Annotated[float, ">= 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """n independent answers to every prompt, in one pass; ordered by prompt, then index.

    Source: the sampling of Online-DPO-R1 (RLHFlow, generation/gen_hf.py: n 8, temperature 1,
    top_p 1, 4096 tokens). "Best" is the pairing rule's doing: best_worst takes the extremes.

    Settings:
        n: answers per prompt; 1 leaves nothing to compare it with, so nothing to train on.
        temperature: 0 is greedy, and n equal answers.
        top_p, top_k: nucleus and top-k truncation; 1 and 0 keep the whole vocabulary.
        max_new_tokens: a longer answer is cut there and finishes by "length" [tokens].
    """
    if judged:
        return []
    decoding = Decoding(
        max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
    )
    return explored(prompts, n, decoding)

"""Answers with their reasoning and answers alone, side by side."""

from collections.abc import Sequence
from typing import Annotated

from align_cli.rows import Decoding, Draw, Judged, Prompt
from align_cli.sampler.worded import refuse_no_text, worded


def contrast_modes(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    n: Annotated[int, ">= 2", "draws per prompt"],
    system_text: str,
    user_text: str,
    temperature: Annotated[float, ">= 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """Even draws from the prompt itself, odd ones from the prompt with a request to answer alone.

    A completion drawn with the request keeps the conversation it continues; all are trained under
    the prompt's own. Whether the request is followed is the model's doing: compare the lengths.

    Source: the two sampling modes of BVPO (arXiv:2510.05095; 5 answers in each), read second-hand:
    **reconstruction**. There, answers alone are drawn and trained with an empty trace, as a pair
    set of their own with a weight; here the pairing rule sees the draws of both modes together.

    Settings:
        n: answers per prompt, in both modes together, at least 2; an odd n has one more with
            reasoning.
        system_text, user_text: the request: after the system message (or as one), and after the
            last user message as it is; empty: none. One of them is needed.
        temperature, top_p, top_k, max_new_tokens: as in sampler=best_of_n, for both modes.
    """
    refuse_no_text("contrast_modes", system_text=system_text, user_text=user_text)
    if judged:
        return []
    decoding = Decoding(
        max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
    )
    draws = []
    for prompt in prompts:
        alone = worded(prompt.messages, system_text=system_text, user_text=user_text)
        draws += [
            Draw(
                prompt_id=prompt.id,
                index=index,
                messages=alone if index % 2 else prompt.messages,
                decoding=decoding,
            )
            for index in range(n)
        ]
    return draws

"""Some draws from the present policy, some from another: the pairs of XPO."""

from collections.abc import Sequence
from typing import Annotated, Literal

from align_cli.errors import ConfigError
from align_cli.rows import Decoding, Draw, Judged, Prompt


def mixed(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    n: Annotated[int, ">= 1", "draws per prompt"],
    others: Annotated[int, ">= 0", "draws per prompt"],
    other: Literal["reference", "initial"],
    temperature: Annotated[float, ">= 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """n answers to every prompt: the first `others` by another policy, the rest by the present one.

    In round 0 the policies are one, and so is their distribution. The other policy's answers are
    trained like any: under the prompt, by the token ids as sampled. Each completion tells its
    author; numbers of the policy's own sampling (entropy) are of its own draws.

    Source: pairs of the present and the reference policy, as in XPO (Xie et al. 2024,
    arXiv:2405.21046; its extra loss term is the loss's part). DPO-Mix-P and DPO-Mix-R mix within
    an answer, token by token or by reweighted responses: no count of plain draws is that, and
    sampler=mixed does not offer it.

    Settings:
        n: answers per prompt, those of the other policy included.
        others: how many of them the other policy writes, at most n; 0 is sampler=best_of_n.
        other: reference - the schedule's reference of this round; initial - the starting policy.
        temperature, top_p, top_k, max_new_tokens: as in sampler=best_of_n, for both policies.
    """
    if others > n:
        raise ConfigError(
            f"sampler.others {others} is above sampler.n {n}, which counts them; raise sampler.n "
            "or lower sampler.others"
        )
    if judged:
        return []
    decoding = Decoding(
        max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
    )
    # The other policy comes first, so that a smaller n reads a prefix of the same draws.
    return [
        Draw(
            prompt_id=prompt.id,
            index=index,
            messages=prompt.messages,
            decoding=decoding,
            author=other if index < others else "current",
        )
        for prompt in prompts
        for index in range(n)
    ]

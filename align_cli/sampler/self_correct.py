"""Chains of corrections: a wrong answer is shown again until it is right or the steps are used."""

from collections.abc import Sequence
from typing import Annotated, Literal

from align_cli.rows import Decoding, Draw, Gate, Judged, Prompt
from align_cli.sampler.correction import Correction
from align_cli.sampler.exploring import explored


def self_correct(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    explore: Annotated[int, ">= 1", "draws per prompt"],
    steps: Annotated[int, ">= 1", "corrections per prompt"],
    shows: Literal["last", "all"],
    trigger: Literal["all_wrong", "any_wrong"],
    attempt: Literal["first", "last", "shortest", "longest"],
    hint: Literal["gold", "none"],
    hint_text: str,
    retry_text: str,
    require_right: bool,
    require_stop: bool,
    answer_marker: str | None,
    leak_phrases: tuple[str, ...],
    min_length_ratio: Annotated[float | None, "> 0", "tokens / tokens"],
    max_length_ratio: Annotated[float | None, "> 0", "tokens / tokens"],
    min_mean_logp: Annotated[float | None, "<= 0", "nats/token"],
    temperature: Annotated[float, ">= 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """An answer, and up to `steps` corrections in a row while the last one is wrong.

        pass 1      explore answers to every prompt
        pass 1 + s  correction s of each prompt that was triggered and whose last answer is judged
                    and wrong, given: problem, failed answer(s), hint or retry
        budget      explore + E[corrections] <= explore + steps draws per prompt

    Every correction names the natural attempt that its chain starts from; a right one that passes
    its gate is paired with that attempt, under the original prompt. One that is right but fails
    the gate, and one that no verifier judged, ends the chain. With steps=1 this is sampler=pace.

    Source: multi-turn self-correction as in SCoRe (Kumar et al. 2024, arXiv:2409.12917), from
    memory: **reconstruction**. There, no verifier decides whether a second turn follows, and both
    turns are trained; here the verifier does, and only the correction is trained, as an answer.

    Settings:
        explore: attempts per prompt before any correction.
        steps: most corrections of a prompt.
        shows: last - a correction sees the failed answer before it; all - every failed answer of
            the chain, each with its request, so that prompts grow with the steps [tokens].
        trigger, attempt, hint, hint_text, retry_text: as in sampler=pace.
        require_right, require_stop, answer_marker, leak_phrases, min_mean_logp: the gate of
            sampler=pace, for every step.
        min_length_ratio, max_length_ratio: bounds on length over that of the chain's first
            attempt; null: none.
        temperature, top_p, top_k, max_new_tokens: as in sampler=best_of_n, for every pass.
    """
    correction = Correction(
        sampler="self_correct",
        steps=steps,
        shows=shows,
        trigger=trigger,
        attempt=attempt,
        hint=hint,
        hint_text=hint_text,
        retry_text=retry_text,
        gate=Gate(
            right=require_right,
            stops=require_stop,
            answer_marker=answer_marker,
            leak_phrases=leak_phrases,
            min_length_ratio=min_length_ratio,
            max_length_ratio=max_length_ratio,
            min_mean_logp=min_mean_logp,
        ),
        decoding=Decoding(
            max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
        ),
    )
    if not judged:
        return explored(prompts, explore, correction.decoding)
    return correction.draws(prompts, judged)

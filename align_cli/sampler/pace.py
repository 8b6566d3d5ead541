"""PACE: explore a little, then correct a failed attempt where exploring was not enough."""

from collections.abc import Sequence
from typing import Annotated, Literal

from align_cli.rows import Decoding, Draw, Gate, Judged, Prompt
from align_cli.sampler.correction import Correction
from align_cli.sampler.exploring import explored


def pace(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    explore: Annotated[int, ">= 1", "draws per prompt"],
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
    """Two draws a prompt, and one correction of a failed attempt where both failed.

        pass 1  explore answers to every prompt
        pass 2  one correction per triggered prompt, given: problem, failed attempt, hint or retry
        budget  explore + q draws per prompt; q = mean (1 - p)^explore if trigger is all_wrong,
                mean 1 - p^explore if any_wrong; p = chance that one attempt is right

    A correction that passes its gate is paired, under the original prompt, with the attempt it
    corrects (pairing=first_right_first_wrong); one that fails is spent budget, counted by reason.

    Source: Rao et al. 2026, arXiv:2602.05370 (PACE). **Reconstruction**: the abstract and second-
    hand summaries were read, the method section, prompts and appendix were not. Confirmed: three
    phases (proximal exploration, hindsight refinement with quality gating, contrastive pairs), two
    exploring draws, 2 < N < 3 draws in all, pairs made from failed explorations. Chosen here, each
    a setting: the same policy corrects; when (trigger); which attempt (attempt); whether the
    correct answer is shown (hint) and in which words (hint_text, retry_text); every gate check.

    Settings:
        explore: attempts per prompt before any correction.
        trigger: all_wrong - every attempt is judged and wrong; any_wrong - at least one is.
            An unscored attempt is not known to be wrong: it triggers nothing, nor is it corrected.
        attempt: which wrong attempt is corrected; equal lengths [tokens] go to the lower index.
        hint: gold shows the reference answer (a prompt without one gets no correction); none
            only says that the attempt is wrong.
        hint_text: the request if hint is gold; {gold} stands for the reference answer.
        retry_text: the request if hint is none.
        require_right, require_stop: the gate wants the correction accepted; ended by itself.
        answer_marker: a text that must occur exactly once in the correction; null: not checked.
        leak_phrases: texts that must not occur (letter case ignored): talk about the hint.
        min_length_ratio, max_length_ratio: bounds on length over the failed attempt's length;
            null: none.
        min_mean_logp: floor on the mean log-prob per token under the original prompt; null: none.
        temperature, top_p, top_k, max_new_tokens: as in sampler=best_of_n, for both passes.
    """
    correction = Correction(
        sampler="pace",
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
    if any(one.completion.kind == "corrected" for one in judged):
        return []
    return correction.draws(prompts, judged)

"""PACE: explore a little, then correct a failed attempt where exploring was not enough."""

from collections.abc import Sequence
from typing import Annotated, Literal

from align_cli.errors import AlignError, ConfigError
from align_cli.rows import Decoding, Draw, Gate, Judged, Message, Prompt


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
    _check_texts(hint, hint_text=hint_text, retry_text=retry_text)
    gate = Gate(
        right=require_right,
        stops=require_stop,
        answer_marker=answer_marker,
        leak_phrases=leak_phrases,
        min_length_ratio=min_length_ratio,
        max_length_ratio=max_length_ratio,
        min_mean_logp=min_mean_logp,
    )
    _check_gate(gate)
    decoding = Decoding(
        max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
    )
    if not judged:
        return [
            Draw(prompt_id=prompt.id, index=index, messages=prompt.messages, decoding=decoding)
            for prompt in prompts
            for index in range(explore)
        ]
    if any(one.completion.kind == "corrected" for one in judged):
        return []

    attempts_of = _by_prompt(judged)
    draws = []
    for prompt in prompts:
        attempts = attempts_of.get(prompt.id, [])
        failed = failed_attempt(attempts, trigger=trigger, attempt=attempt)
        if failed is None or (hint == "gold" and prompt.gold is None):
            continue
        # Not str.format: a gold such as \frac{1}{2} and a text with \boxed{} hold braces.
        request = retry_text if hint == "none" else hint_text.replace("{gold}", prompt.gold or "")
        draws.append(
            Draw(
                prompt_id=prompt.id,
                index=attempts[-1].completion.index + 1,
                messages=_conversation(prompt, failed, request),
                decoding=decoding,
                kind="corrected",
                corrects=failed.completion.index,
                gate=gate,
            )
        )
    return draws


def failed_attempt(
    attempts: Sequence[Judged],
    *,
    trigger: Literal["all_wrong", "any_wrong"],
    attempt: Literal["first", "last", "shortest", "longest"],
) -> Judged | None:
    """The attempt to correct, or None where nothing triggers; attempts in order of index."""
    for one in attempts:
        if one.label.score is not None and one.label.right is None:
            raise AlignError(
                f"sampler pace: completion {one.completion.prompt_id}/{one.completion.index} has "
                f"score {one.label.score} but is called neither right nor wrong; pace needs a "
                "verifier that says right or wrong: choose another verifier, or sampler=best_of_n"
            )
    wrong = [one for one in attempts if one.label.right is False]
    if not wrong or (trigger == "all_wrong" and len(wrong) < len(attempts)):
        return None
    if attempt == "shortest":
        return min(wrong, key=lambda one: len(one.completion.token_ids))
    if attempt == "longest":
        return max(wrong, key=lambda one: len(one.completion.token_ids))
    return wrong[0] if attempt == "first" else wrong[-1]


def _conversation(prompt: Prompt, failed: Judged, request: str) -> tuple[Message, ...]:
    """What a correction is drawn from: the problem, the failed attempt, the request."""
    attempt = Message("assistant", failed.completion.text)
    return (*prompt.messages, attempt, Message("user", request))


def _by_prompt(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    """Each prompt's attempts, in order of index."""
    attempts_of: dict[str, list[Judged]] = {}
    for one in sorted(judged, key=lambda one: one.completion.index):
        attempts_of.setdefault(one.completion.prompt_id, []).append(one)
    return attempts_of


def _check_texts(hint: Literal["gold", "none"], *, hint_text: str, retry_text: str) -> None:
    if hint == "gold" and "{gold}" not in hint_text:
        raise ConfigError(
            f"sampler.hint_text {hint_text!r} has no {{gold}}, so hint=gold would show no answer; "
            "write {gold} where the answer belongs, or set sampler.hint=none"
        )
    if hint == "none" and "{gold}" in retry_text:
        raise ConfigError(
            f"sampler.retry_text {retry_text!r} asks for {{gold}}, which hint=none withholds; "
            "remove it, or set sampler.hint=gold"
        )


def _check_gate(gate: Gate) -> None:
    low, high = gate.min_length_ratio, gate.max_length_ratio
    if low is not None and high is not None and low > high:
        raise ConfigError(
            f"sampler.min_length_ratio {low} is above sampler.max_length_ratio {high}: no "
            "correction could pass; lower the first or raise the second"
        )
    if gate.answer_marker == "" or "" in gate.leak_phrases:
        raise ConfigError(
            "sampler.answer_marker and sampler.leak_phrases: an empty text is found in every "
            "answer; set answer_marker to null, or take the phrase out"
        )

"""Corrections of failed attempts: when, of which attempt, in which words, through which gate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from align_cli.errors import ConfigError
from align_cli.rows import Decoding, Draw, Gate, Judged, Message, Prompt
from align_cli.sampler.attempts import by_prompt, refuse_grades

Trigger = Literal["all_wrong", "any_wrong"]
Attempt = Literal["first", "last", "shortest", "longest"]
Hint = Literal["gold", "none"]
Shows = Literal["last", "all"]


@dataclass(frozen=True, kw_only=True)
class Correction:
    """How failed attempts are corrected; refused where its settings contradict each other."""

    sampler: str
    """For messages."""
    trigger: Trigger
    attempt: Attempt
    hint: Hint
    hint_text: str
    retry_text: str
    gate: Gate
    decoding: Decoding
    steps: int = 1
    """Most corrections of one attempt."""
    shows: Shows = "last"

    def __post_init__(self) -> None:
        _check_texts(self.hint, hint_text=self.hint_text, retry_text=self.retry_text)
        _check_gate(self.gate)

    def draws(self, prompts: Sequence[Prompt], judged: Sequence[Judged]) -> list[Draw]:
        """The next correction of every prompt whose chain has not ended.

        A chain starts from one failed natural attempt. Its next step is wanted while its last one
        is judged and wrong, and there are fewer than `steps`.
        """
        attempts_of = by_prompt(judged)
        found = (self._draw(prompt, attempts_of.get(prompt.id, [])) for prompt in prompts)
        return [draw for draw in found if draw is not None]

    def _draw(self, prompt: Prompt, attempts: Sequence[Judged]) -> Draw | None:
        refuse_grades(attempts, self.sampler)
        natural = [one for one in attempts if one.completion.kind == "natural"]
        failed = failed_attempt(natural, trigger=self.trigger, attempt=self.attempt)
        if failed is None or (self.hint == "gold" and prompt.gold is None):
            return None
        chain = [failed, *(one for one in attempts if one.completion.kind == "corrected")]
        if len(chain) > self.steps or chain[-1].label.right is not False:
            return None
        return Draw(
            prompt_id=prompt.id,
            index=attempts[-1].completion.index + 1,
            messages=self._conversation(prompt, chain),
            decoding=self.decoding,
            kind="corrected",
            # Of a chain, its start: a failed step is behind the gate, so no pair could hold it.
            corrects=failed.completion.index,
            gate=self.gate,
        )

    def _conversation(self, prompt: Prompt, chain: Sequence[Judged]) -> tuple[Message, ...]:
        """What a correction is drawn from: the problem, then attempt and request in turn."""
        # Not str.format: a gold such as \frac{1}{2} and a text with \boxed{} hold braces.
        gold = prompt.gold or ""
        request = self.retry_text if self.hint == "none" else self.hint_text.replace("{gold}", gold)
        shown = chain if self.shows == "all" else chain[-1:]
        turns = [
            (Message("assistant", one.completion.text), Message("user", request)) for one in shown
        ]
        return (*prompt.messages, *(message for turn in turns for message in turn))


def failed_attempt(
    attempts: Sequence[Judged], *, trigger: Trigger, attempt: Attempt
) -> Judged | None:
    """The attempt to correct, or None where nothing triggers; attempts in order of index."""
    wrong = [one for one in attempts if one.label.right is False]
    if not wrong or (trigger == "all_wrong" and len(wrong) < len(attempts)):
        return None
    if attempt == "shortest":
        return min(wrong, key=lambda one: len(one.completion.token_ids))
    if attempt == "longest":
        return max(wrong, key=lambda one: len(one.completion.token_ids))
    return wrong[0] if attempt == "first" else wrong[-1]


def _check_texts(hint: Hint, *, hint_text: str, retry_text: str) -> None:
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

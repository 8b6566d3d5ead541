"""What flows between stages: one row type per stage, frozen, checked where it is made.

Absence is None and never a number. Text is stored once; later rows hold its key (prompt_id, index).
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from align_cli.errors import RowError

Verdict = Literal[
    "judged", "no_gold", "unreadable_gold", "timeout", "error", "refused", "malformed"
]
"""`refused`: the judge declined to judge; `malformed`: what it said cannot be read."""
Finish = Literal["stop", "length"]
Author = Literal["current", "reference", "initial", "recorded"]
"""Who wrote a completion; `recorded`: none of this run's policies, it was given."""
Kind = Literal["natural", "corrected", "forced"]
"""`forced`: a sibling's beginning, then a text that makes the policy answer at once; such an answer
measures the beginning (verifier=progress) and is in no pair."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A question to continue.

    Example:
        Prompt(id="9f2c...", messages=(Message("user", "7+8-3"),), gold="12",
               source="arithmetic:train:3", stratum="2 steps")
    """

    id: str
    """16 hex digits of the conversation's content; the same on every machine and in every run."""
    messages: tuple[Message, ...]
    gold: str | None
    """Reference answer as given, None if there is none; only verifiers and hints read it."""
    source: str
    """Where to look it up: `dataset:split:row`."""
    stratum: str = ""
    """A part of the task that scores are also reported for, e.g. `3 steps`."""

    def __post_init__(self) -> None:
        if not self.messages or self.messages[-1].role != "user":
            raise RowError(f"prompt {self.source}: the last message must be the user's")


def prompt_id(messages: tuple[Message, ...]) -> str:
    """The content hash that names a prompt, from its conversation alone."""
    text = "\x1e".join(f"{message.role}\x1f{message.content}" for message in messages)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A worked answer to imitate in supervised warm start."""

    id: str
    messages: tuple[Message, ...]
    response: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Two answers to one conversation, the first preferred: what a reward model learns from.

    Example:
        Preference(prompt_id="9f2c...", messages=(Message("user", "7+8"),), chosen="7+8=15#15",
                   rejected="7+8=5#5", chosen_ended=True, rejected_ended=True, margin=1.0,
                   source="round_00:9f2c.../0>3")
    """

    prompt_id: str
    messages: tuple[Message, ...]
    chosen: str
    rejected: str
    chosen_ended: bool
    """False where the answer was cut at the token limit: it has no end-of-turn."""
    rejected_ended: bool
    margin: float
    """How much better the chosen answer was found [score units]."""
    source: str
    """Where to look it up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How one completion is drawn; every value is recorded with it."""

    max_new_tokens: int
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps the whole vocabulary."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.temperature < 0 or self.top_k < 0:
            raise RowError(f"decoding out of range: {self}")
        if not 0 < self.top_p <= 1:
            raise RowError(f"top_p must be in (0, 1], got {self.top_p}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The quality checks a correction must pass to become a pair; None switches a check off."""

    right: bool = True
    """The verifier accepts it."""
    stops: bool = True
    """It ends by itself, not at the token limit."""
    answer_marker: str | None = None
    """This text (say `\\boxed`) occurs exactly once."""
    leak_phrases: tuple[str, ...] = ()
    """None of these occurs, letter case ignored."""
    min_length_ratio: float | None = None
    max_length_ratio: float | None = None
    """Length over the failed attempt's length [tokens / tokens]."""
    min_mean_logp: float | None = None
    """Mean log-prob per token under the original prompt [nats/token]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """The first tokens of a sibling that a draw goes on from, as they were sampled."""

    of: int
    """Index of the sibling."""
    token_ids: tuple[int, ...]
    logps: tuple[float, ...]
    """Of these tokens, as the sibling has them [nats]."""

    def __post_init__(self) -> None:
        if not self.token_ids or len(self.logps) != len(self.token_ids):
            raise RowError(
                f"prefix of sibling {self.of}: {len(self.token_ids)} tokens and "
                f"{len(self.logps)} log-probs; wanted as many of both, and at least one"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One completion that a sampler asks for."""

    prompt_id: str
    index: int
    """Sibling number, dense from 0 within the prompt and round."""
    messages: tuple[Message, ...]
    """What the model is conditioned on; for a correction, not the original prompt."""
    decoding: Decoding
    author: Author = "current"
    kind: Kind = "natural"
    corrects: int | None = None
    """Index of the failed attempt that a correction starts from."""
    gate: Gate | None = None
    given: str | None = None
    """The answer itself where nothing is sampled; its author is `recorded`."""
    prefix: Prefix | None = None
    """What the answer begins with; the rest is sampled. None: all of it is."""
    step_end: str | None = None
    """The text that ends a step, where the steps of the answer are to be found."""
    answer_mark: str | None = None
    """The text that the final answer begins with: where it first stands, a step ends before it."""
    forced: str | None = None
    """Put after the prompt, and the prefix if there is one, for the policy to go on from: it makes
    it answer at once. None: nothing is put there."""
    judge: bool = True
    """False: drawn for the pool, which no verifier sees. The same draw asked for again with True is
    not drawn again: the pool's completion is judged."""

    def __post_init__(self) -> None:
        kept = 0 if self.prefix is None else len(self.prefix.token_ids)
        if kept and self.author == "recorded":
            raise RowError(f"draw {self.prompt_id}/{self.index}: a recorded answer has no prefix")
        if kept >= self.decoding.max_new_tokens:
            raise RowError(
                f"draw {self.prompt_id}/{self.index}: a prefix of {kept} tokens leaves nothing of "
                f"max_new_tokens={self.decoding.max_new_tokens}, which counts the whole answer"
            )
        if (self.kind == "forced") != bool(self.forced):
            raise RowError(
                f"draw {self.prompt_id}/{self.index}: exactly the forced have a text put"
            )
        if "" in (self.step_end, self.answer_mark):
            raise RowError(f"draw {self.prompt_id}/{self.index}: an empty text ends no step")
        if (self.kind == "corrected") != (self.corrects is not None):
            raise RowError(f"draw {self.prompt_id}/{self.index}: a correction says of what")
        if (self.author == "recorded") != (self.given is not None):
            raise RowError(f"draw {self.prompt_id}/{self.index}: exactly the recorded are given")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a sampler may return in place of a list of draws: the draws, and how it came to them."""

    draws: Sequence[Draw]
    metrics: Mapping[str, float]
    """Numbers of the choice, `sample/...`; they are journalled with those of the round's draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What an engine makes of one draw."""

    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """As sampled, end-of-turn included when it was emitted; training uses these ids."""
    logps: tuple[float, ...]
    """The policy's log-prob of each token at temperature 1, whole vocabulary [nats]."""
    finish: Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One sampled answer; its key is (prompt_id, index)."""

    prompt_id: str
    index: int
    text: str
    """Decoded, special tokens removed."""
    token_ids: tuple[int, ...]
    logps: tuple[float, ...]
    """The policy's log-prob of each token given `messages`, at temperature 1 [nats]."""
    finish: Finish
    policy: str
    """Fingerprint of the checkpoint that wrote it, or that scored it where it was recorded."""
    author: Author
    kind: Kind
    corrects: int | None
    messages: tuple[Message, ...] | None
    """The conversation it continues where that is not the prompt's own; None otherwise."""
    prompt_logp: float | None
    """For corrections: log-prob of the tokens under the original prompt [nats]; else None."""
    prompt_tokens: int
    seed: int
    """Key of its random stream, unsigned 64 bit."""
    temperature: float
    top_p: float
    top_k: int
    max_new_tokens: int
    continues: int | None = None
    """Index of the sibling that its first tokens come from; None: all of it was sampled for it."""
    kept_tokens: int = 0
    """How many tokens those are; they cost nothing here."""
    forced_tokens: int = 0
    """How many tokens after those were put there to make the policy answer; nobody sampled them."""
    step_ends: tuple[int, ...] | None = None
    """After how many tokens each step ends, by the draw's delimiter; None: not looked for."""

    def __post_init__(self) -> None:
        if not self.token_ids:
            raise RowError(f"completion {self.prompt_id}/{self.index} has no token")
        if (self.continues is None) != (self.kept_tokens == 0):
            raise RowError(
                f"completion {self.prompt_id}/{self.index} continues {self.continues} by "
                f"{self.kept_tokens} tokens; exactly what continues keeps some"
            )
        if len(self.logps) != len(self.token_ids):
            raise RowError(
                f"completion {self.prompt_id}/{self.index}: {len(self.token_ids)} tokens but "
                f"{len(self.logps)} log-probs"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What a policy, or an embedding, makes of one completion: a place among the others."""

    prompt_id: str
    index: int
    vector: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.vector or not all(map(math.isfinite, self.vector)):
            raise RowError(f"features of {self.prompt_id}/{self.index} are not finite numbers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a verifier says of one completion.

    Example:
        Label(prompt_id="9f2c...", index=3, score=1.0, right=True, verdict="judged", answer="42")
        Label(prompt_id="9f2c...", index=4, score=None, verdict="timeout", detail="sympy, 5 s")
    """

    prompt_id: str
    index: int
    score: float | None = None
    """Higher is better, in the verifier's own unit; None if it was not judged."""
    right: bool | None = None
    """Whether the verifier accepts it; None if not judged, or if the judge only grades."""
    verdict: Verdict = "judged"
    answer: str | None = None
    """The answer that was read from the text, normalised; None if none was found."""
    detail: str = ""
    """For people: the judge's words, the exception."""
    clean_score: float | None = None
    clean_right: bool | None = None
    """What the verifier said before noise; equal to score and right when there is none."""
    member_scores: tuple[float, ...] | None = None
    """Of a judge of several members: the score of each; None of any other."""
    member_weights: tuple[float, ...] | None = None
    """The weights by which the members' scores were summed; None where they were not."""

    def __post_init__(self) -> None:
        if (self.score is None) != (self.verdict != "judged"):
            raise RowError(
                f"label {self.prompt_id}/{self.index}: score {self.score} with verdict "
                f"{self.verdict!r}; exactly the judged have a score"
            )
        if self.score is not None and not math.isfinite(self.score):
            raise RowError(f"label {self.prompt_id}/{self.index}: score {self.score} is not finite")
        if self.score is None and self.right is not None:
            raise RowError(f"label {self.prompt_id}/{self.index}: unjudged, yet right={self.right}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A completion with its label: what samplers and pairing rules look at."""

    completion: Completion
    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """One version of what a judge judges by, where that changes between rounds."""

    version: int
    """1 is the one that the run was given."""
    text: str
    analysis: str = ""
    """What the model that wrote it found wrong with the version before."""
    stands_because: str | None = None
    """Why the version before stands, where a new one was asked for and could not be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How a policy does on one held-out prompt; runs are compared item by item on these."""

    prompt_id: str
    stratum: str
    greedy_right: bool | None
    samples: int
    """Sampled completions that were judged."""
    right: int | None
    """How many of them are right; None where the verifier only grades."""
    unscored: int
    majority_right: float | None
    """1 or 0, or the share of the tied answers that are right; None if no sample was judged."""
    length_tokens: float
    """Mean length of the sampled completions."""
    truncated: int
    greedy_score: float | None = None
    sampled_score: float | None = None
    """Mean over the judged samples. These two, in the verifier's unit, where it only grades."""
    regularised_score: float | None = None
    """E score - beta KL(policy || reference), where that is known exactly; else None."""

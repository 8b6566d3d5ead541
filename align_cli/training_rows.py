"""What a round trains on: pairs and groups, and their log-probs under the round's reference.

Absence is None and never a number. A row points at completions by prompt id and index.
"""

import math
from dataclasses import dataclass

from align_cli.errors import RowError
from align_cli.rows import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Two sibling steps of a search, where a pair compares these and not whole answers.

    A side is the first tokens of its completion: what both begin with, then its own step.
    """

    chosen_tokens: int
    """Tokens of `chosen` up to the end of its step."""
    rejected_tokens: int
    chosen_value: float
    """What the search found the step worth, Q [score units]."""
    rejected_value: float
    chosen_visits: int
    """Judged answers that go through the step."""
    rejected_visits: int

    def __post_init__(self) -> None:
        if min(self.chosen_tokens, self.rejected_tokens) < 1:
            raise RowError(f"{self}: a step has at least one token")
        if min(self.chosen_visits, self.rejected_visits) < 1:
            raise RowError(f"{self}: a step without a visit has no value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A preference: completion `chosen` over completion `rejected` of the same prompt."""

    prompt_id: str
    chosen: int
    rejected: int
    margin: float
    """score(chosen) - score(rejected) [score units], of steps their values'; 0 where tied."""
    kind: Kind
    """`corrected` when the chosen completion is a correction."""
    tied: bool = False
    """Both have one score, and the pairing rule was asked by name to break ties."""
    steps: Steps | None = None
    """None: the sides are whole answers."""
    flipped: bool = False
    """A filter has turned it round: the margin is below 0, and stands as the verifier had it."""
    p_right: float = 1.0
    """Chance that chosen is the better one, as a filter believes; training weighs both labels."""
    strength_mean: float | None = None
    """Of an ensemble's rewards of chosen minus rejected, where one was asked [score units]."""
    strength_std: float | None = None
    bald: float | None = None
    """How far dropout masks disagree on the pair, where a filter asked [nats]."""
    weight: float = 1.0
    """By how much its loss counts, above 0; 1 on average over the pairs that a filter weighs."""

    def __post_init__(self) -> None:
        if self.chosen == self.rejected:
            raise RowError(f"pair of {self.prompt_id}: chosen and rejected are both {self.chosen}")
        if not 0 <= self.p_right <= 1:
            raise RowError(f"pair of {self.prompt_id}: p_right {self.p_right} is no probability")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise RowError(f"pair of {self.prompt_id}: weight {self.weight}; wanted above 0")
        if self.flipped:
            if not self.margin < 0:
                raise RowError(f"pair of {self.prompt_id}: flipped, yet of margin {self.margin}")
            return
        if self.tied and self.margin != 0:
            raise RowError(f"pair of {self.prompt_id}: tied, yet of margin {self.margin}")
        if not self.tied and not self.margin > 0:
            raise RowError(f"pair of {self.prompt_id}: margin {self.margin}; a tie is no pair")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReference:
    """Log-probs of a pair under the round's reference, computed once and stored."""

    prompt_id: str
    round: int
    """The round the pair comes from; earlier than the present one when it is replayed."""
    chosen: int
    rejected: int
    chosen_logp: float
    """log p(chosen | prompt), summed over tokens [nats]."""
    rejected_logp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTokenReference:
    """Log-probs of every token of a pair under the round's reference."""

    prompt_id: str
    round: int
    """The round the pair comes from; earlier than the present one when it is replayed."""
    chosen: int
    rejected: int
    chosen_logps: tuple[float, ...]
    """log p(token | prompt and the tokens before it) [nats]."""
    rejected_logps: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The judged completions of one prompt that are trained on together.

    Example:
        Group(prompt_id="9f2c...", indices=(0, 1, 3), scores=(1.0, 0.0, 1.0),
              rights=(True, False, True))
    """

    prompt_id: str
    indices: tuple[int, ...]
    scores: tuple[float, ...]
    """In the order of the indices [score units]."""
    rights: tuple[bool, ...] | None
    """None where the judge only grades."""

    def __post_init__(self) -> None:
        where = f"group of {self.prompt_id}"
        if len(self.indices) < 2 or len(set(self.indices)) < len(self.indices):
            raise RowError(f"{where}: indices {self.indices}; wanted two or more different ones")
        for name, values in (("scores", self.scores), ("rights", self.rights)):
            if values is not None and len(values) != len(self.indices):
                raise RowError(f"{where}: {len(values)} {name} of {len(self.indices)} completions")
        if not all(map(math.isfinite, self.scores)):
            raise RowError(f"{where}: scores {self.scores} are not all finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReference:
    """Log-probs of a group's completions under the round's reference, computed once and stored."""

    prompt_id: str
    round: int
    """The round the group comes from; earlier than the present one when it is replayed."""
    indices: tuple[int, ...]
    member_logps: tuple[float, ...]
    """log p(completion | prompt), summed over tokens, in the order of the indices [nats]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MismatchReference:
    """Log-prob of another prompt's completion under a group's prompt and the round's reference."""

    prompt_id: str
    round: int
    other_prompt_id: str
    other_round: int
    other_index: int
    """The completion is (other_prompt_id, other_index) of round `other_round`."""
    logp: float
    """log p(other completion | prompt), summed over tokens [nats]."""

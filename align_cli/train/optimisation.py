"""What the step loop asks of a model and of a plan, whatever is trained."""

from typing import Literal, Protocol

from transformers import PreTrainedModel


class Trainable(Protocol):
    """What is trained: a network that reads tokens, in memory."""

    @property
    def network(self) -> PreTrainedModel:
        """Its weights."""


class Optimisation(Protocol):
    """What of a plan the step loop reads; `schedule.plan` and `train.reward` say what it means."""

    @property
    def epochs(self) -> int:
        """Passes over the examples."""

    @property
    def batch_size(self) -> int:
        """Examples per optimiser step."""

    @property
    def micro_batch_size(self) -> int:
        """Examples per forward pass."""

    @property
    def learning_rate(self) -> float:
        """The peak."""

    @property
    def curve(self) -> Literal["constant", "linear", "cosine"]:
        """Shape of the learning rate."""

    @property
    def warmup_share(self) -> float:
        """Share of the steps."""

    @property
    def clip_norm(self) -> float | None:
        """Largest gradient norm; None: not clipped."""

    @property
    def weight_decay(self) -> float:
        """AdamW's."""

    @property
    def adam_beta1(self) -> float:
        """AdamW's."""

    @property
    def adam_beta2(self) -> float:
        """AdamW's."""

    @property
    def adam_eps(self) -> float:
        """AdamW's."""

    @property
    def checkpoint_every(self) -> int:
        """[steps]."""

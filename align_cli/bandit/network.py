"""A bandit's policy as a transformers model: a prompt is a context's token, an answer an arm's.

So a checkpoint, log-probs, training and every loss are the very code that language models run
through, in float64. Arms are tokens 0 to K - 1, contexts K to K + X - 1. Importing this module
makes the architecture known to transformers; no model's own code is ever run.

Shapes: B sequences, T tokens, X contexts, K arms, D features.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutput

from align_cli.bandit.instance import Array
from align_cli.errors import ConfigError

KIND = "align_bandit"


class BanditConfig(PreTrainedConfig):
    """The sizes; what a transformers configuration must say besides is said of no layers at all."""

    model_type = KIND
    contexts: int = 1
    arms: int = 2
    features: int | None = None
    """D of a linear softmax; None: one free number per context and arm (tabular)."""
    hidden_size: int = 1
    num_attention_heads: int = 1
    num_hidden_layers: int = 0
    max_position_embeddings: int = 2
    """A context and an arm."""


class Arms(nn.Module):
    """What is fixed of the arms: the reference's log-probs, and their features if there are any."""

    log_reference_XK: Tensor
    weight: Tensor
    """[X, K, D]; D is 0 for a tabular policy. So named as every output layer's is."""

    def __init__(self, config: BanditConfig) -> None:
        super().__init__()
        shape = (config.contexts, config.arms)
        reference_XK = torch.zeros(shape, dtype=torch.float64)
        weight_XKD = torch.zeros(*shape, config.features or 0, dtype=torch.float64)
        self.register_buffer("log_reference_XK", reference_XK)
        self.register_buffer("weight", weight_XKD)


class BanditNetwork(PreTrainedModel):
    """log pi(arm | context) = log reference + lift - log of the sum; exact, in float64.

    lift = <theta, phi(context, arm)> of a linear softmax, a free number of a tabular policy.
    All parameters at 0 is the reference.
    """

    config_class = BanditConfig
    config: BanditConfig

    def __init__(self, config: BanditConfig) -> None:
        super().__init__(config)
        self.arms = Arms(config)
        free = (config.contexts, config.arms) if config.features is None else (config.features,)
        self.parameter = nn.Parameter(torch.zeros(free, dtype=torch.float64))
        # Every arm ends the answer.
        self.generation_config = GenerationConfig(eos_token_id=list(range(config.arms)))
        self.post_init()  # type: ignore[no-untyped-call]

    def get_output_embeddings(self) -> Any:
        """The features, one product with which gives the logits: what a forward pass costs."""
        return self.arms

    def _init_weights(self, module: nn.Module) -> None:
        """All that is not in a checkpoint stays as it was made."""

    def logits(self) -> Tensor:
        """Of every arm in every context; differentiable."""
        lift_XK: Tensor = self.parameter
        if self.config.features is not None:
            lift_XK = self.arms.weight.matmul(self.parameter)
        return self.arms.log_reference_XK + lift_XK

    def log_probs(self) -> Tensor:
        """log pi(arm | context) [nats]; differentiable."""
        return self.logits().log_softmax(-1)

    def context_of(self, input_ids: Tensor) -> Tensor:
        """The context that each token names; 0 for an arm, after which nothing is asked."""
        return (input_ids - self.config.arms).clamp(0, self.config.contexts - 1)

    def logps_after(self, before_N: Tensor, ids_N: Tensor) -> Tensor:
        """[N] log-prob of each arm after each token; `forward`'s, from one table of them all."""
        return self.log_probs()[self.context_of(before_N), ids_N]

    def forward(
        self, input_ids: Tensor, output_hidden_states: bool = False, **unread: Any
    ) -> CausalLMOutput:
        """[B, T, K] logits of the arm that follows each token; nothing is kept between calls.

        The one hidden state at an arm is its features in the context before it; at a context, 0.
        """
        logits_BTK = self.logits()[self.context_of(input_ids)]
        states = (self._states(input_ids),) if output_hidden_states else None
        return CausalLMOutput(logits=logits_BTK, hidden_states=states)

    def _states(self, input_ids: Tensor) -> Tensor:
        if self.config.features is None:
            raise ConfigError(
                "policy=tabular has no features of arms, and this sampler or loss reads them; "
                "choose policy=linear_softmax, or another sampler or loss"
            )
        context_B1 = self.context_of(input_ids[:, :1])
        arm_BT = input_ids.clamp(max=self.config.arms - 1)
        states_BTD = self.arms.weight[context_B1, arm_BT]
        return states_BTD * (input_ids < self.config.arms)[:, :, None]


def log_probs_of(network: PreTrainedModel, who: str) -> Array:
    """[X, K] log-probs of every arm [nats]; `who` needs a bandit's policy, for the message."""
    if not isinstance(network, BanditNetwork):
        raise ConfigError(
            f"{who} is of bandits' policies, and this one is a {type(network).__name__}; choose "
            "another, or policy=linear_softmax or tabular with a task of bandits"
        )
    with torch.no_grad():
        out: Array = network.log_probs().cpu().numpy()
    return out


AutoConfig.register(KIND, BanditConfig, exist_ok=True)
AutoModelForCausalLM.register(BanditConfig, BanditNetwork, exist_ok=True)

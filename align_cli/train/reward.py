"""Training of a reward model: pairs of written answers in, better weights out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from align_cli.errors import ConfigError, NonFinite, RowError
from align_cli.model.flops import forward_flops
from align_cli.model.lora import check_installed
from align_cli.model.reward_model import RewardModel
from align_cli.rows import Preference
from align_cli.seeds import derive
from align_cli.store.cost import Cost
from align_cli.train.numbers import mean
from align_cli.train.steps import Losses

Objective = Callable[..., Tensor]
"""(chosen_BD, rejected_BD, margin_B) -> [B]; see align_cli/objective/."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardPlan:
    """The optimisation of a reward model; `reward_plan` says what each choice means."""

    epochs: int
    batch_size: int
    micro_batch_size: int
    learning_rate: float
    curve: Literal["constant", "linear", "cosine"]
    warmup_share: float
    weight_decay: float
    clip_norm: float | None
    adam_beta1: float
    adam_beta2: float
    adam_eps: float
    dropout: float
    lora_rank: int | None
    lora_alpha: int | None
    heldout_share: float
    probe_pairs: int
    checkpoint_every: int


def reward_plan(
    *,
    epochs: Annotated[int, ">= 1", "passes over the pairs"],
    batch_size: Annotated[int, ">= 1", "pairs"],
    micro_batch_size: Annotated[int, ">= 1", "pairs"],
    learning_rate: Annotated[float, "> 0"],
    curve: Literal["constant", "linear", "cosine"],
    warmup_share: Annotated[float, "[0, 1)", "share of the steps"],
    weight_decay: Annotated[float, ">= 0"],
    clip_norm: Annotated[float | None, "> 0"],
    adam_beta1: Annotated[float, "[0, 1)"],
    adam_beta2: Annotated[float, "[0, 1)"],
    adam_eps: Annotated[float, "> 0"],
    dropout: Annotated[float, "[0, 1)"],
    lora_rank: Annotated[int | None, ">= 1"],
    lora_alpha: Annotated[int | None, ">= 1"],
    heldout_share: Annotated[float, "(0, 1)", "share of prompts"],
    probe_pairs: Annotated[int, ">= 10", "pairs"],
    checkpoint_every: Annotated[int, ">= 1", "steps"],
) -> RewardPlan:
    """Minimise the mean of the objective over pairs, with AdamW, of all weights or by LoRA.

    Both answers of a pair are read under the same conversation, in one forward pass. Prompts, not
    pairs, are held out: a hash of the prompt decides, so no answer to a held-out prompt is
    trained on, in this training or in another of the same share.

    Settings:
        epochs: passes over the pairs; a reward model soon knows its pairs by heart.
        batch_size: pairs per optimiser step, a multiple of micro_batch_size.
        micro_batch_size: pairs per forward pass; memory, not mathematics.
        learning_rate: the peak.
        curve, warmup_share: shape of the learning rate, see train/curve.py.
        clip_norm: largest gradient norm; null: not clipped.
        weight_decay, adam_beta1, adam_beta2, adam_eps: AdamW.
        dropout: every dropout rate of the architecture, in training; it is saved with the model,
            and filter=mc_dropout wants it above 0. Scores are always given without.
        lora_rank: null trains all weights; else the backbone is frozen under adapters of this rank
            on its linear layers (peft; Hu et al. 2021, arXiv:2106.09685), the head trains whole,
            and the adapters are merged before the model is saved.
        lora_alpha: adapters are scaled by lora_alpha / lora_rank; null: by 2. Only with a rank.
        heldout_share: of the prompts, for the held-out numbers.
        probe_pairs: held-out pairs that are saved with the model, at most; a run asks them again
            before it labels anything.
        checkpoint_every: a killed training repeats at most this many steps.
    """
    if batch_size % micro_batch_size:
        raise ConfigError(
            f"train.batch_size {batch_size} is not a multiple of train.micro_batch_size "
            f"{micro_batch_size}: a batch is made of whole micro-batches; change either"
        )
    if lora_rank is not None:
        check_installed(f"train.lora_rank={lora_rank}")
        lora_alpha = 2 * lora_rank if lora_alpha is None else lora_alpha
    elif lora_alpha is not None:
        raise ConfigError(
            f"train.lora_alpha={lora_alpha} scales adapters, and train.lora_rank=null asks for "
            "none; set train.lora_rank, say to 8, or leave lora_alpha null"
        )
    return RewardPlan(
        epochs=epochs,
        batch_size=batch_size,
        micro_batch_size=micro_batch_size,
        learning_rate=learning_rate,
        curve=curve,
        warmup_share=warmup_share,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        adam_beta1=adam_beta1,
        adam_beta2=adam_beta2,
        adam_eps=adam_eps,
        dropout=dropout,
        lora_rank=lora_rank,
        lora_alpha=lora_alpha,
        heldout_share=heldout_share,
        probe_pairs=probe_pairs,
        checkpoint_every=checkpoint_every,
    )


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """One pair as tokens, each side with its conversation."""

    pair: Preference
    chosen_ids: tuple[int, ...]
    rejected_ids: tuple[int, ...]


def encoded(model: RewardModel, pairs: Sequence[Preference]) -> list[EncodedPair]:
    """Tokens of both sides of every pair; a side that the model cannot read is an error."""
    chosen = model.encode_all([(p.messages, p.chosen, p.chosen_ended) for p in pairs])
    rejected = model.encode_all([(p.messages, p.rejected, p.rejected_ended) for p in pairs])
    return [_readable(*each) for each in zip(pairs, chosen, rejected, strict=True)]


def _readable(
    pair: Preference, chosen: tuple[int, ...] | str, rejected: tuple[int, ...] | str
) -> EncodedPair:
    for side in (chosen, rejected):
        if isinstance(side, str):
            raise RowError(
                f"{pair.source}: the reward model cannot read this pair: {side}; take a backbone "
                "that can, or take the pair out"
            )
    assert not isinstance(chosen, str)
    assert not isinstance(rejected, str)
    return EncodedPair(pair, chosen, rejected)


def logits_of(model: RewardModel, pairs: Sequence[EncodedPair]) -> tuple[Tensor, Tensor]:
    """[B, D] of both sides, in one differentiable pass."""
    sides = [pair.chosen_ids for pair in pairs] + [pair.rejected_ids for pair in pairs]
    chosen_BD, rejected_BD = model.logits(sides).chunk(2)
    return chosen_BD, rejected_BD


@dataclass(frozen=True)
class RewardTask:
    """Training on pairs, as the step loop sees it."""

    examples: Sequence[EncodedPair]
    objective: Objective
    plan: RewardPlan
    seed: int
    unit: ClassVar[str] = "pairs"
    side: ClassVar[nn.Module | None] = None
    round_number: ClassVar[int] = 0

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.examples)

    def prompt_id(self, place: int) -> str:
        """The prompt of a pair."""
        return self.examples[place].pair.prompt_id

    def lengths(self, place: int) -> list[int]:
        """Tokens of both sides, each with its conversation."""
        return [len(self.examples[place].chosen_ids), len(self.examples[place].rejected_ids)]

    def losses(
        self, model: RewardModel, places: Sequence[int], cost: Cost, step: int | None = None
    ) -> Losses:
        """The objective on these pairs; in a step of training with dropout, after it without."""
        pairs = [self.examples[place] for place in places]
        with torch.random.fork_rng(devices=[]):
            dropping = self.plan.dropout > 0 and step is not None
            if dropping:
                # Named by step and first pair, so that a resumed step drops the same units.
                torch.manual_seed(derive(self.seed, "dropout", step or 0, places[0]) >> 1)
            model.network.train(dropping)
            chosen_BD, rejected_BD = logits_of(model, pairs)
            model.network.eval()
        margin_B = torch.tensor([pair.pair.margin for pair in pairs], device=model.device)
        loss_B = self.objective(chosen_BD=chosen_BD, rejected_BD=rejected_BD, margin_B=margin_B)
        self._check_finite(loss_B, pairs, step)
        for pair in pairs:
            for ids in (pair.chosen_ids, pair.rejected_ids):
                cost.forward_flops += forward_flops(model.network, len(ids), len(ids) / 2)
        odds_B = model.odds(chosen_BD.detach(), rejected_BD.detach())
        numbers = {
            "loss": mean(loss_B),
            "accuracy": mean((odds_B > 0).float() + 0.5 * (odds_B == 0).float()),
            "log_odds": mean(odds_B),
        }
        return Losses(loss_B, {name: (value, len(pairs)) for name, value in numbers.items()})

    def _check_finite(self, loss_B: Tensor, pairs: Sequence[EncodedPair], step: int | None) -> None:
        finite = loss_B.isfinite().tolist()
        bad = [each.pair.source for each, good in zip(pairs, finite, strict=True) if not good]
        if bad:
            where = "after the last step" if step is None else f"step {step}"
            raise NonFinite(
                f"train-rm, {where}: the loss is not finite for {len(bad)} of {len(pairs)} pairs, "
                f"{', '.join(bad[:5])}; lower train.learning_rate or objective.margin_scale, or "
                "look at these pairs. No weight was changed by this step"
            )

"""Losses on single tokens: what they reduce to, and what TRL says of one of them."""

from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import presets
import pytest
import torch
from token_presets import (
    call,
    close,
    dpo,
    gradients,
    random_tokens,
    summed,
    with_leaves,
)

from align_cli.batches import PairTokenKLs, PairTokenMasks, PairTokens
from align_cli.errors import RowError


@pytest.mark.parametrize("name", ["tdpo1", "tdpo2"])
def test_tdpo_without_drift_is_dpo(name: str):
    data = random_tokens(10)
    zeros = torch.zeros_like(data["token_kls"].chosen_BT)
    close(call(name, data | {"token_kls": PairTokenKLs(zeros, zeros)}).loss_B, dpo(data))
    close(call(name, data, kl_weight=0.0).loss_B, dpo(data))


def test_tdpo2_differs_from_tdpo1_in_the_chosen_drift_s_gradient_alone():
    data = random_tokens(11)
    same = {"kl_weight": 0.7}
    close(call("tdpo1", data, **same).loss_B, call("tdpo2", data, **same).loss_B)
    one, two = (gradients(name, data, **same) for name in ("tdpo1", "tdpo2"))
    for place in (0, 1, 3):
        close(one[place], two[place])
    assert (one[2].sum(-1) < 0).all()
    assert (two[2] == 0).all()


def test_suffix_of_pairs_that_share_nothing_is_dpo():
    data = random_tokens(12)
    none = replace(data["tokens"], shared_B=torch.zeros_like(data["tokens"].shared_B))
    data["tokens"] = none
    close(call("suffix_dpo", data).loss_B, dpo(data))
    close(call("suffix_ipo", data).loss_B, dpo(data, "ipo_sum"))
    found = call("suffix_dpo", data, reduction="per_token", beta=0.7).loss_B
    close(found, dpo(data, "dpo_norm", beta=0.7))


def test_suffix_of_pairs_with_a_common_beginning_is_dpo_but_for_rewards():
    data = random_tokens(13)
    tokens, reference = data["tokens"], data["ref_tokens"]
    for row, shared in enumerate(tokens.shared_B.tolist()):
        for side in (tokens, reference):
            side.rejected_BT[row, :shared] = side.chosen_BT[row, :shared]
    assert tokens.shared_B.any()
    close(call("suffix_dpo", data).loss_B, dpo(data), 1e-10)
    whole = presets.call("dpo", summed(data)).chosen_reward_B
    assert not torch.allclose(call("suffix_dpo", data).chosen_reward_B, whole)


def test_a_judge_s_confidence():
    data = random_tokens(14)
    chosen = torch.tensor([1.0, 3.0, 4.0, 0.5, 2.0, 0.0], dtype=torch.float64)
    rejected = torch.tensor([0.0, 0.0, 1.0, 0.5, 9.0, 0.0], dtype=torch.float64)
    data["pair_labels"] = replace(
        data["pair_labels"], chosen_score_B=chosen, rejected_score_B=rejected
    )
    sure = call("suffix_dpo", data)
    margin = sure.chosen_reward_B - sure.rejected_reward_B
    unsure = margin + sure.loss_B  # -log sigmoid(-z) = z - log sigmoid(z)
    # 1 - conf: odds 0, 0, 1/4, 1/2 (over max(1, 1/2)), 9/2 (cut at a half), 0
    doubt = torch.tensor([0.0, 0.0, 1 / 5, 1 / 3, 1 / 2, 0.0], dtype=torch.float64)
    close(call("mcts_dpo", data).loss_B, (1 - doubt) * sure.loss_B + doubt * unsure, 1e-10)
    # The visits of a search are another count of the same kind, and nothing stands for them.
    unsearched = replace(data["pair_labels"], chosen_visits_B=None)
    with pytest.raises(RowError, match="no search has visited"):
        call("mcts_dpo", {**data, "pair_labels": unsearched}, believe="visits")
    turned = replace(data["pair_labels"], chosen_visits_B=rejected, rejected_visits_B=chosen)
    doubt = torch.tensor([0.5, 0.5, 0.5, 1 / 3, 2 / 11, 0.0], dtype=torch.float64)
    found = call("mcts_dpo", {**data, "pair_labels": turned}, believe="visits").loss_B
    close(found, (1 - doubt) * sure.loss_B + doubt * unsure, 1e-10)


def test_ld_dpo_between_dpo_and_truncation():
    data = random_tokens(15)
    close(call("ld_dpo", data, tail_weight=1.0).loss_B, dpo(data))
    tokens = data["tokens"]
    both = tokens.chosen_mask_BT & tokens.rejected_mask_BT
    cut = {
        name: replace(
            data[name],
            chosen_BT=data[name].chosen_BT * both,
            rejected_BT=data[name].rejected_BT * both,
        )
        for name in ("tokens", "ref_tokens")
    }
    close(call("ld_dpo", data, tail_weight=0.0).loss_B, dpo(data | cut))
    close(call("d2po", data, decay=1.0).loss_B, dpo(data))


def test_masks_that_let_everything_through_make_tdpo1():
    data = random_tokens(16)
    everything = {"reward_mask": "all", "kl_mask": "all"}
    close(call("mapo", data, **everything).loss_B, call("tdpo1", data).loss_B)


def test_open_masks_without_a_price_make_tdpo1():
    data = random_tokens(18)
    ones = torch.ones_like(data["tokens"].chosen_BT)
    data["token_masks"] = PairTokenMasks(ones, ones, ones, ones)
    free = {"reward_sparsity": 0.0, "kl_sparsity": 0.0}
    for name in ("sparsepo_common", "sparsepo_independent"):
        close(call(name, data, **free).loss_B, call("tdpo1", data).loss_B)


def test_a_common_mask_is_the_reward_s():
    data = random_tokens(19)
    masks = data["token_masks"]
    twice = replace(
        masks, chosen_kl_BT=masks.chosen_reward_BT, rejected_kl_BT=masks.rejected_reward_BT
    )
    prices = {"reward_sparsity": 0.2, "kl_sparsity": 0.2}
    common = call("sparsepo_common", data, **prices).loss_B
    halves = {"reward_sparsity": 0.1, "kl_sparsity": 0.1}
    close(
        common, call("sparsepo_independent", data | {"token_masks": twice}, **halves).loss_B, 1e-10
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tail_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_dpo_trainer_of_trl_agrees_on_ld_dpo(dtype: torch.dtype, tail_weight: float):
    trl = pytest.importorskip("trl", reason="TRL is the referee; install align-cli[dev]")
    data, leaves = with_leaves(random_tokens(17, dtype=dtype))
    tokens, reference = data["tokens"], data["ref_tokens"]
    mask = torch.cat([tokens.chosen_mask_BT, tokens.rejected_mask_BT]).long()
    mask = torch.cat([torch.zeros_like(mask[:, :1]), mask], 1)
    zeros = torch.zeros(12, 9)

    def model_of(held: PairTokens) -> Any:
        return lambda **_: SimpleNamespace(
            log_probs=torch.cat([held.chosen_BT, held.rejected_BT]) * mask[:, 1:], entropy=zeros,
            mean_logits=zeros, is_top1=zeros.bool(), log_sum_sq_probs=zeros,
        )  # fmt: skip

    # TRL looks through its model for adapters where peft is installed.
    trained = torch.nn.Identity().eval()
    trained.is_gradient_checkpointing = False
    stub = SimpleNamespace(
        accelerator=SimpleNamespace(
            device="cpu", gather=lambda value: value, gather_for_metrics=lambda value: value
        ),
        model=trained,
        ref_model=model_of(reference), aux_loss_enabled=False,
        ld_alpha=tail_weight, precompute_ref_logps=False, beta=0.1,
        loss_types=["sigmoid"], loss_weights=[1.0], f_divergence_type="reverse_kl",
        f_alpha_divergence_coef=None, label_smoothing=0.0, use_weighting=False,
        _metrics={"eval": defaultdict(list)}, _total_train_tokens=0,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None, gradient_checkpointing=False),
    )  # fmt: skip
    inputs = {"input_ids": mask, "attention_mask": torch.ones_like(mask), "completion_mask": mask}
    theirs = trl.DPOTrainer._compute_loss(stub, model_of(tokens), inputs, return_outputs=False)
    ours = call("ld_dpo", data, tail_weight=tail_weight).loss_B.mean()
    tolerance = 1e-11 if dtype == torch.float64 else 1e-6
    close(ours, theirs, tolerance)
    for mine, wanted in zip(
        torch.autograd.grad(ours, leaves[:2]), torch.autograd.grad(theirs, leaves[:2]), strict=True
    ):
        close(mine, wanted, tolerance)
        assert mine.abs().max() > 1e-6

"""Every preset that TRL also has, against TRL's own trainer code: values and gradients.

Differences of definition, by name:
- alpha_dpo: TRL's coefficient is 1 - alpha.
- sft, dpo_nll: TRL averages over the batch's tokens, we over each answer's; alike at equal lengths.
- cpo, cpo_simpo, slic, orpo: TRL's imitation term is that of the batch's tokens; it is given here.
- wpo: TRL aligns the weight by the policy's whole distribution; without that both are the same.
- ipo with a link other than reverse_kl: TRL divides the score by length, we the log-ratio.
- exo_pair: TRL rounds label_smoothing to float32.
- bco_pair: neither has the paper's running threshold.
"""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from presets import batch, call, settings_of
from torch import Tensor

pytest.importorskip("trl", reason="TRL is the referee; install align-cli[dev]")
pytestmark = pytest.mark.filterwarnings("ignore")

LENGTHS = [[3, 9, 6, 5], [8, 4, 6, 1]]
EQUAL = [[6] * 4, [6] * 4]


class Case:
    """Four pairs, by token for TRL and summed for us, over the same leaf."""

    def __init__(self, seed: int, lengths: list[list[int]], dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(seed)
        steps = 1 + torch.arange(9)
        self.mask = (steps <= torch.tensor(lengths).reshape(8, 1)).long()
        self.tokens = torch.empty(8, 9, dtype=dtype).uniform_(-1.5, -0.05, generator=generator)
        self.tokens.requires_grad_()
        shift = torch.empty(8, dtype=dtype).uniform_(-1.5, 1.5, generator=generator)
        self.reference = (self.tokens.detach() * self.mask).sum(1) + shift

    def sums(self) -> Tensor:
        return (self.tokens * self.mask).sum(1)

    def ours(self, name: str, **overrides: Any) -> Tensor:
        sums, lengths = self.sums(), self.mask.sum(1)
        sides = (sums[:4], sums[4:], self.reference[:4], self.reference[4:])
        data = batch(*sides, lengths=(lengths[:4], lengths[4:]))
        return call(name, data, **overrides).loss_B.mean()

    def gradient(self, loss: Tensor) -> Tensor:
        return torch.autograd.grad(loss, self.tokens)[0]


def dpo_trainer(case: Case, types: list[str], weights: list[float], **config: Any) -> Tensor:
    """DPOTrainer._compute_loss, its model replaced by the case's log-probs."""
    from trl import DPOTrainer

    stub = SimpleNamespace(
        accelerator=SimpleNamespace(
            device="cpu", gather=lambda value: value, gather_for_metrics=lambda value: value
        ),
        model=SimpleNamespace(training=False),
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        loss_types=types,
        loss_weights=weights,
        _metrics={"eval": defaultdict(list)},
        _total_train_tokens=0,
        args=SimpleNamespace(discopop_tau=config.pop("discopop_tau", None)),
        **{
            "f_divergence_type": "reverse_kl",
            "f_alpha_divergence_coef": None,
            "label_smoothing": 0.0,
            "use_weighting": False,
            **config,
        },
    )
    prompt = torch.zeros(8, 1, dtype=torch.int64)
    mask = torch.cat([prompt, case.mask], 1)
    inputs = {
        "input_ids": mask,
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "ref_chosen_logps": case.reference[:4],
        "ref_rejected_logps": case.reference[4:],
    }
    zeros = torch.zeros(8, 9)

    def model(**_: Any) -> SimpleNamespace:
        return SimpleNamespace(
            log_probs=case.tokens * case.mask, entropy=zeros, mean_logits=zeros,
            is_top1=zeros.bool(), log_sum_sq_probs=zeros,
        )  # fmt: skip

    return DPOTrainer._compute_loss(stub, model, inputs, return_outputs=False)


def agree(case: Case, ours: Tensor, theirs: Tensor, *, exact: bool = True) -> None:
    tolerance = 1e-11 if exact and case.tokens.dtype == torch.float64 else 1e-6
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    mine, wanted = case.gradient(ours), case.gradient(theirs)
    torch.testing.assert_close(mine, wanted, rtol=tolerance, atol=tolerance)
    assert mine.abs().max() > 1e-6


# preset -> TRL's loss types, and what it calls our settings.
TYPES: dict[str, tuple[list[str], dict[str, str]]] = {
    "dpo": (["sigmoid"], {}),
    "hinge": (["hinge"], {}),
    "rso": (["hinge"], {}),
    "ipo": (["ipo"], {}),
    "exo_pair": (["exo_pair"], {"label_smoothing": "label_smoothing"}),
    "nca_pair": (["nca_pair"], {}),
    "robust_dpo": (["robust"], {"flip_rate": "label_smoothing"}),
    "bco_pair": (["bco_pair"], {}),
    "sppo_hard": (["sppo_hard"], {}),
    "aot": (["aot"], {"label_smoothing": "label_smoothing"}),
    "aot_unpaired": (["aot_unpaired"], {"label_smoothing": "label_smoothing"}),
    "apo_zero": (["apo_zero"], {}),
    "apo_down": (["apo_down"], {}),
    "discopop": (["discopop"], {"modulation_tau": "discopop_tau"}),
    "sft": (["sft"], {}),
    "dpo_norm": (["sigmoid_norm"], {}),
    "dpo_nll": (["sigmoid", "sft"], {}),
    "wpo": (["sigmoid"], {}),
}
OVERRIDES = {"aot": {"label_smoothing": 0.2}, "aot_unpaired": {"label_smoothing": 0.2}}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", TYPES)
def test_the_dpo_trainer_agrees(name: str, dtype: torch.dtype):
    types, names = TYPES[name]
    for seed in range(3):
        case = Case(seed, EQUAL if "sft" in types else LENGTHS, dtype)
        given = settings_of(name) | OVERRIDES.get(name, {})
        config = {theirs: given[mine] for mine, theirs in names.items()}
        weights = [1.0, *([given["regulariser_weight"]] if len(types) > 1 else [])]
        theirs = dpo_trainer(
            case, types, weights, beta=given.get("beta", 0.1), use_weighting=name == "wpo", **config
        )
        ours = case.ours(name, **OVERRIDES.get(name, {}))
        agree(case, ours, theirs, exact=name != "exo_pair")


DIVERGENCES = {
    "reverse_kl": "reverse_kl",
    "forward_kl": "forward_kl",
    "jensen_shannon": "js_divergence",
    "alpha": "alpha_divergence",
}


@pytest.mark.parametrize("link", DIVERGENCES)
@pytest.mark.parametrize("name", ["dpo", "hinge", "exo_pair", "robust_dpo", "discopop"])
def test_every_divergence_under_every_outer_function(name: str, link: str):
    types, names = TYPES[name]
    given = settings_of(name)
    config = {theirs: given[mine] for mine, theirs in names.items()}
    for seed in range(3):
        case = Case(seed, LENGTHS, torch.float32)
        more = {"alpha": 0.3, "exponent_clip": 80.0} if link == "alpha" else {}
        theirs = dpo_trainer(
            case, types, [1.0], beta=given["beta"], f_divergence_type=DIVERGENCES[link],
            f_alpha_divergence_coef=0.7, **config,
        )  # fmt: skip
        agree(case, case.ours(name, link=link, **more), theirs)


@pytest.mark.parametrize("name", ["forward_kl", "jensen_shannon", "alpha_dpo"])
def test_the_presets_of_divergences(name: str):
    given = settings_of(name)
    coefficient = 1 - given.get("alpha", 0.5)
    case = Case(5, LENGTHS, torch.float32)
    theirs = dpo_trainer(
        case, ["sigmoid"], [1.0], beta=given["beta"],
        f_divergence_type=DIVERGENCES[given["link"]], f_alpha_divergence_coef=coefficient,
    )  # fmt: skip
    agree(case, case.ours(name), theirs)


# preset -> (TRL's loss type, whether it looks at means over tokens)
CPO = {
    "cpo": ("sigmoid", False),
    "slic": ("hinge", False),
    "simpo": ("simpo", True),
    "cpo_simpo": ("simpo", True),
    "alphapo": ("simpo", True),
}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", CPO)
def test_the_cpo_trainer_agrees(name: str, smoothing: float):
    from trl.experimental.cpo import CPOTrainer

    loss_type, mean = CPO[name]
    given = settings_of(name)
    overrides = {}
    if smoothing and loss_type != "hinge":
        overrides = {"labels": "smoothed", "label_smoothing": smoothing}
    for seed in range(3):
        case = Case(seed, LENGTHS, torch.float64)
        lengths = case.mask.sum(1)
        logps = case.sums() / lengths if mean else case.sums()
        nll = -(case.sums() / lengths)[:4].mean()
        stub = SimpleNamespace(
            accelerator=SimpleNamespace(device="cpu", gather_for_metrics=lambda value: value),
            aux_loss_enabled=False,
            alpha=given.get("alpha", 0.0),
            beta=given["beta"],
            simpo_gamma=given.get("target_margin"),
            label_smoothing=overrides.get("label_smoothing", 0.0),
            loss_type=loss_type,
            cpo_alpha=given.get("regulariser_weight", 0.0),
            concatenated_forward=lambda *_, ends=(logps[:4], logps[4:], nll): (
                ends[0], ends[1], torch.zeros(1), torch.zeros(1), ends[2],
            ),
        )  # fmt: skip
        stub.cpo_loss = lambda *sides, stub=stub: CPOTrainer.cpo_loss(stub, *sides)
        theirs, _ = CPOTrainer.get_batch_loss_metrics(stub, None, {}, "eval")
        agree(case, case.ours(name, **overrides), theirs)


def test_the_orpo_trainer_agrees():
    from trl.experimental.orpo import ORPOTrainer

    given = settings_of("orpo")
    for seed in range(3):
        case = Case(seed, LENGTHS, torch.float32)
        means = case.sums() / case.mask.sum(1)
        stub = SimpleNamespace(
            accelerator=SimpleNamespace(device="cpu"), beta=given["preference_weight"]
        )
        odds = ORPOTrainer.odds_ratio_loss(stub, means[:4], means[4:])[0]
        agree(case, case.ours("orpo"), -means[:4].mean() - odds.mean())

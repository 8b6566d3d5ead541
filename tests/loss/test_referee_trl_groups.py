"""Every preset on groups that TRL also has, against TRL's own trainer code: values and gradients.

Differences of definition, by name:
- kto, apo_zero_unpaired: TRL takes the mean over all answers, we over each group's, then over
  groups; alike where groups are of one size, and otherwise compared answer by answer.
- bco_unpaired: TRL 1.16 has no unpaired BCO; test_group_identities compares it with bco_pair.
- lipo, listwise_dpo, opo and the other losses on groups: not in TRL.
"""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from group_presets import call, group_batch
from torch import Tensor

pytest.importorskip("trl", reason="TRL is the referee; install align-cli[dev]")
pytestmark = pytest.mark.filterwarnings("ignore")

LENGTHS = [3, 9, 6, 5, 8, 4, 6, 1]
RIGHT = torch.tensor([True, False, True, True, False, False, True, False])
BETA = 0.3


class Case:
    """Eight answers, by token for TRL and summed for us, over the same leaf."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.mask = (1 + torch.arange(9) <= torch.tensor(LENGTHS)[:, None]).long()
        self.tokens = torch.empty(8, 9, dtype=dtype).uniform_(-1.5, -0.05, generator=generator)
        self.tokens.requires_grad_()
        shift = torch.empty(8, dtype=dtype).uniform_(-1.5, 1.5, generator=generator)
        self.reference = self.sums().detach() + shift
        self.mismatched = torch.empty(8, 9, dtype=dtype).uniform_(-2, -0.1, generator=generator)
        drift = torch.empty(8, dtype=dtype).uniform_(-1, 3, generator=generator)
        self.mismatch_reference = (self.mismatched * self.mask).sum(1) - drift
        self.drift = drift

    def sums(self) -> Tensor:
        return (self.tokens * self.mask).sum(1)

    def ours(self, name: str, sizes: tuple[int, ...], **given: Any) -> Tensor:
        mean = self.drift.mean()
        data = group_batch(
            self.sums(),
            self.reference,
            RIGHT.to(self.reference),
            sizes=sizes,
            length=self.mask.sum(1),
            right=RIGHT,
            mismatch=torch.as_tensor(mean).to(self.reference).expand(len(sizes)),
        )
        return call(name, data, beta=BETA, **given).loss_G

    def theirs(self, loss_type: str, *, desirable: float, undesirable: float) -> Tensor:
        """KTOTrainer._compute_loss, its model replaced by the case's log-probs."""
        from trl import KTOTrainer

        zeros = torch.zeros(8, 9)
        outputs = iter([self.mismatched, self.tokens])

        def model(**_: Any) -> SimpleNamespace:
            return SimpleNamespace(
                log_probs=next(outputs) * self.mask, entropy=zeros, mean_logits=zeros
            )

        model.training = False  # type: ignore[attr-defined]
        drifts = loss_type == "kto"
        if not drifts:
            next(outputs)
        stub = SimpleNamespace(
            accelerator=SimpleNamespace(device="cpu", gather_for_metrics=lambda value: value),
            model=SimpleNamespace(training=False),
            aux_loss_enabled=False,
            calculate_KL=drifts,
            precompute_ref_logps=True,
            loss_type=loss_type,
            beta=BETA,
            desirable_weight=desirable,
            undesirable_weight=undesirable,
            _metrics={"eval": defaultdict(list)},
            _total_train_tokens=0,
        )
        stub._compute_kl_logps = lambda *each: KTOTrainer._compute_kl_logps(stub, *each)
        mask = torch.cat([torch.zeros(8, 1, dtype=torch.int64), self.mask], 1)
        inputs = {
            "input_ids": mask,
            "attention_mask": torch.ones_like(mask),
            "completion_mask": mask,
            "label": RIGHT,
            "ref_logps": self.reference,
            "KL_input_ids": mask,
            "KL_attention_mask": torch.ones_like(mask),
            "KL_completion_mask": mask,
            "ref_KL_logps": self.mismatch_reference,
        }
        loss: Tensor = KTOTrainer._compute_loss(stub, model, inputs, return_outputs=False)
        return loss


def agree(case: Case, ours: Tensor, theirs: Tensor) -> None:
    tolerance = 1e-11 if case.tokens.dtype == torch.float64 else 1e-6
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    mine, wanted = (torch.autograd.grad(loss, case.tokens)[0] for loss in (ours, theirs))
    torch.testing.assert_close(mine, wanted, rtol=tolerance, atol=tolerance)
    assert mine.abs().max() > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("sizes", [(4, 4), (2, 2, 2, 2), (8,), (1,) * 8], ids=str)
@pytest.mark.parametrize(
    ("name", "loss_type"), [("kto", "kto"), ("apo_zero_unpaired", "apo_zero_unpaired")]
)
def test_the_kto_trainer_agrees(
    name: str, loss_type: str, sizes: tuple[int, ...], dtype: torch.dtype
):
    for seed, (desirable, undesirable) in enumerate([(1.0, 1.0), (1.3, 0.7), (0.0, 1.0)]):
        case = Case(seed, dtype)
        given = {"desirable_weight": desirable, "undesirable_weight": undesirable}
        ours = case.ours(name, sizes, **given).mean()
        agree(case, ours, case.theirs(loss_type, desirable=desirable, undesirable=undesirable))


def test_a_drift_below_0_is_floored_as_theirs():
    case = Case(3, torch.float64)
    case.mismatch_reference = case.mismatch_reference + 10
    case.drift = case.drift - 10
    agree(case, case.ours("kto", (4, 4)).mean(), case.theirs("kto", desirable=1, undesirable=1))


def test_ragged_groups_are_weighed_by_size_to_theirs():
    case, sizes = Case(4, torch.float64), (2, 5, 1)
    ours = (case.ours("kto", sizes) * torch.tensor(sizes)).sum() / 8
    agree(case, ours, case.theirs("kto", desirable=1, undesirable=1))


def test_trl_has_no_unpaired_bco():
    """When it has one, it is a referee: this fails and is replaced."""
    import inspect

    from trl import KTOTrainer

    assert '"bco"' not in inspect.getsource(KTOTrainer)

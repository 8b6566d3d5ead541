"""One round of optimisation on the whole of its loss: to convergence, or by plain gradient steps.

Shapes: W weights that train, flat, in the order of the network's parameters.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from align_cli.errors import AlignError, ConfigError, NonFinite
from align_cli.model.language_model import LanguageModel
from align_cli.schedule.plan import FullBatch
from align_cli.store.cost import Cost
from align_cli.train.ball import within
from align_cli.train.closed_form import put_at_target, target_of
from align_cli.train.newton import minimise
from align_cli.train.numbers import Means
from align_cli.train.steps import Task, check_finite, count_backward

MOST_WEIGHTS = 4096
"""Of which a matrix of second derivatives is made."""


FLAT = 1e-12
"""Curvature below this share of the largest is none."""


class NotConverged(AlignError):
    """A round that stopped short of its optimum."""


class Objective:
    """mean loss + ridge/2 |w|^2 of a round, as a function of the weights; every call is a step."""

    def __init__(
        self,
        model: LanguageModel,
        task: Task[LanguageModel],
        cost: Cost,
        on_step: Callable[[int, Mapping[str, float]], None],
    ) -> None:
        learner: nn.Module = model.network
        if task.side is not None:
            learner = nn.ModuleDict({"policy": model.network, "side": task.side})
        self.parameters = [p for p in learner.parameters() if p.requires_grad]
        self.ridge = 0.0
        self.steps = 0
        self.model, self.cost = model, cost
        self._task, self._on_step = task, on_step

    @property
    def weights(self) -> Tensor:
        """Where the weights are, a copy."""
        return torch.cat([p.detach().reshape(-1) for p in self.parameters])

    @torch.no_grad()
    def move_to(self, weights_W: Tensor) -> None:
        """Put the weights there."""
        sizes = [p.numel() for p in self.parameters]
        for parameter, part in zip(self.parameters, weights_W.split(sizes), strict=True):
            parameter.copy_(part.view_as(parameter))

    def at(self, weights_W: Tensor, *, curved: bool = False) -> tuple[float, Tensor, Tensor | None]:
        """Value, gradient and, if `curved`, matrix of second derivatives."""
        self.move_to(weights_W)
        task, count = self._task, len(self._task)
        value, slope_W = 0.0, torch.zeros_like(weights_W)
        bend_WW = torch.zeros(len(weights_W), len(weights_W)).to(weights_W) if curved else None
        means = Means()
        for at in range(0, count, task.plan.micro_batch_size):
            places = range(at, min(at + task.plan.micro_batch_size, count))
            out = task.losses(self.model, places, self.cost, self.steps)
            check_finite(out.loss_N, task, places, self.steps)
            loss = out.loss_N.sum() / count
            value += float(loss.detach())
            parts = torch.autograd.grad(
                loss, self.parameters, create_graph=curved, materialize_grads=True
            )
            part_W = self._flat(parts)
            if bend_WW is not None:
                bend_WW += self._rows(part_W)
            slope_W += part_W.detach()
            means.add(out.numbers)
            count_backward(self.model, task, places, self.cost)
        value += self.ridge / 2 * float(weights_W @ weights_W)
        slope_W += self.ridge * weights_W
        if bend_WW is not None:
            bend_WW += self.ridge * torch.eye(len(weights_W)).to(bend_WW)
        norm = float(torch.linalg.vector_norm(slope_W))
        told = {"train/grad_norm": norm, "train/weight_norm": float(weights_W.norm())}
        self._on_step(self.steps, {**means.named("train"), **told})
        self.steps += 1
        return value, slope_W, bend_WW

    def _flat(self, parts: tuple[Tensor, ...]) -> Tensor:
        return torch.cat([part.reshape(-1) for part in parts])

    def _rows(self, slope_W: Tensor) -> Tensor:
        """d slope / d w, one row after the other."""
        if slope_W.grad_fn is None:
            return torch.zeros(len(slope_W), len(slope_W)).to(slope_W)
        rows = []
        for one in slope_W:
            found = torch.autograd.grad(
                one, self.parameters, retain_graph=True, materialize_grads=True
            )
            rows.append(self._flat(found))
        return torch.stack(rows)


def train_whole(
    model: LanguageModel,
    task: Task[LanguageModel],
    plan: FullBatch,
    *,
    on_start: Callable[[int, int], None],
    on_step: Callable[[int, Mapping[str, float]], None],
) -> tuple[Cost, dict[str, float]]:
    """Leave the model at the optimum, or after the steps; what it took, and the certificate."""
    cost = Cost()
    on_start(0, plan.max_steps)
    # A loss whose minimum no policy can reach says so before anything is solved.
    target_of(model, task, Cost())
    objective = Objective(model, task, cost, on_step)
    objective.ridge = plan.ridge
    solve = {
        "newton": _newton,
        "lbfgs": _lbfgs,
        "gradient": _gradient,
        "closed_form": _closed_form,
    }[plan.method]
    norm = solve(objective, plan, task)
    found = {"after/unseen_directions": unseen(objective)} if plan.method == "newton" else {}
    found |= {
        "after/grad_norm": norm,
        "after/weight_norm": float(objective.weights.norm()),
        "after/ridge": objective.ridge,
        "after/steps": float(objective.steps),
    }
    return cost, found


def _newton(objective: Objective, plan: FullBatch, task: Task[LanguageModel]) -> float:
    count = len(objective.weights)
    if count > MOST_WEIGHTS:
        raise ConfigError(
            f"schedule.method=newton makes a matrix of second derivatives, and this policy has "
            f"{count} weights; at most {MOST_WEIGHTS} fit. Choose schedule.method=lbfgs"
        )
    assert plan.gradient_tolerance is not None

    def solved(ridge: float, start_W: Tensor) -> Tensor:
        objective.ridge = ridge
        found_W = minimise(objective.at, start_W, left=lambda: plan.max_steps - objective.steps)
        if objective.steps >= plan.max_steps:
            _certified(objective.at(found_W)[1], objective, plan, task)
        return found_W

    best_W = within(solved, objective.weights, ridge=plan.ridge, radius=plan.radius)
    _, slope_W, _ = objective.at(best_W)
    return _certified(slope_W, objective, plan, task)


def _lbfgs(objective: Objective, plan: FullBatch, task: Task[LanguageModel]) -> float:
    assert plan.gradient_tolerance is not None
    optimiser = torch.optim.LBFGS(
        objective.parameters,
        lr=1.0,
        max_iter=plan.max_steps,
        max_eval=plan.max_steps,
        tolerance_grad=plan.gradient_tolerance / 10,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        value, slope_W, _ = objective.at(objective.weights)
        sizes = [p.numel() for p in objective.parameters]
        for parameter, part in zip(objective.parameters, slope_W.split(sizes), strict=True):
            parameter.grad = part.view_as(parameter).clone()
        return value

    optimiser.step(closure)
    optimiser.zero_grad(set_to_none=True)
    _, slope_W, _ = objective.at(objective.weights)
    return _certified(slope_W, objective, plan, task)


def _closed_form(objective: Objective, plan: FullBatch, task: Task[LanguageModel]) -> float:
    put_at_target(objective.model, task, plan.floor, objective.cost)
    _, slope_W, _ = objective.at(objective.weights)
    return _certified(slope_W, objective, plan, task)


def _gradient(objective: Objective, plan: FullBatch, task: Task[LanguageModel]) -> float:
    norm = 0.0
    for _ in range(plan.max_steps):
        weights_W = objective.weights
        _, slope_W, _ = objective.at(weights_W)
        norm = float(torch.linalg.vector_norm(slope_W))
        objective.move_to(weights_W - task.plan.learning_rate * slope_W)
        if not bool(objective.weights.isfinite().all()):
            raise NonFinite(
                f"round {task.round_number}, step {objective.steps - 1}: a weight is no finite "
                f"number after a step of learning rate {task.plan.learning_rate:g}; lower "
                "schedule.learning_rate"
            )
    return norm


def unseen(objective: Objective) -> float:
    """Directions of the weights in which no example bends the loss: the ridge alone holds them."""
    weights_W = objective.weights
    _, _, bend_WW = objective.at(weights_W, curved=True)
    assert bend_WW is not None
    values_W = torch.linalg.eigvalsh(
        bend_WW - objective.ridge * torch.eye(len(weights_W)).to(bend_WW)
    )
    return float((values_W.abs() <= values_W.abs().max() * FLAT).sum())


def _certified(
    slope_W: Tensor, objective: Objective, plan: FullBatch, task: Task[LanguageModel]
) -> float:
    """The gradient's norm, refused above the tolerance."""
    norm = float(torch.linalg.vector_norm(slope_W))
    assert plan.gradient_tolerance is not None
    if norm <= plan.gradient_tolerance:
        return norm
    raise NotConverged(
        f"round {task.round_number}: after {objective.steps} steps of "
        f"schedule.method={plan.method} the gradient's norm is {norm:.3g}; wanted at most "
        f"schedule.gradient_tolerance {plan.gradient_tolerance:g}. Allow more steps than "
        f"schedule.max_steps {plan.max_steps}, a larger tolerance, or set a radius: labels that "
        "all agree drive weights without end"
    )

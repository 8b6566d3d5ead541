"""A divergence of the user's own: named by a setting, found in a plugin, differentiated."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from presets import call, random_batch
from small_runs import run_small

from align_cli.config.compose import compose
from align_cli.config.source import read_module
from align_cli.errors import ConfigError
from align_cli.loop.setup import part_of
from align_cli.loss.user_link import properties

OWN = '''
"""Divergences."""
import torch
def kl(t): return t * torch.log(t)
def squared(t): return torch.log(t) ** 2 / 2
def hellinger(t): return 2 * (1 - t.sqrt()) ** 2
def chi(t): return (t - 1) ** 2 / 2
def total(t): return (t * torch.log(t)).sum()
def flat(t): return torch.ones(t.shape)
'''


@pytest.fixture(autouse=True)
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "ownparts").mkdir()
    (tmp_path / "ownparts" / "__init__.py").write_text("")
    (tmp_path / "ownparts" / "f.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.startswith("ownparts")]:
        del sys.modules[name]
    read_module.cache_clear()


def words_of(name: str) -> list[str]:
    own = [f"loss.f_target=ownparts.f.{name}", "plugins=[ownparts]"]
    return ["loss.link=user", "loss.labels=hard", "loss.label_smoothing=null", *own]


@pytest.mark.parametrize(("own", "built_in"), [("kl", "reverse_kl"), ("squared", "squared")])
def test_the_same_f_is_the_same_loss(own: str, built_in: str):
    data = random_batch(0)
    settings = {"labels": "hard", "label_smoothing": None}
    found, wanted = [], []
    for link, into in (("user", found), (built_in, wanted)):
        target = {"f_target": f"ownparts.f.{own}"} if link == "user" else {}
        sides = [getattr(data["pairs"], side).detach() for side in ("chosen_B", "rejected_B")]
        for side in sides:
            side.requires_grad_()
        pairs = type(data["pairs"])(
            *sides, data["pairs"].chosen_len_B, data["pairs"].rejected_len_B
        )
        loss_B = call("dpo", data | {"pairs": pairs}, link=link, **settings, **target).loss_B
        into += [loss_B.detach(), *torch.autograd.grad(loss_B.sum(), sides)]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_it_is_also_scored_where_no_gradient_is_recorded():
    config = compose(words_of("hellinger"))
    loss = config.bindings["loss"].load()
    data = random_batch(1, dtype=torch.float32)
    with torch.inference_mode():
        inside = loss(**data).loss_B
        fresh = {**data, "pairs": type(data["pairs"])(
            data["pairs"].chosen_B + 0, data["pairs"].rejected_B + 0,
            data["pairs"].chosen_len_B, data["pairs"].rejected_len_B,
        )}  # fmt: skip
        made_there = loss(**fresh).loss_B
    assert torch.equal(inside, loss(**data).loss_B)
    assert torch.equal(inside, made_there)
    assert inside.dtype == torch.float32


def test_beyond_the_clip_it_is_constant():
    from align_cli.loss.user_link import user

    sides = torch.tensor([-9.0, -2.0, 1e4], requires_grad=True)
    score = user(sides, f_target="ownparts.f.squared", exponent_clip=3.0)
    score.sum().backward()
    torch.testing.assert_close(
        score.detach(), torch.tensor([-3 * math.exp(3), -2 * math.exp(2), 3 * math.exp(-3)])
    )
    assert sides.grad is not None
    assert (sides.grad == 0).tolist() == [True, False, True]


def test_what_it_promises_is_computed():
    found = {name: properties(f"ownparts.f.{name}") for name in ("kl", "hellinger", "chi")}
    assert [each.dpo_inducing for each in found.values()] == [True, True, False]
    assert [each.displacement_resistant for each in found.values()] == [False, True, True]
    assert found["kl"].argmin == pytest.approx(1 / math.e, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["loss.f_target=os.system"], r"'os.system' is not in one of `plugins`, which is empty"),
        (["loss.f_target=torch.exp", "plugins=[ownparts]"], r"which is ownparts"),
        (["loss.f_target=ownparts.f.kll", "plugins=[ownparts]"], r"no 'kll'.*'kl'"),
        (["loss.f_target=ownparts.g.kl", "plugins=[ownparts]"], r"no Python module 'ownparts.g'"),
        (["loss.f_target=ownpartsx.f.kl", "plugins=[ownparts]"], r"not in one of `plugins`"),
    ],
)
def test_only_a_plugins_own_function_is_taken(given: list[str], said: str):
    with pytest.raises(ConfigError, match=said):
        compose(["loss.link=user", *given])


@pytest.mark.parametrize("name", ["total", "flat"])
def test_an_f_that_is_none_is_said(name: str):
    with pytest.raises(ConfigError, match=rf"loss.f_target: ownparts.f.{name} must give one value"):
        call("dpo", random_batch(0), link="user", f_target=f"ownparts.f.{name}")


@pytest.mark.e2e
def test_a_run_trains_with_it(tmp_path: Path):
    words = ["schedule.rounds=1", "task.heldout_prompts=4", "loss.exponent_clip=20"]
    result = run_small(tmp_path / "out", *words, *words_of("hellinger"))
    assert result.rounds[0]["5_policy"]["after/loss"] < math.log(2)


def test_its_code_is_part_of_what_a_policy_is_made_from():
    facts = part_of(compose(words_of("kl")).bindings["loss"]).made_from
    assert facts["f_target"] != part_of(compose(["loss=dpo"]).bindings["loss"]).made_from["code"]
    assert "f_target" not in part_of(compose(["loss=dpo"]).bindings["loss"]).made_from

"""`align sft` end to end: a policy that a run can start from, shared and resumed by the store."""

from pathlib import Path

import pytest
import torch

from align_cli.config.compose import compose_sft
from align_cli.errors import StaleRun
from align_cli.loop import warm_start
from align_cli.loop.warm_start import run_sft
from align_cli.model.language_model import LanguageModel
from align_cli.policy.pretrained import pretrained
from align_cli.report.reporter import Silent

SMALL = (
    "tracker=none", "device=cpu", "threads=1", "policy.layers=1", "policy.width=16",
    "policy.heads=2", "policy.mlp_width=16", "demonstration.count=60", "train.steps=6",
    "train.batch=4", "train.micro_batch=4", "train.checkpoint_every=2", "task.heldout_prompts=6",
    "evaluation.samples=2",
)  # fmt: skip


class Listener(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(autouse=True)
def threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def sft(outputs: Path, *words: str) -> tuple[warm_start.SftResult, list[str]]:
    listener = Listener()
    by_key = {word.split("=")[0]: word for word in (*SMALL, f"outputs={outputs}", *words)}
    result = run_sft(compose_sft(list(by_key.values())), listener)
    return result, listener.lines


def weights(result: warm_start.SftResult) -> bytes:
    return (result.policy / "model.safetensors").read_bytes()


def test_the_policy_it_leaves_is_one_a_run_can_start_from(tmp_path: Path) -> None:
    result, lines = sft(tmp_path, "name=x")
    assert result.policy == tmp_path / "x" / "policy"
    assert lines[-1].endswith(f"align run policy=hf policy.path={result.policy}")
    assert result.run.rounds[0]["1_demonstrations"]["demonstration/count"] == 60
    assert 0 <= result.run.rounds[0]["6_scores"]["eval/greedy_accuracy"] <= 1
    steps = [line for line in (tmp_path / "x/metrics.jsonl").read_text().splitlines()
             if '"train/loss"' in line]  # fmt: skip
    assert len(steps) == 6

    pretrained(tmp_path / "next", 0, path=str(result.policy), dtype="float32")
    assert not (tmp_path / "next" / "record.json").exists()
    LanguageModel.load(tmp_path / "next", device="cpu")
    with pytest.raises(StaleRun, match=r"train\.steps"):
        sft(tmp_path, "name=x", "train.steps=7")


def test_killed_in_training_it_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, _ = sft(tmp_path / "straight", "name=x")
    step = warm_start.Trail.step

    def killed(trail: object, number: int, metrics: dict[str, float]) -> None:
        if number == 3:
            raise KeyboardInterrupt
        step(trail, number, metrics)  # type: ignore[arg-type]

    monkeypatch.setattr(warm_start.Trail, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        sft(tmp_path / "again", "name=x")
    monkeypatch.undo()
    resumed, _ = sft(tmp_path / "again", "name=x")
    assert weights(resumed) == weights(straight)
    first, second = (
        [line for line in (tmp_path / name / "x/metrics.jsonl").read_text().splitlines()
         if '"train/loss"' in line]
        for name in ("straight", "again")
    )  # fmt: skip
    assert first == second


def test_another_run_of_the_same_training_finds_it_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = sft(tmp_path, "name=a")
    monkeypatch.setattr(warm_start, "train_sft", None)
    second, _ = sft(tmp_path, "name=b", "evaluation.samples=1", "train.checkpoint_every=5")
    assert weights(second) == weights(first)
    assert second.policy.resolve() == first.policy.resolve()

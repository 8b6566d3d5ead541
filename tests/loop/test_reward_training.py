"""`align train-rm`: pairs of a run or a file in, a transformers folder with a record out."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from reward_models import train_rm, write_pairs
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from align_cli.errors import AlignError, ConfigError, NonFinite, NothingToTrain, RowError, StaleRun
from align_cli.loop import reward_training
from align_cli.model import lora
from align_cli.model.flops import backward_products, shape_of
from align_cli.model.lora import add_lora, merge_lora
from align_cli.model.probe import read_probe
from align_cli.model.reward_model import RewardModel

TINY = Path(lora.__file__).parent.parent / "policy" / "tiny"


@pytest.fixture(autouse=True)
def threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"preference.path={write_pairs(tmp_path_factory.mktemp('pairs') / 'pairs.jsonl')}"


def test_it_leaves_a_plain_folder_that_knows_what_it_was_trained_on(
    tmp_path: Path, pairs: str
) -> None:
    made = train_rm(tmp_path, pairs, "name=x", "train.dropout=0.1")
    assert made.model == tmp_path / "x" / "reward_model"
    lines = (tmp_path / "x/metrics.jsonl").read_text().splitlines()
    steps = [line for line in lines if '"train/loss"' in line]
    assert len(steps) == -(-made.metrics["rm/train_pairs"] // 4)
    assert made.metrics["rm/train_pairs"] + made.metrics["rm/heldout_pairs"] == 60
    record = json.loads((made.model / "trained_on.json").read_text())
    assert record["metrics"] == made.metrics
    assert record["sources"] == {"pairs.jsonl": 60}
    assert record["objective"]["target"].endswith("bradley_terry")

    # Read by transformers alone, it gives the scores that were recorded: no dropout in them.
    network = AutoModelForSequenceClassification.from_pretrained(made.model).eval()
    words = AutoTokenizer.from_pretrained(made.model)
    assert (network.config.num_labels, network.config.attention_dropout) == (1, 0.1)
    probe, odds = read_probe(made.model)
    assert len(probe) == made.metrics["rm/heldout_pairs"] == 10
    for pair, z in zip(probe, odds, strict=True):
        scores = []
        for answer in (pair.chosen, pair.rejected):
            turns = [{"role": "user", "content": pair.messages[0].content}]
            turns.append({"role": "assistant", "content": answer})
            text = words.apply_chat_template(turns, tokenize=False)
            ids = words(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
            scores.append(float(network(ids).logits[0, 0].detach()))
        assert scores[0] - scores[1] == pytest.approx(z, abs=1e-5)
    with pytest.raises(StaleRun, match=r"train\.epochs"):
        train_rm(tmp_path, pairs, "name=x", "train.dropout=0.1", "train.epochs=2")


def test_killed_in_training_it_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, pairs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_and_resumed(tmp_path, (pairs, "name=x", "train.dropout=0.2"), monkeypatch)
    made = train_rm(tmp_path / "again", pairs, "name=y", "train.dropout=0.2",
                    "train.checkpoint_every=9")  # fmt: skip
    resumed = tmp_path / "again" / "x" / "reward_model"
    assert made.model.resolve() == resumed.resolve()


def killed_and_resumed(
    tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """What a training leaves that was killed at its third step: the bytes of an unbroken one."""
    straight = train_rm(tmp_path / "straight", *words)
    step = reward_training.Trail.step

    def killed(trail: Any, number: int, metrics: dict[str, float]) -> None:
        if number == 3:
            raise KeyboardInterrupt
        step(trail, number, metrics)

    monkeypatch.setattr(reward_training.Trail, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        train_rm(tmp_path / "again", *words)
    monkeypatch.undo()
    resumed = train_rm(tmp_path / "again", *words)
    weights = [(each.model / "model.safetensors").read_bytes() for each in (resumed, straight)]
    assert weights[0] == weights[1]
    assert resumed.metrics == straight.metrics
    return resumed


def test_adapters_change_the_backbone_by_matrices_of_their_rank(
    tmp_path: Path, pairs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("peft", reason="the extra `lora` is not installed")
    words = (pairs, "name=x", "train.lora_rank=3", "train.dropout=0.1")
    made = killed_and_resumed(tmp_path, words, monkeypatch)
    before, after = load_file(TINY / "model.safetensors"), load_file(
        made.model / "model.safetensors"
    )  # fmt: skip
    assert set(after) == {*before, "score.weight"}
    for name, weight in before.items():
        change = after[name] - weight
        linear = name.endswith("_proj.weight")
        values = torch.linalg.svdvals(change) if linear else change.abs().flatten()
        assert (values[: 3 if linear else 0] > 1e-4).all(), name
        assert (values[3 if linear else 0 :] < 1e-6).all(), name
    with pytest.raises(ConfigError, match=r"lora_alpha=2 scales adapters"):
        train_rm(tmp_path, pairs, "train.lora_alpha=2")
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"lora_rank=4: .*pip install 'align-cli\[lora\]'"):
        train_rm(tmp_path, pairs, "train.lora_rank=4")


def test_adapters_start_as_the_model_and_train_beside_the_head(tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="the extra `lora` is not installed")
    model = RewardModel.fresh(TINY, device="cpu", outputs=1, temperature=None, dropout=0.0, seed=1)
    plain, ids = model.network, [(5, 6, 7, 4), (8, 9, 4)]
    with torch.no_grad():
        scores, shape = model.logits(ids), shape_of(plain)
        assert backward_products(plain) == 2
        adapted = add_lora(plain, rank=2, alpha=4, seed=5)
        assert torch.equal(model.logits(ids), scores)
        trained = [n for n, p in plain.named_parameters() if p.requires_grad]
        assert {n for n in trained if "lora_" not in n} == {"score.weight"}
        assert len(trained) == 1 + 2 * 2 * 7
        assert 1 < backward_products(plain) < 1.1
        for name, weight in plain.named_parameters():
            if "lora_B" in name:
                weight.normal_(generator=torch.Generator().manual_seed(0))
        moved = model.logits(ids)
        assert not torch.allclose(moved, scores)
        merge_lora(adapted)
        torch.testing.assert_close(model.logits(ids), moved)
    assert shape_of(plain) == shape
    assert all(weight.requires_grad for weight in plain.parameters())


def test_an_embedding_head_is_a_choice_of_the_objective(tmp_path: Path, pairs: str) -> None:
    made = train_rm(tmp_path, pairs, "name=x", "objective=general_preference")
    model = RewardModel.load(made.model, device="cpu")
    assert (model.outputs, model.temperature) == (8, 0.1)
    with pytest.raises(ConfigError, match=r"objective\.outputs: got 3, wanted an even number"):
        train_rm(tmp_path, pairs, "objective=general_preference", "objective.outputs=3")
    with pytest.raises(ConfigError, match=r"objective\.outputs: got 2, wanted 1"):
        train_rm(tmp_path, pairs, "objective.outputs=2")


def test_what_cannot_be_learned_from_is_refused(tmp_path: Path, pairs: str) -> None:
    few = f"preference.path={write_pairs(tmp_path / 'few.jsonl', 12)}"
    with pytest.raises(NothingToTrain, match=r"\d pairs to train on and \d held out"):
        train_rm(tmp_path, few)
    with pytest.raises(ConfigError, match=r"the margin of all \d+ pairs is 1\.0"):
        train_rm(tmp_path, pairs, "objective.margin_scale=1")
    with pytest.raises(ConfigError, match=r"no run with pairs"):
        train_rm(tmp_path, "preference=recorded", f"preference.path={tmp_path}")
    long = f"preference.path={write_pairs(tmp_path / 'long.jsonl', 60, rejected='1' * 600)}"
    with pytest.raises(RowError, match=r"long\.jsonl:\d+: the reward model cannot read .*window"):
        train_rm(tmp_path, long)
    strange = f"preference.path={write_pairs(tmp_path / 'strange.jsonl', 60, rejected='äöü')}"
    with pytest.raises(RowError, match=r"3 tokens are unknown"):
        train_rm(tmp_path, strange)


def test_a_loss_that_is_not_finite_names_the_step_and_the_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_pairs(tmp_path / "pairs.jsonl", 60, margin=1e300)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:-1], lines[-1].replace("1e+300", "1.0")]) + "\n")
    words = ("preference.margin_field=margin", "objective.margin_scale=1e300")
    with pytest.raises(NonFinite, match=r"step 0: .* not finite for \d of 4 pairs, pairs.jsonl:"):
        train_rm(tmp_path, f"preference.path={file}", *words)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"prompt": "1+1", "chosen": "2"}', r"pairs\.jsonl:2 has no field 'rejected'"),
        ('{"prompt": "1+1", "chosen": "2", ', r"pairs\.jsonl:2 is not JSON"),
        ('{"prompt": "1+1", "chosen": "2", "rejected": ""}', r"pairs\.jsonl:2: .*'rejected' is em"),
        ('{"prompt": [], "chosen": "2", "rejected": "3"}', r"pairs\.jsonl:2: the question"),
        ('{"prompt": "1", "chosen": [1, 2], "rejected": "3"}', r"pairs\.jsonl:2: .* is a list"),
    ],
)
def test_a_malformed_row_names_its_line(tmp_path: Path, line: str, told: str) -> None:
    file = write_pairs(tmp_path / "pairs.jsonl", 3)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    with pytest.raises(AlignError, match=told):
        train_rm(tmp_path, f"preference.path={file}")


def test_what_prefers_nothing_is_dropped_and_counted(tmp_path: Path) -> None:
    file = write_pairs(tmp_path / "pairs.jsonl", 60)
    with file.open("a") as stream:
        stream.write('{"prompt": "1+1", "chosen": "2", "rejected": "2"}\n')
    made = train_rm(tmp_path, f"preference.path={file}", "name=x")
    told = made.run.rounds[0]["1_preferences"]
    assert (told["preference/count"], told["preference/dropped/identical"]) == (60, 1)

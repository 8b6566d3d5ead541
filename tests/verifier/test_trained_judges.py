"""Judges that are trained models: what they score, what they refuse, and their examination."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from judged_rows import judged
from reward_models import train_rm, write_pairs
from safetensors.torch import load_file, save_file

from align_cli.config.compose import composed_node
from align_cli.config.signature import signature_of
from align_cli.errors import AlignError, ConfigError
from align_cli.model import judge as judges
from align_cli.model.reward_model import RewardModel
from align_cli.policy.scratch import scratch
from align_cli.rows import Completion, Label, Message, Prompt
from align_cli.verifier.pairwise import odds_between
from align_cli.verifier.preference_model import preference_model
from align_cli.verifier.reward_ensemble import reward_ensemble
from align_cli.verifier.reward_model import reward_model
from align_cli.verifier.win_rate import mean_win_rate, win_rate

TINY = Path(judges.__file__).parent.parent / "policy" / "tiny"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{name: folder} of two reward models and a preference model, each after one short epoch."""
    before = torch.get_num_threads()
    outputs = tmp_path_factory.mktemp("judges")
    pairs = f"preference.path={write_pairs(outputs / 'pairs.jsonl')}"
    made = {
        "a": train_rm(outputs, pairs, "name=a"),
        "b": train_rm(outputs, pairs, "name=b", "seed=1"),
        "circular": train_rm(outputs, pairs, "name=c", "objective=general_preference"),
    }
    torch.set_num_threads(before)
    return {name: result.model for name, result in made.items()}


def prompt(text: str = "7+8") -> Prompt:
    return Prompt(id="0123456789abcdef", messages=(Message("user", text),), gold=None, source="t:0")


def answers(*texts: str, finish: str = "stop") -> list[Completion]:
    return [judged(i, None, text=t, finish=finish).completion for i, t in enumerate(texts)]


def ask(
    verifier: Any, path: Any, *texts: str, said: list[str] | None = None, **more: Any
) -> list[Label]:
    """The labels of answers to one prompt, by the settings of the shipped yaml."""
    name = verifier.__name__
    node = composed_node("verifier", name)
    settings = {k: v for k, v in node.items() if k in signature_of(node["_target_"]).settings}
    settings |= {"paths" if name == "reward_ensemble" else "path": path}
    settings |= {"min_probe_accuracy": 0.0, **more}
    rows = answers(*texts)
    say = (said if said is not None else []).append
    if "siblings" in signature_of(node["_target_"]).needs:
        return list(verifier([prompt()], [rows], "cpu", say, **settings))
    return list(verifier([prompt()] * len(rows), rows, "cpu", say, **settings))


def by_hand(folder: Path, text: str, *, ended: bool = True) -> float:
    """The logit, one sequence at a time, through transformers' own forward."""
    model = RewardModel.load(folder, device="cpu")
    ids = model.tokenizer("<user>7+8<end><assistant>" + text + "<end>" * ended)["input_ids"]
    with torch.no_grad():
        return float(model.network(torch.tensor([ids])).logits[0, 0])


TEXTS = ("7+8=15#15", "7+8=5#5", "7+8=15;15+1=16#16")


def test_a_score_is_the_logit_at_the_end_of_the_answer(trained: dict[str, Path]) -> None:
    labels = ask(reward_model, str(trained["a"]), *TEXTS)
    for label, text in zip(labels, TEXTS, strict=True):
        assert label.score == pytest.approx(by_hand(trained["a"], text), abs=1e-5)
        assert (label.right, label.clean_score) == (None, label.score)
    # In another batch, in another order, alone: the same score.
    assert ask(reward_model, str(trained["a"]), TEXTS[1])[0].score == pytest.approx(
        labels[1].score, abs=1e-5
    )
    between = sorted(label.score or 0 for label in labels)[1]
    verdicts = ask(reward_model, str(trained["a"]), *TEXTS, threshold=between)
    assert [x.right for x in verdicts] == [(x.score or 0) >= between for x in labels]


def test_an_answer_that_was_cut_is_read_without_an_end(trained: dict[str, Path]) -> None:
    settings = {"path": str(trained["a"]), "revision": None, "threshold": None, "probe": None}
    rows = answers(TEXTS[0], finish="length")
    [label] = reward_model(
        [prompt()], rows, "cpu", lambda line: None, min_probe_accuracy=0.0, **settings
    )
    assert label.score == pytest.approx(by_hand(trained["a"], TEXTS[0], ended=False), abs=1e-5)


def test_what_the_judge_cannot_read_is_unscored(trained: dict[str, Path]) -> None:
    labels = ask(reward_model, str(trained["a"]), TEXTS[0], "7+8=£", "1" * 600)
    assert [label.verdict for label in labels] == ["judged", "error", "error"]
    assert "unknown to the judge's tokenizer" in labels[1].detail
    assert "window of 512" in labels[2].detail
    for verifier, path in ((win_rate, "a"), (preference_model, "circular")):
        labels = ask(verifier, str(trained[path]), TEXTS[0], "7+8=£", TEXTS[1])
        assert [label.verdict for label in labels] == ["judged", "error", "judged"]
        pair = ask(verifier, str(trained[path]), TEXTS[0], TEXTS[1])
        assert [labels[0].score, labels[2].score] == pytest.approx([x.score for x in pair])
        [alone, _] = ask(verifier, str(trained[path]), TEXTS[0], "£")
        assert (alone.score, alone.detail) == (None, "no sibling to be compared with")


def test_win_rates_are_means_over_the_others(trained: dict[str, Path]) -> None:
    labels = ask(win_rate, str(trained["a"]), *TEXTS)
    rewards = [by_hand(trained["a"], text) for text in TEXTS]
    for i, label in enumerate(labels):
        others = [r for j, r in enumerate(rewards) if j != i]
        wins = torch.sigmoid(rewards[i] - torch.tensor(others))
        assert label.score == pytest.approx(float(wins.mean()), abs=1e-5)
    assert sum(label.score or 0 for label in labels) == pytest.approx(1.5)
    circle = ask(win_rate, str(trained["circular"]), *TEXTS)
    assert sum(label.score or 0 for label in circle) == pytest.approx(1.5)
    scores = ask(preference_model, str(trained["circular"]), *TEXTS)
    assert sum(label.score or 0 for label in scores) == pytest.approx(0, abs=1e-5)


def test_rock_scissors_and_paper_all_win_half(trained: dict[str, Path]) -> None:
    model = RewardModel.load(trained["circular"], device="cpu")
    turns = torch.arange(3) * 2 * torch.pi / 3
    circle_K2 = torch.stack([turns.cos(), turns.sin()], 1)
    odds_KK = odds_between(model, torch.cat([circle_K2, torch.zeros(3, 6)], 1))
    assert bool((odds_KK == -odds_KK.T).all())
    assert float(odds_KK[0, 1]) == pytest.approx(float(odds_KK[1, 2])) != 0
    torch.testing.assert_close(mean_win_rate(odds_KK), torch.full((3,), 0.5))


def test_an_ensemble_takes_the_mean_or_the_least(trained: dict[str, Path]) -> None:
    paths = [str(trained["a"]), str(trained["b"])]
    each = [[by_hand(Path(path), text) for path in paths] for text in TEXTS]
    for combine, summary in (("mean", lambda s: sum(s) / 2), ("min", min)):
        labels = ask(reward_ensemble, paths, *TEXTS, combine=combine, standardise=False)
        assert [x.score for x in labels] == pytest.approx(list(map(summary, each)), abs=1e-5)
    assert [float(x) for x in labels[0].detail.split()] == pytest.approx(each[0], rel=1e-2)
    scaled = ask(reward_ensemble, paths, *TEXTS)
    probes = [judges.read_probe(Path(path))[0] for path in paths]
    assert len(probes[0]) == 10
    assert scaled[0].score != pytest.approx(labels[0].score)
    [broken] = ask(reward_ensemble, paths, "£")
    assert (broken.score, broken.detail[:8]) == (None, "model 0:")
    with pytest.raises(ConfigError, match=r"verifier\.paths: got 1, wanted two"):
        ask(reward_ensemble, paths[:1], *TEXTS)
    bare = [bare_copy(Path(path)) for path in paths]
    with pytest.raises(ConfigError, match=r"takes the scale of each model from its probe"):
        ask(reward_ensemble, bare, *TEXTS, min_probe_accuracy=None)


def bare_copy(folder: Path, name: str = "bare") -> str:
    """The model without its probe, beside it."""
    place = folder.resolve().parent / f"{name}-{folder.parent.name}"
    shutil.copytree(folder, place, dirs_exist_ok=True)
    (place / "probe.json").unlink()
    return str(place)


def test_a_head_that_is_no_reward_is_refused(trained: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no reward model: its weights lack score\.weight"):
        ask(reward_model, str(TINY), *TEXTS)
    two = changed(trained["a"], tmp_path / "two", {"score.weight": torch.randn(2, 128)})
    settings = json.loads((two / "config.json").read_text())
    settings |= {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}}
    (two / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match=r"classifier of 2 labels; wanted one label"):
        ask(reward_model, str(two), *TEXTS)
    with pytest.raises(ConfigError, match=r"preference model: it compares .*verifier=win_rate"):
        ask(reward_model, str(trained["circular"]), *TEXTS)
    with pytest.raises(ConfigError, match=r"is a reward model, not a preference model"):
        ask(preference_model, str(trained["a"]), *TEXTS)
    with pytest.raises(ConfigError, match=r"there is no such folder"):
        ask(reward_model, str(tmp_path / "nowhere"), *TEXTS)


def test_a_tokenizer_of_another_model_is_refused(trained: dict[str, Path], tmp_path: Path) -> None:
    small = {"model.embed_tokens.weight": torch.randn(50, 128)}
    mixed = changed(trained["a"], tmp_path / "mixed", small)
    settings = json.loads((mixed / "config.json").read_text())
    (mixed / "config.json").write_text(json.dumps({**settings, "vocab_size": 50}))
    with pytest.raises(ConfigError, match=r"tokenizer has 101 tokens and the model embeds 50"):
        ask(reward_model, str(mixed), *TEXTS)


def changed(folder: Path, place: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """A copy of a model with other weights."""
    shutil.copytree(folder, place)
    weights = load_file(place / "model.safetensors")
    save_file({**weights, **tensors}, place / "model.safetensors", metadata={"format": "pt"})
    return place


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (lambda w: w * float("nan"), "scores that are not finite"),
        (lambda w: w * 0, r"all 20 answers get the score 0"),
        (lambda w: -w, r"0 of 10 probe pairs ranked right \(0\.0%\).*min_probe_accuracy is 0\.6"),
    ],
    ids=["not finite", "constant", "the wrong way round"],
)
def test_a_judge_that_fails_its_probe_labels_nothing(
    trained: dict[str, Path], tmp_path: Path, head: Any, told: str
) -> None:
    weights = load_file(trained["a"] / "model.safetensors")
    # Where the short training ranks pairs at random, a probe of those it ranks right serves.
    place = changed(trained["a"], tmp_path / "x", {"score.weight": head(weights["score.weight"])})
    lines = json.loads((place / "probe.json").read_text())
    for line in lines:
        if line["log_odds"] < 0:
            line["chosen"], line["rejected"] = line["rejected"], line["chosen"]
            line["log_odds"] *= -1
    (place / "probe.json").write_text(json.dumps(lines))
    with pytest.raises(AlignError, match=told):
        ask(reward_model, str(place), *TEXTS, min_probe_accuracy=0.6)


def test_a_judge_is_examined_once_and_says_so(trained: dict[str, Path]) -> None:
    said: list[str] = []
    for _ in range(2):
        ask(reward_model, str(trained["b"]), *TEXTS, said=said, min_probe_accuracy=0.01)
    [line] = said
    assert "of 10 probe pairs ranked right" in line
    assert "log-odds within" in line
    bare = bare_copy(trained["b"], "other")
    with pytest.raises(ConfigError, match=r"brings no pairs .*verifier\.probe=PAIRS\.jsonl"):
        ask(reward_model, bare, *TEXTS)
    own = write_pairs(Path(bare).parent / "own.jsonl", 12)
    labels = ask(reward_model, bare, *TEXTS, probe=str(own), said=said)
    assert labels[0].score == pytest.approx(by_hand(trained["b"], TEXTS[0]), abs=1e-5)
    assert "of 12 probe pairs" in said[-1]
    ask(reward_model, bare, *TEXTS, min_probe_accuracy=None, said=said)
    assert "not examined" in said[-1]


def test_without_a_padding_token_the_last_token_is_read(tmp_path: Path) -> None:
    """As transformers does for one sequence at a time; in a batch it would refuse."""
    shape = {"layers": 1, "width": 8, "heads": 2, "mlp_width": 8, "window": 40}
    scratch(tmp_path, 0, tokenizer="characters", **shape)  # type: ignore[arg-type]
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    model = RewardModel.fresh(
        tmp_path, device="cpu", outputs=1, temperature=None, dropout=0.0, seed=3
    )
    assert model.network.config.pad_token_id is None
    sequences: Sequence[Sequence[int]] = [(5, 6, 7, 4), (8, 9), (4, 4, 4)]
    together = model.read(sequences)[:, 0].tolist()
    with torch.no_grad():
        alone = [float(model.network(torch.tensor([s])).logits[0, 0]) for s in sequences]
    assert together == pytest.approx(alone, abs=1e-6)

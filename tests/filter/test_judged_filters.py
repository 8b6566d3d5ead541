"""Filters that ask trained judges: whose votes, which parts, what becomes of a label."""

from collections import Counter
from itertools import pairwise as pairwise_of
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
from judged_rows import PROMPT, asked, judged
from reward_models import train_rm, write_pairs

from align_cli.batches import PairLogps
from align_cli.config.compose import compose, composed_node
from align_cli.config.signature import signature_of
from align_cli.errors import ConfigError, RowError
from align_cli.filter.mc_dropout import bald, drawn_by, mc_dropout
from align_cli.filter.vote_strength import vote_strength
from align_cli.loss.pairwise import pairwise
from align_cli.model.reward_model import RewardModel
from align_cli.rows import Completion
from align_cli.train.doubt import doubted
from align_cli.training_rows import Pair

TEXTS = ["7+8=15;15-3=12#12", "7+8=5;5-3=2#2", "7+8=15#15", "7#7", "1", "7+8=16;16-3=13#13"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    before = torch.get_num_threads()
    outputs = tmp_path_factory.mktemp("judges")
    words = (f"preference.path={write_pairs(outputs / 'pairs.jsonl')}", "train.dropout=0.1")
    made = [train_rm(outputs, *words, f"name={seed}", f"seed={seed}") for seed in (0, 1)]
    torch.set_num_threads(before)
    return [str(each.model) for each in made]


def round_of(texts: list[str]) -> tuple[list[Pair], dict[tuple[str, int], Completion]]:
    """Every text over the next one."""
    answers = {
        (PROMPT, i): judged(i, None, score=-float(i), text=text).completion
        for i, text in enumerate(texts)
    }
    pairs = [
        Pair(prompt_id=PROMPT, chosen=i, rejected=i + 1, margin=1.0, kind="natural")
        for i in range(len(texts) - 1)
    ]
    return pairs, answers


def ask(function: Any, texts: list[str], **more: Any) -> list[Any]:
    """The filter's word on each pair, by the settings of the shipped yaml."""
    name = function.__name__
    node = composed_node("filter", name)
    known = signature_of(node["_target_"]).settings
    settings = {key: value for key, value in node.items() if key in known}
    settings |= {"min_probe_accuracy": None, **more}
    pairs, answers = round_of(texts)
    offer: dict[str, Any] = {"round_pairs": pairs, "answers": answers, "device": "cpu"}
    offer |= {"prompts": {PROMPT: asked()}, "say": lambda line: None}
    if "seed" in signature_of(node["_target_"]).needs:
        offer["seed"] = 5
    return list(function(**offer, **settings))


def gaps_by_hand(paths: list[str], texts: list[str]) -> list[list[float]]:
    found = []
    for path in paths:
        model = RewardModel.load(Path(path), device="cpu")
        ids = model.encode_all([(asked().messages, text, True) for text in texts])
        rewards = [float(model.read([each])[0, 0]) for each in ids if not isinstance(each, str)]
        found.append([a - b for a, b in pairwise_of(rewards)])
    return found


def test_votes_are_means_and_deviations_over_the_models(trained: list[str]) -> None:
    found = ask(vote_strength, TEXTS, paths=tuple(trained), wrong="keep", ambiguous="keep",
                strong="keep")  # fmt: skip
    for pair, (a, b) in zip(found, zip(*gaps_by_hand(trained, TEXTS), strict=True), strict=True):
        assert pair.strength_mean == pytest.approx((a + b) / 2, abs=1e-5)
        assert pair.strength_std == pytest.approx(abs(a - b) / 2, abs=1e-5)
        assert (pair.flipped, pair.p_right) == (False, 1.0)


def test_each_part_of_the_order_is_treated_as_asked(trained: list[str]) -> None:
    means = [(a + b) / 2 for a, b in zip(*gaps_by_hand(trained, TEXTS), strict=True)]
    order = sorted(range(5), key=lambda each: means[each])
    shares = {"wrong_share": 0.4, "ambiguous_share": 0.2, "strong_share": 0.2}
    found = ask(vote_strength, TEXTS, paths=tuple(trained), wrong="flip", ambiguous="drop",
                strong="soften", label_smoothing=0.3, **shares)  # fmt: skip
    assert found[order[2]] == "ambiguous"
    assert found[order[3]].p_right == 1.0
    assert found[order[4]].p_right == pytest.approx(0.7)
    for place in order[:2]:
        pair, against = found[place], means[place] < 0
        assert pair.flipped == against
        sides = (place + 1, place) if against else (place, place + 1)
        assert (pair.chosen, pair.rejected, pair.margin) == (*sides, -1.0 if against else 1.0)
    assert means[order[0]] < 0, "the example flips nothing"
    dropped = ask(vote_strength, TEXTS, paths=tuple(trained), wrong="drop", ambiguous="drop",
                  strong="drop", **shares)  # fmt: skip
    assert Counter(each for each in dropped if isinstance(each, str)) == {
        "likely_wrong": 2, "ambiguous": 1, "strong": 1,
    }  # fmt: skip


def test_what_cannot_be_read_is_dropped_and_counted(trained: list[str]) -> None:
    texts = [*TEXTS[:3], "£", TEXTS[0]]
    for found in (
        ask(vote_strength, texts, paths=tuple(trained)),
        ask(mc_dropout, texts, path=trained[0], rate=1.0, passes=3),
    ):
        assert [isinstance(each, str) for each in found] == [False, False, True, True]
        assert set(found[2:]) == {"unreadable"}


def test_a_flipped_pair_says_so_in_its_margin() -> None:
    pair = {"prompt_id": PROMPT, "chosen": 1, "rejected": 0, "kind": "natural"}
    with pytest.raises(RowError, match="flipped, yet of margin"):
        Pair(**pair, margin=1.0, flipped=True)
    with pytest.raises(RowError, match="a tie is no pair"):
        Pair(**pair, margin=-1.0)
    with pytest.raises(RowError, match="no probability"):
        Pair(**pair, margin=1.0, p_right=1.2)


def test_a_doubted_label_is_both_labels_weighed() -> None:
    """Under DPO it is cDPO at e = 1 - p, pair by pair; p = 0 is the pair the other way round."""
    torch.manual_seed(0)
    length_B = torch.ones(4, dtype=torch.int64)
    policy, reference = (PairLogps(*(-10 * torch.rand(2, 4)), length_B, length_B) for _ in "ab")
    right_B = torch.tensor([1.0, 0.9, 0.6, 0.0])

    def loss(
        pairs: PairLogps, ref_pairs: PairLogps, smoothing: float | None = None, **_: Any
    ) -> Any:
        labels = "hard" if smoothing is None else "smoothed"
        return pairwise(pairs, ref_pairs, beta=0.3, labels=labels, label_smoothing=smoothing)

    offer = {"pairs": policy, "ref_pairs": reference, "start_pairs": None}
    out = loss(policy, reference)
    got = doubted(loss, offer, out, right_B)
    for place, p in enumerate((1.0, 0.9, 0.6)):
        wanted = loss(policy, reference, 1 - p if p < 1 else None).loss_B[place]
        assert float(got.loss_B[place]) == pytest.approx(float(wanted))
    turned = [PairLogps(x.rejected_B, x.chosen_B, length_B, length_B) for x in (policy, reference)]
    assert float(got.loss_B[3]) == pytest.approx(float(loss(*turned).loss_B[3]))
    assert got.chosen_reward_B is out.chosen_reward_B


def test_bald_is_the_information_of_the_mask() -> None:
    chance_TB = torch.tensor([[0.9, 1.0, 0.5, 0.2], [0.9, 0.0, 0.5, 0.6]], dtype=torch.float64)
    found = bald(chance_TB).tolist()

    def entropy(p: float) -> float:
        return sum(-q * log(q) for q in (p, 1 - p) if q > 0)

    assert found[:3] == pytest.approx([0.0, log(2), 0.0], abs=1e-12)
    assert found[3] == pytest.approx(entropy(0.4) - (entropy(0.2) + entropy(0.6)) / 2)


def test_certain_or_uncertain_pairs_are_likelier_to_be_drawn() -> None:
    bald_B = [0.6] * 10 + [0.01] * 10
    for draw, favoured in (("certain", range(10, 20)), ("uncertain", range(10))):
        hits = [sum(place in favoured for place in drawn_by(bald_B, draw, 0.5, seed))
                for seed in range(50)]  # fmt: skip
        assert sum(hits) / 50 > 6
    assert len(drawn_by(bald_B, "certain", 0.33, 0)) == 6
    assert len(drawn_by([0.0] * 4, "uncertain", 0.5, 0)) == 2


def test_dropout_masks_are_seeded_and_the_draw_is_recorded(trained: list[str]) -> None:
    first, again = (ask(mc_dropout, TEXTS, path=trained[0], rate=0.6) for _ in "ab")
    assert first == again
    kept = [each for each in first if isinstance(each, Pair)]
    assert len(kept) == 3
    assert all(each.bald is not None and 0 < each.bald < log(2) for each in kept)
    assert {each.p_right for each in kept} == {1.0}
    soft = ask(mc_dropout, TEXTS, path=trained[0], rate=1.0, soften=True)
    gaps = gaps_by_hand(trained[:1], TEXTS)[0]
    for pair, gap in zip(soft, gaps, strict=True):
        # Masks scatter around the model without dropout.
        assert pair.p_right == pytest.approx(1 / (1 + 2.718281828**-gap), abs=0.2)


def test_a_model_without_dropout_is_refused(tmp_path: Path) -> None:
    made = train_rm(tmp_path, f"preference.path={write_pairs(tmp_path / 'pairs.jsonl')}")
    with pytest.raises(ConfigError, match=r"no dropout.*train\.dropout=0\.1"):
        ask(mc_dropout, TEXTS, path=str(made.model))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["filter=vote_strength", "filter.paths=[a,b]", "loss=odpo"], r"may flip, soften labels"),
        (["filter=mc_dropout", "filter.path=a", "filter.soften=true", "loss=tdpo1"], r"may soften"),
    ],
)
def test_a_loss_that_reads_more_than_log_probs_refuses_other_labels(
    words: list[str], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        compose(words)
    compose([*words[:-1], "loss=dpo"])
    if words[0].endswith("mc_dropout"):
        compose([*words[:-2], "loss=tdpo1"])

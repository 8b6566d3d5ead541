"""Policies of a bandit, exact in float64: they begin as its reference, all parameters 0."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from align_cli.bandit.instance import Bandit, true_parameter
from align_cli.bandit.named import asked_of_all
from align_cli.bandit.network import BanditConfig, BanditNetwork
from align_cli.rows import Prompt

TEMPLATE = (
    "{% set words = messages[0]['content'].split(' ') %}"
    "{% set number = words[1] if words | length == 2 else '#0' %}"
    "{% if messages | length != 1 or words | length > 2 or number[0] != '#' "
    "or not number[1:].isdigit() or words[0][0] != 'x' or not words[0][1:].isdigit() %}"
    "{{ raise_exception('a bandit is asked by its context alone: there are no words to correct, "
    "hint or instruct in') }}"
    "{% endif %}"
    "{{ words[0] }}"
)
"""`x0 #17` is context 0, whichever question of the round it is."""


def linear_softmax(
    folder: Path, prompts: Sequence[Prompt], *, reward: Literal["linear", "any"]
) -> None:
    """pi(y | x) ~ reference(y | x) exp(<theta, phi(x, y)>), theta = 0: the bandit's reference.

    It holds the best policy if the reward is linear in the features; then theta* is known, and
    DPO is logistic regression on differences of features.

    Settings:
        reward: linear refuses a bandit whose reward the features cannot express, and says by how
            much; any takes it, and no policy of the class is the best one.
    """
    bandit = asked_of_all([prompt.gold for prompt in prompts], "policy=linear_softmax")
    features = bandit.dimension
    if reward == "linear":
        true_parameter(bandit)
    network = BanditNetwork(_config(bandit, features))
    network.arms.weight.copy_(torch.from_numpy(bandit.features))
    save(bandit, network, folder)


def tabular(folder: Path, prompts: Sequence[Prompt]) -> None:
    """pi(y | x) ~ reference(y | x) exp(u(x, y)), one free number per context and arm, all 0.

    It holds every policy, the best one too. Arms that no pair shows keep their reference weight.
    """
    bandit = asked_of_all([prompt.gold for prompt in prompts], "policy=tabular")
    save(bandit, BanditNetwork(_config(bandit, None)), folder)


def _config(bandit: Bandit, features: int | None) -> BanditConfig:
    contexts, arms = bandit.reward_XK.shape
    return BanditConfig(
        contexts=contexts, arms=arms, features=features, hidden_size=features or 1, dtype="float64"
    )


def save(bandit: Bandit, network: BanditNetwork, folder: Path) -> None:
    """A transformers folder: weights, and a tokenizer whose words are contexts and arms."""
    network.arms.log_reference_XK.copy_(torch.from_numpy(bandit.log_reference_XK))
    words = tokenizer(*bandit.reward_XK.shape)
    folder.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(folder, safe_serialization=True)
    words.save_pretrained(folder)


def tokenizer(contexts: int, arms: int) -> PreTrainedTokenizerFast:
    """Words a0, a1, ... are tokens 0 to K - 1, words x0, x1, ... the tokens after them."""
    words = [*(f"a{arm}" for arm in range(arms)), *(f"x{context}" for context in range(contexts))]
    vocabulary = {word: number for number, word in enumerate([*words, "<unk>", "<end>"])}
    made = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="<unk>",
        eos_token="<end>",
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE,
    )

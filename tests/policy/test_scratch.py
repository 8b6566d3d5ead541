"""Random policies: shape, seed, tokenizers and their templates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from align_cli.errors import ConfigError
from align_cli.model.language_model import LanguageModel
from align_cli.policy.scratch import scratch
from align_cli.policy.tokenizers import CHARACTERS, character_tokenizer
from align_cli.rows import Message

SMALL: dict[str, Any] = {"layers": 1, "width": 8, "heads": 2, "mlp_width": 12, "window": 64}
TALK = (
    Message("user", "7+8-3"),
    Message("assistant", "7+8=5;5-3=2#2"),
    Message("user", "This is wrong. Try again."),
)
CHARACTER = character_tokenizer()


@given(st.text(alphabet=CHARACTERS))
def test_characters_decode_to_what_was_written(text: str) -> None:
    ids = CHARACTER(text, add_special_tokens=False)["input_ids"]
    assert len(ids) == len(text)
    assert CHARACTER.decode(ids, clean_up_tokenization_spaces=False) == text


def test_a_character_beyond_ascii_is_unknown_and_not_lost() -> None:
    ids = CHARACTER("1é2\t", add_special_tokens=False)["input_ids"]
    assert CHARACTER.convert_ids_to_tokens(ids) == ["1", "<unk>", "2", "<unk>"]


def test_a_scratch_policy_loads_talks_and_stops(tmp_path: Path) -> None:
    scratch(tmp_path, 0, tokenizer="characters", **SMALL)
    model = LanguageModel.load(tmp_path, device="cpu")
    ids = model.encode_prompt(TALK)
    assert model.tokenizer.convert_ids_to_tokens(list(ids)) == [
        "<user>", *"7+8-3", "<end>",
        "<assistant>", *"7+8=5;5-3=2#2", "<end>",
        "<user>", *"This is wrong. Try again.", "<end>",
        "<assistant>",
    ]  # fmt: skip
    assert model.encode_response("1#1")[-1] == model.stop_ids[0]
    assert model.decode(model.encode_response("7+8=15\n #15")) == "7+8=15\n #15"
    assert (model.window, model.network.config.num_hidden_layers) == (64, 1)
    assert model.network.get_input_embeddings().weight is model.network.lm_head.weight
    with torch.inference_mode():
        assert model.network(torch.tensor([ids])).logits.shape == (1, len(ids), 101)
    with pytest.raises(Exception, match="the roles user and assistant only"):
        model.encode_prompt((Message("system", "Be brief."), Message("user", "1+1")))


def test_the_seed_decides_the_weights_and_leaves_the_global_stream(tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> bytes:
        scratch(tmp_path / name, seed, tokenizer="characters", **SMALL)
        return (tmp_path / name / "model.safetensors").read_bytes()

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = weights("a", 0)
    assert torch.equal(torch.rand(3), expected)
    assert first == weights("b", 0)
    assert first != weights("c", 1)


def test_gpt2s_files_get_a_template_whose_turns_end(
    tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    source = shared_data("tokenizers/gpt2")
    scratch(tmp_path / "a", 0, tokenizer=str(source), **SMALL)
    model = LanguageModel.load(tmp_path / "a", device="cpu")
    text = model.tokenizer.decode(model.encode_prompt(TALK))
    assert text == (
        "user\n7+8-3<|endoftext|>\nassistant\n7+8=5;5-3=2#2<|endoftext|>\n"
        "user\nThis is wrong. Try again.<|endoftext|>\nassistant\n"
    )
    assert model.stop_ids == (50256,)
    odd = "  two  spaces, é\n\t<<3*4=12>>12 !"
    assert model.decode(model.encode_response(odd)) == odd

    # Without the configuration files the vocabulary alone gives the same tokens.
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("vocab.json", "merges.txt"):
        (bare / name).symlink_to(source / name)
    scratch(tmp_path / "b", 0, tokenizer=str(bare), eos_token="<|endoftext|>", **SMALL)
    other = LanguageModel.load(tmp_path / "b", device="cpu")
    assert other.encode_response(odd) == model.encode_response(odd)
    with pytest.raises(ConfigError, match="names no end-of-sequence token"):
        scratch(tmp_path / "c", 0, tokenizer=str(bare), **SMALL)


def test_a_tokenizer_json_with_a_given_template(
    tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    file = shared_data("tokenizers/tiny_bpe_qwen2/tiny_bpe_tokenizer.json")
    template = "{{ messages[-1]['content'] }}<|im_end|>"
    scratch(
        tmp_path, 0, tokenizer=str(file), eos_token="<|im_end|>", chat_template=template, **SMALL
    )
    model = LanguageModel.load(tmp_path, device="cpu")
    assert model.stop_ids == (2002,)
    assert model.encode_prompt(TALK) == model.encode_response(TALK[-1].content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 10}, "width 10 is not a multiple of 2 x 2 heads"),
        ({"eos_token": "</s>"}, "ends turns with <end>"),
        ({"tokenizer": "/nowhere"}, "found neither tokenizer_config.json"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scratch(tmp_path / "new", 0, **{"tokenizer": "characters", **SMALL, **changes})
    assert not (tmp_path / "new").exists()

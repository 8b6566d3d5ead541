"""Messages -> token ids, the ids that end a turn, and folders."""

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from align_cli.errors import AlignError
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Message

BOS, EOS, USER, TURN, EQUALS = 2, 3, 4, 5, 18
ASK = (Message("user", "1 + 2"),)


def ids(tokenizer, text):
    return tuple(tokenizer.convert_tokens_to_ids(text.split()))


def test_the_template_alone_places_special_tokens(tiny, words, template):
    tokenizer = words(template)
    made = LanguageModel(tiny("llama"), tokenizer).encode_prompt(ASK)
    assert made == ids(tokenizer, "<bos> <user> 1 + 2 <turn> =")
    assert made.count(BOS) == 1


def test_a_template_without_bos_gets_none(tiny, words, template):
    tokenizer = words(template.replace("{{ bos_token }}", ""))
    made = LanguageModel(tiny("llama"), tokenizer).encode_prompt(ASK)
    assert made == ids(tokenizer, "<user> 1 + 2 <turn> =")


def test_without_a_template_turns_are_joined_and_bos_comes_once(tiny, words):
    tokenizer = words()
    turns = (*ASK, Message("assistant", "4"), Message("user", "?"))
    made = LanguageModel(tiny("llama"), tokenizer).encode_prompt(turns)
    assert made == ids(tokenizer, "<bos> 1 + 2 4 ?")


def test_every_turn_of_a_conversation_is_in_the_prompt(tiny, words, template):
    turns = (*ASK, Message("assistant", "4"), Message("user", "?"))
    tokenizer = words(template)
    made = LanguageModel(tiny("llama"), tokenizer).encode_prompt(turns)
    wanted = "<bos> <user> 1 + 2 <turn> <user> 4 <turn> <user> ? <turn> ="
    assert made == ids(tokenizer, wanted)


def test_a_written_answer_ends_with_one_end_token_and_begins_with_no_bos(tiny, words, template):
    tokenizer = words(template)
    model = LanguageModel(tiny("llama"), tokenizer)
    assert model.encode_response("3 - 1") == (*ids(tokenizer, "3 - 1"), EOS)


def test_decoding_removes_special_tokens(tiny, words):
    model = LanguageModel(tiny("llama"), words())
    assert model.decode(model.encode_response("3 - 1")) == "3 - 1"


@pytest.mark.parametrize(
    ("configured", "wanted"),
    [(EOS, (EOS,)), (TURN, (EOS, TURN)), ([TURN, EOS, 9], (EOS, TURN, 9)), (None, (EOS,))],
)
def test_turns_end_at_the_tokenizers_and_the_generation_configs_tokens(
    configured, wanted, tiny, words
):
    network = tiny("llama")
    network.generation_config.eos_token_id = configured
    assert LanguageModel(network, words()).stop_ids == wanted


def test_a_model_that_nothing_ends_is_refused(tiny, words):
    network = tiny("llama")
    network.generation_config.eos_token_id = None
    with pytest.raises(AlignError, match="set eos_token"):
        assert LanguageModel(network, words(eos_token=None)).stop_ids


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_window_is_the_models(family, tiny, words):
    assert LanguageModel(tiny(family), words()).window == 32


def test_a_folder_holds_the_whole_model(tiny, words, template, tmp_path):
    network = tiny("gpt2")
    network.generation_config.eos_token_id = [EOS, TURN]
    LanguageModel(network, words(template)).save(tmp_path)
    assert list(tmp_path.glob("*.safetensors"))
    assert not list(tmp_path.glob("*.bin"))
    read = LanguageModel.load(tmp_path, device="cpu")
    assert read.encode_prompt(ASK) == LanguageModel(network, words(template)).encode_prompt(ASK)
    assert read.stop_ids == (EOS, TURN)
    ids_BT = torch.tensor([[2, 7, 9, 10]])
    assert torch.equal(read.network(ids_BT).logits, network(ids_BT).logits)


def test_a_loaded_model_has_no_dropout(tiny, words, tmp_path):
    LanguageModel(tiny("gpt2", resid_pdrop=0.5, embd_pdrop=0.5), words()).save(tmp_path)
    read = LanguageModel.load(tmp_path, device="cpu")
    ids_BT = torch.tensor([[2, 7, 9, 10]])
    assert torch.equal(read.network(ids_BT).logits, read.network(ids_BT).logits)


def test_weights_that_are_pickles_are_refused(tiny, words, tmp_path):
    network = tiny("llama")
    LanguageModel(network, words()).save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        LanguageModel.load(tmp_path, device="cpu")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_are_read_in_the_type_they_are_stored_in(dtype, tiny, words, tmp_path):
    LanguageModel(tiny("llama").to(getattr(torch, dtype)), words()).save(tmp_path)
    read = LanguageModel.load(tmp_path, device="cpu")
    assert read.network.dtype == getattr(torch, dtype)


def test_weights_are_as_readable_as_any_file(tiny, words, tmp_path):
    LanguageModel(tiny("llama"), words()).save(tmp_path)
    modes = {(tmp_path / name).stat().st_mode for name in ("model.safetensors", "config.json")}
    assert len(modes) == 1


def test_a_sliding_window_does_not_shorten_the_models_window(words):
    config = MistralConfig(
        vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, max_position_embeddings=64, sliding_window=4,
    )  # fmt: skip
    assert LanguageModel(MistralForCausalLM(config), words()).window == 64

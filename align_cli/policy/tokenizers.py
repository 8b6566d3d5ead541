"""Tokenizers for policies made from nothing: characters, or the files of a published one."""

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from align_cli.errors import ConfigError

CHARACTERS = "".join(chr(code) for code in range(32, 127)) + "\n"
"""Printable ASCII and the newline."""
CHARACTER_SPECIALS = ("<pad>", "<unk>", "<user>", "<assistant>", "<end>")

CHARACTER_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] not in ('user', 'assistant') %}"
    "{{ raise_exception('this policy knows the roles user and assistant only') }}"
    "{% endif %}"
    "{{ '<' + message['role'] + '>' + message['content'] + '<end>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)

PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['role'] + '\\n' + message['content'] + eos_token + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant\\n' }}{% endif %}"
)
"""For tokenizers that bring none: the role on its own line, the turn closed by end-of-sequence."""


def character_tokenizer() -> PreTrainedTokenizerFast:
    """One token per character; decoding is the exact inverse, other characters become <unk>."""
    vocabulary = {token: i for i, token in enumerate((*CHARACTER_SPECIALS, *CHARACTERS))}
    # Byte-pair encoding without merges is one token per character.
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end>",
        additional_special_tokens=["<user>", "<assistant>"],
        clean_up_tokenization_spaces=False,
        chat_template=CHARACTER_TEMPLATE,
    )


def tokenizer_from(path: Path, *, eos_token: str | None) -> PreTrainedTokenizerBase:
    """A tokenizer folder, a tokenizer.json, or a folder of GPT-2's vocab.json and merges.txt.

    Its own chat template stays, PLAIN_TEMPLATE fills in for none; `eos_token` of None is its own.
    """
    tokenizer = _read(path)
    if eos_token is not None:
        if eos_token not in tokenizer.get_vocab():
            raise ConfigError(f"policy.eos_token {eos_token!r} is not a token of {path}")
        tokenizer.eos_token = eos_token
    if tokenizer.eos_token is None:
        raise ConfigError(
            f"the tokenizer {path} names no end-of-sequence token; say which token ends a turn, "
            "e.g. policy.eos_token='<|endoftext|>'"
        )
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_TEMPLATE
    return tokenizer


def _read(path: Path) -> PreTrainedTokenizerBase:
    file = path / "tokenizer.json" if path.is_dir() else path
    pair = (path / "vocab.json", path / "merges.txt")
    if (path / "tokenizer_config.json").is_file():
        try:
            read: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                path, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise ConfigError(f"policy.tokenizer {path} cannot be read: {error}") from error
        return read
    if file.is_file():
        return PreTrainedTokenizerFast(tokenizer_file=str(file), clean_up_tokenization_spaces=False)
    if all(part.is_file() for part in pair):
        tokenizer = Tokenizer(models.BPE.from_file(*map(str, pair)))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, clean_up_tokenization_spaces=False
        )
    raise ConfigError(
        f"policy.tokenizer {path}: found neither tokenizer_config.json, tokenizer.json nor "
        "vocab.json with merges.txt; give such a folder or file, or the word `characters`"
    )

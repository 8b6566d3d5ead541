"""A transformers sequence classifier that scores answers, with its tokenizer.

    one logit           a reward: higher is better                    Bradley-Terry
    2k logits           an embedding; pairs of them are compared      model/skew.py

N answers, D logits. The folder is a plain transformers one; what makes its logits an embedding is
the key `preference_temperature` of its config.json.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from align_cli.errors import ConfigError, RowError
from align_cli.model.flops import forward_flops
from align_cli.model.folder import save_folder
from align_cli.model.skew import log_odds
from align_cli.model.turns import encode_prompt, encode_response
from align_cli.rows import Message
from align_cli.store.cost import Cost

Asked = tuple[tuple[Message, ...], str, bool]
"""A conversation, an answer to it, and whether that ended by itself (else it was cut)."""
BATCH_TOKENS = 16_384
"""Largest padded batch [tokens]."""


@dataclass(frozen=True)
class RewardModel:
    """Reads a conversation and an answer, gives D logits."""

    network: PreTrainedModel
    tokenizer: Any

    @classmethod
    def load(cls, folder: Path, *, device: str) -> "RewardModel":
        """Read a trained one; weights must be safetensors, and remote code is never run.

        A head that the weights do not hold is refused: transformers would fill it at random.
        """
        network, missing = _read(folder, {})
        if missing:
            raise ConfigError(
                f"{folder} is no reward model: its weights lack {', '.join(missing[:3])}, which "
                "transformers would fill at random. A language model gets a trained head by "
                f"`align train-rm policy=hf policy.path={folder}`"
            )
        model = cls(network.to(device).eval(), _tokenizer(folder))  # type: ignore[arg-type]
        model.check(folder)
        return model

    @classmethod
    def fresh(
        cls,
        folder: Path,
        *,
        device: str,
        outputs: int,
        temperature: float | None,
        dropout: float,
        seed: int,
    ) -> "RewardModel":
        """The backbone of a policy (or of another reward model) under a new random head.

        The head's weights are normal with deviation 1 / sqrt(width + 1), drawn from `seed`.
        """
        network, missing = _read(folder, {"num_labels": outputs, "dtype": torch.float32}, dropout)
        head = [name for name in missing if not name.startswith(f"{network.base_model_prefix}.")]
        if len(head) < len(missing):
            raise ConfigError(
                f"{folder}: its weights lack {sorted(set(missing) - set(head))[:3]} of the "
                f"backbone {type(network).__name__}; give a whole model"
            )
        generator = torch.Generator().manual_seed(seed >> 1)
        for name, weight in network.named_parameters():
            if name in head:
                spread = (weight.shape[-1] + 1) ** -0.5 if weight.ndim > 1 else 0.0
                with torch.no_grad():
                    weight.copy_(torch.randn(weight.shape, generator=generator) * spread)
        network.config.preference_temperature = temperature
        words = _tokenizer(folder)
        if words.pad_token_id in (None, words.eos_token_id):
            # transformers reads the logits of the last token that is no padding; where padding is
            # the end of the turn, that would not be the end of the turn.
            network.config.pad_token_id = None
        model = cls(network.to(device).eval(), words)  # type: ignore[arg-type]
        model.check(folder)
        return model

    def check(self, folder: Path) -> None:
        """Refuse a tokenizer that names tokens the weights do not have."""
        embedded: Any = self.network.get_input_embeddings()
        rows = embedded.weight.shape[0]
        if len(self.tokenizer) > rows:
            raise ConfigError(
                f"{folder}: the tokenizer has {len(self.tokenizer)} tokens and the model embeds "
                f"{rows}; they do not belong together"
            )

    def save(self, folder: Path) -> None:
        """Write a plain transformers folder (safetensors)."""
        save_folder(self.network, self.tokenizer, folder)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.device

    @property
    def outputs(self) -> int:
        """D: logits per answer."""
        return int(self.network.config.num_labels or 0)

    @property
    def temperature(self) -> float | None:
        """Of a preference model [logits]; None of a reward model."""
        return getattr(self.network.config, "preference_temperature", None)

    @cached_property
    def window(self) -> int:
        """Longest sequence the model takes [tokens]."""
        config = self.network.config.get_text_config(decoder=True)
        return int(getattr(config, "max_position_embeddings", 2**31))

    @property
    def dropout(self) -> float:
        """The largest dropout rate of its configuration."""
        config = self.network.config
        return max((float(getattr(config, name) or 0) for name in _dropouts(config)), default=0.0)

    def encode_all(self, asked: Sequence[Asked]) -> list[tuple[int, ...] | str]:
        """Token ids of each conversation with its answer, or why it cannot be read."""
        # Many answers belong to one conversation, and the chat template is slow.
        known = {messages: encode_prompt(self.tokenizer, messages) for messages, _, _ in asked}
        found: list[tuple[int, ...] | str] = []
        for messages, answer, ended in asked:
            try:
                found.append(self._joined(known[messages], answer, ended))
            except RowError as error:
                found.append(str(error))
        return found

    def _joined(self, prompt: tuple[int, ...], answer: str, ended: bool) -> tuple[int, ...]:
        ids = (*prompt, *encode_response(self.tokenizer, answer, ended=ended))
        if len(ids) > self.window:
            raise RowError(f"{len(ids)} tokens, more than the judge's window of {self.window}")
        if self.tokenizer.unk_token_id is not None and self.tokenizer.unk_token_id in ids:
            unknown = ids.count(self.tokenizer.unk_token_id)
            raise RowError(f"{unknown} tokens are unknown to the judge's tokenizer")
        return ids

    def logits(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """[N, D] in float32, differentiable: one forward pass over right-padded sequences."""
        lengths = [len(sequence) for sequence in sequences]
        pad = self.network.config.get_text_config(decoder=True).pad_token_id
        ids_NT = torch.full((len(lengths), max(lengths)), pad or 0)
        for row, sequence in enumerate(sequences):
            ids_NT[row, : lengths[row]] = torch.tensor(sequence)
        lengths_N = torch.tensor(lengths)
        mask_NT = (torch.arange(max(lengths)) < lengths_N[:, None]).long()
        ids_NT, mask_NT = ids_NT.to(self.device), mask_NT.to(self.device)
        head = getattr(self.network, "score", None)
        if pad is None and isinstance(head, nn.Linear):
            # What transformers gives for one sequence at a time: the logits of the last token.
            states_NTW = self.network.base_model(input_ids=ids_NT).last_hidden_state
            last_NW = states_NTW[torch.arange(len(lengths)), lengths_N.to(self.device) - 1]
            logits_ND: Tensor = head(last_NW)
        else:
            logits_ND = self.network(input_ids=ids_NT, attention_mask=mask_NT).logits
        return logits_ND.float()

    @torch.no_grad()
    def read(self, sequences: Sequence[Sequence[int]], cost: Cost | None = None) -> Tensor:
        """[N, D] of many sequences, in batches of similar length, in the order given."""
        found_ND = torch.zeros(len(sequences), self.outputs)
        for batch in _batches([len(sequence) for sequence in sequences]):
            found_ND[batch] = self.logits([sequences[place] for place in batch]).cpu()
        if cost is not None:
            for sequence in sequences:
                cost.scored_tokens += len(sequence)
                cost.forward_flops += forward_flops(self.network, len(sequence), len(sequence) / 2)
        return found_ND

    def odds(self, one_ND: Tensor, other_ND: Tensor) -> Tensor:
        """[N] log-odds that `one` is preferred to `other`, both from this model's logits.

        Of a reward model r(one) - r(other), which is what Bradley-Terry takes them for.
        """
        if self.temperature is None:
            return one_ND[:, 0] - other_ND[:, 0]
        return log_odds(one_ND, other_ND, temperature=self.temperature)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places by length, cut where a padded batch would exceed BATCH_TOKENS."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda each: lengths[each]):
        if batch and (len(batch) + 1) * lengths[place] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _read(
    folder: Path, settings: dict[str, Any], dropout: float | None = None
) -> tuple[PreTrainedModel, list[str]]:
    """The network, and the names of weights that the folder does not hold."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if dropout is not None:
            _set_dropout(config, dropout, folder)
        if "num_labels" in settings:
            config.num_labels = settings.pop("num_labels")
        with torch.random.fork_rng(devices=[]):
            network, found = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **({"dtype": "auto"} | settings),
            )
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(f"{folder} cannot be read as a sequence classifier: {first}") from error
    return network, sorted({*found["missing_keys"], *(key[0] for key in found["mismatched_keys"])})


def _dropouts(config: Any) -> list[str]:
    names = [name for name in config.to_dict() if "dropout" in name or name.endswith("pdrop")]
    return [name for name in names if isinstance(getattr(config, name), int | float | None)]


def _set_dropout(config: Any, rate: float, folder: Path) -> None:
    """Every dropout rate that the architecture knows."""
    names = _dropouts(config)
    if rate and not names:
        raise ConfigError(f"{folder}: {config.model_type} has no dropout; set train.dropout=0")
    for name in names:
        setattr(config, name, rate)


def _tokenizer(folder: Path) -> Any:
    try:
        words = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: its tokenizer cannot be read: {error}") from error
    if words.eos_token_id is None:
        raise ConfigError(f"{folder}: the tokenizer names no end-of-sequence token; set eos_token")
    return words

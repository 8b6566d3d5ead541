"""Logits of chosen positions only: the vocabulary's matrix product where it is needed.

With a large vocabulary the head costs more time and memory than the rest of a small model, and
prompts and padding have no use for it.
"""

from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

_PLAIN: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()


def logits_at(network: PreTrainedModel, ids_BT: Tensor, wanted_BT: Tensor) -> Tensor:
    """[N, V] logits of the N positions where `wanted_BT` is True, row by row.

    N positions go through the head alone if the model is "plain": its logits are its output
    embedding of its last hidden states. Some are not (soft caps, logit scales); whether this one is
    has been measured, not looked up, and if not the whole of its logits are computed.
    """
    if _is_plain(network):
        states_BTD = network.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
        logits_NV: Tensor = network.get_output_embeddings()(states_BTD[wanted_BT])
        return logits_NV
    whole_BTV: Tensor = network(input_ids=ids_BT, use_cache=False).logits
    return whole_BTV[wanted_BT]


def logits_and_states_at(
    network: PreTrainedModel, ids_BT: Tensor, wanted_BT: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """The same logits, and [N, D] the hidden states of every layer there.

    Hidden states as transformers gives them: what goes into the first layer, then what comes out
    of each, the last one after the final norm.
    """
    if _is_plain(network):
        out = network.base_model(input_ids=ids_BT, use_cache=False, output_hidden_states=True)
        logits_NV = network.get_output_embeddings()(out.last_hidden_state[wanted_BT])
    else:
        out = network(input_ids=ids_BT, use_cache=False, output_hidden_states=True)
        logits_NV = out.logits[wanted_BT]
    return logits_NV, [state_BTD[wanted_BT].float() for state_BTD in out.hidden_states]


def last_states_at(network: PreTrainedModel, ids_BT: Tensor, wanted_BT: Tensor) -> Tensor:
    """[N, D] the last hidden states there, after the final norm; logits only if they must be."""
    if _is_plain(network):
        states_BTD = network.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
    else:
        out = network(input_ids=ids_BT, use_cache=False, output_hidden_states=True)
        states_BTD = out.hidden_states[-1]
    states_ND: Tensor = states_BTD[wanted_BT].float()
    return states_ND


def _is_plain(network: PreTrainedModel) -> bool:
    if network not in _PLAIN:
        _PLAIN[network] = _measured(network)
    return _PLAIN[network]


@torch.no_grad()
def _measured(network: PreTrainedModel) -> bool:
    if not isinstance(network, PreTrainedModel) or network.base_model is network:
        return False
    head = network.get_output_embeddings()
    if head is None:
        return False
    ids_BT = torch.tensor([[0, 1, 0, 1]], device=network.device)
    whole_BTV = network(input_ids=ids_BT, use_cache=False).logits
    states_BTD = network.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
    return bool(torch.allclose(head(states_BTD), whole_BTV, rtol=1e-4, atol=1e-5))

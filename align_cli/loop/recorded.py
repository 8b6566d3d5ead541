"""Given answers -> what an engine would have made of them."""

from collections.abc import Sequence

from align_cli.errors import RowError
from align_cli.model.language_model import LanguageModel
from align_cli.model.scoring import score_tokens
from align_cli.rows import Draw, Generated
from align_cli.store.cost import Cost


def recorded(
    draws: Sequence[Draw],
    prompt_ids: Sequence[tuple[int, ...]],
    model: LanguageModel,
    cost: Cost,
) -> list[Generated]:
    """Each draw's answer in the policy's tokens, with the policy's log-probs; none is cut."""
    token_ids = [model.encode_response(draw.given or "") for draw in draws]
    for draw, prompt, answer in zip(draws, prompt_ids, token_ids, strict=True):
        room = min(draw.decoding.max_new_tokens, model.window - len(prompt))
        if len(answer) > room:
            raise RowError(
                f"recorded answer {draw.prompt_id}/{draw.index} has {len(answer)} tokens where "
                f"{room} are allowed (sampler.max_new_tokens {draw.decoding.max_new_tokens}, the "
                f"model's window {model.window} less a prompt of {len(prompt)}); raise "
                "sampler.max_new_tokens, or take it out of the file"
            )
    logps = score_tokens(model, prompt_ids, token_ids, cost)
    return [
        Generated(prompt_token_ids=prompt, token_ids=answer, logps=scored, finish="stop")
        for prompt, answer, scored in zip(prompt_ids, token_ids, logps, strict=True)
    ]

"""Plain answers to the prompts as they are: what most samplers begin with."""

from collections.abc import Sequence

from align_cli.rows import Decoding, Draw, Prompt


def explored(prompts: Sequence[Prompt], count: int, decoding: Decoding) -> list[Draw]:
    """`count` independent draws of every prompt; ordered by prompt, then index."""
    return [
        Draw(prompt_id=prompt.id, index=index, messages=prompt.messages, decoding=decoding)
        for prompt in prompts
        for index in range(count)
    ]

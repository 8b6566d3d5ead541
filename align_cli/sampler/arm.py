"""An arm of a bandit as a draw: chosen by the sampler, so the engine only writes it down."""

from align_cli.rows import Decoding, Draw, Prompt

ONE_TOKEN = Decoding(max_new_tokens=1)


def drawn_arm(prompt: Prompt, index: int, arm: int) -> Draw:
    """The `index`-th answer to a prompt is this arm."""
    return Draw(
        prompt_id=prompt.id,
        index=index,
        messages=prompt.messages,
        decoding=ONE_TOKEN,
        author="recorded",
        given=f"a{arm}",
    )

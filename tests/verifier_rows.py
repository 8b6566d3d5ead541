"""Prompts and completions to judge."""

from align_cli.rows import Completion, Message, Prompt, prompt_id


def make_prompt(number: int, gold: str | None) -> Prompt:
    messages = (Message("user", f"question {number}"),)
    return Prompt(id=prompt_id(messages), messages=messages, gold=gold, source=f"test:{number}")


def make_completion(prompt: Prompt, text: str, index: int = 0) -> Completion:
    return Completion(
        prompt_id=prompt.id,
        index=index,
        text=text,
        token_ids=(1,),
        logps=(0.0,),
        finish="stop",
        policy="none",
        author="current",
        kind="natural",
        corrects=None,
        messages=None,
        prompt_logp=None,
        prompt_tokens=1,
        seed=0,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        max_new_tokens=64,
    )

"""The true reward of an arm: the judge of bandits."""

from collections.abc import Sequence

from align_cli.bandit.named import asked
from align_cli.rows import Completion, Label, Prompt


def true_reward(prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[Label]:
    """score = r(context, arm), exactly; no answer is right or wrong, so it only grades.

    Comparisons as people make them come of noise=plackett_luce on top: then the better of two
    siblings is a Bradley-Terry draw, P(y over y') = sigmoid(r(y) - r(y')). With noise=none the
    better arm always wins.
    """
    labels = []
    for prompt, completion in zip(prompts, completions, strict=True):
        bandit, context = asked(prompt.gold, "verifier=true_reward")
        arm = completion.token_ids[0]
        labels.append(
            Label(
                prompt_id=completion.prompt_id,
                index=completion.index,
                score=float(bandit.reward_XK[context, arm]),
                answer=completion.text,
            )
        )
    return labels

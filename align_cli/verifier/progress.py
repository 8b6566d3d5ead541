"""An answer is worth its outcome, and how far its steps bring the policy towards one."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Annotated, Literal

from align_cli.errors import AlignError
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.verdicts import judged, unscored

Outcome = Callable[..., Sequence[Label]]


def progress(
    prompts: Sequence[Prompt],
    siblings: Sequence[Sequence[Completion]],
    outcome: Outcome,
    *,
    weight: Annotated[float, ">= 0", "score units"],
    combine: Literal["sum", "mean"],
) -> list[Label]:
    """Right or wrong, plus what the answer's steps add to the chance of success.

        J(c)        share of the forced answers after the beginning c that are right
        progress_j  J(c_j) - J(c_{j-1})          c_0 is the empty beginning, c_1 .. c_m the cuts
        score       outcome + weight * (sum or mean over j of progress_j)

    Outcome and J are what `evaluation.verifier` says of the answers, which must call them right or
    wrong; `right` is the outcome alone. Answers of one outcome differ by their progress, so that
    pairing=best_worst may find a pair where all are right or all wrong. The draws are those of
    sampler=forced_stop. J of every cut stands in the label's detail.

    The sum telescopes: J(c_m) - J(c_0), and c_0 is the same for all answers to a prompt. Hence of
    two answers with the same outcome the one scores higher after whose last cut the policy, made
    to answer, is right more often; the mean also favours few steps. A J is an estimate: with 4
    forced answers, it moves by 1/4. Where the answer is only copied from the last step, as in
    task=arithmetic, J after that step is the outcome, and the sum orders answers as the outcome.

    An answer is unscored where its outcome is, or where none of a cut's forced answers could be
    judged, with their reason. One without any cut (no step ended) makes no progress: 0. A forced
    answer's own label is its outcome.

    Source: Qu et al. 2025, arXiv:2503.07572 (MRT; id from memory): J, progress and "outcome + alpha
    x progress" as the objective of on-policy reinforcement learning. **Reconstruction**: as a score
    that ranks answers.

    Settings:
        weight: alpha, of the progress; below 1 no progress outweighs an outcome of 1 against 0.
        combine: sum is MRT's; mean is per episode.
    """
    rows = [row for members in siblings for row in members]
    asked = [prompt for prompt, members in zip(prompts, siblings, strict=True) for _ in members]
    said = {
        (label.prompt_id, label.index): label for label in outcome(prompts=asked, completions=rows)
    }
    labels = []
    for members in siblings:
        forced = _by_beginning(members, said)
        for row in members:
            label = said[row.prompt_id, row.index]
            if row.kind == "forced" or label.score is None:
                labels.append(label)
            else:
                labels.append(_label(row, label, forced, weight, combine))
    return labels


def _by_beginning(
    members: Sequence[Completion], said: dict[tuple[str, int], Label]
) -> dict[tuple[int, ...], list[Label]]:
    """{token ids of a beginning: outcomes of its forced answers}."""
    found: dict[tuple[int, ...], list[Label]] = {}
    for row in members:
        if row.kind != "forced":
            continue
        label = said[row.prompt_id, row.index]
        if label.score is not None and label.right is None:
            raise AlignError(_only_graded(row))
        found.setdefault(row.token_ids[: row.kept_tokens], []).append(label)
    return found


def _only_graded(row: Completion) -> str:
    return (
        f"verifier=progress: evaluation.verifier gives {row.prompt_id}/{row.index} a score and "
        "calls it neither right nor wrong; name one that does: evaluation.verifier=exact, or math"
    )


def _label(
    row: Completion,
    label: Label,
    forced: dict[tuple[int, ...], list[Label]],
    weight: float,
    combine: str,
) -> Label:
    ends = [end for end in row.step_ends or () if end < len(row.token_ids)]
    cuts = [end for end in ends if row.token_ids[:end] in forced]
    if () not in forced or ends[-1:] != cuts[-1:]:
        raise AlignError(
            f"verifier=progress: completion {row.prompt_id}/{row.index} has no forced answers at "
            "its cuts; they are drawn by sampler=forced_stop"
        )
    rates: list[float] = []
    for end in (0, *cuts):
        labels = forced[row.token_ids[:end]]
        rights = [bool(each.right) for each in labels if each.score is not None]
        if not rights:
            why = f"no forced answer after {end} tokens was judged: {labels[0].detail}"
            return unscored(row, labels[0].verdict, why)
        rates.append(fmean(rights))
    steps = [after - before for before, after in pairwise(rates)]
    gained = sum(steps) / (len(steps) if combine == "mean" and steps else 1)
    if label.score is None or label.right is None:
        raise AlignError(_only_graded(row))
    told = ", ".join(
        f"{rate:.3g} after {end} tokens" for rate, end in zip(rates, (0, *cuts), strict=True)
    )
    return judged(
        row,
        right=label.right,
        score=label.score + weight * gained,
        answer=label.answer,
        detail=f"outcome {label.score:g}, progress {gained:+.3g}; J {told}",
    )

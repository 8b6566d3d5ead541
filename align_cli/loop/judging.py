"""One call of a verifier, and of the noise after it: rows in, one label for each."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from align_cli.errors import AlignError
from align_cli.rows import Completion, Label, Prompt
from align_cli.seeds import derive


def judge(
    verifier: Callable[..., Sequence[Label]],
    noise: Callable[..., Label] | None,
    rows: Sequence[Completion],
    prompts: Mapping[str, Prompt],
    stream: tuple[int | str, ...] | None,
    earlier: Sequence[Sequence[Label]] = (),
) -> list[Label]:
    """What the verifier says of each row, then what noise makes of it.

    A verifier that asks for them is shown the `earlier` labels, those of each finished round.

    Noise is seeded by (stream, prompt id, index): it does not know how many siblings there are,
    which rows it is asked with, or in which order.
    """
    labels = _asked(verifier, rows, prompts, earlier)
    name = getattr(verifier, "target", verifier)
    if len(labels) != len(rows):
        raise AlignError(
            f"verifier {name} gave {len(labels)} labels for {len(rows)} completions; "
            "wanted one for each, in their order"
        )
    for row, label in zip(rows, labels, strict=True):
        if (row.prompt_id, row.index) != (label.prompt_id, label.index):
            raise AlignError(
                f"verifier {name} answered for {label.prompt_id}/{label.index} where "
                f"{row.prompt_id}/{row.index} was asked"
            )
    if noise is None or stream is None:
        return labels
    return [
        noise(
            label=label,
            prompt=prompts[row.prompt_id],
            completion=row,
            seed=derive(*stream, row.prompt_id, row.index),
        )
        for label, row in zip(labels, rows, strict=True)
    ]


def _asked(
    verifier: Callable[..., Sequence[Label]],
    rows: Sequence[Completion],
    prompts: Mapping[str, Prompt],
    earlier: Sequence[Sequence[Label]],
) -> list[Label]:
    past = {"earlier": earlier} if "earlier" in getattr(verifier, "needs", ()) else {}
    if getattr(verifier, "unit", "completions") != "siblings":
        asked = [prompts[row.prompt_id] for row in rows]
        return list(verifier(prompts=asked, completions=list(rows), **past))
    sets: dict[str, list[Completion]] = defaultdict(list)
    for row in rows:
        sets[row.prompt_id].append(row)
    asked = [prompts[prompt_id] for prompt_id in sets]
    return list(verifier(prompts=asked, siblings=list(sets.values()), **past))


def sibling_sets(
    fresh: Sequence[Completion], before: Sequence[Completion] = ()
) -> list[list[Completion]]:
    """All answers to each prompt that has a fresh one: prompts as they come, answers by index."""
    sets: dict[str, list[Completion]] = {row.prompt_id: [] for row in fresh}
    for row in (*before, *fresh):
        if row.prompt_id in sets:
            sets[row.prompt_id].append(row)
    return [sorted(members, key=lambda row: row.index) for members in sets.values()]

"""Whether the lengths of a pair are near enough for length not to be the lesson."""

from align_cli.rows import Completion


def length_ratio(
    chosen: Completion, rejected: Completion, least: float | None, most: float | None
) -> str | None:
    """The reason against a pair whose tokens_w / tokens_l is outside [least, most]."""
    ratio = len(chosen.token_ids) / len(rejected.token_ids)
    inside = (least is None or ratio >= least) and (most is None or ratio <= most)
    return None if inside else "length_ratio"

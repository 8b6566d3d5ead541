"""What the divergence behind a loss promises, in words; torch is loaded only for one's own f."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from align_cli.loss.divergences import ALPHA, DIVERGENCES, Properties, alpha, properties


def promised(settings: Mapping[str, Any]) -> str | None:
    """Of a loss with these settings: what its link's divergence promises; None if it has none."""
    link = settings.get("link")
    if link == "user":
        target = settings.get("f_target")
        return None if target is None else f"{target}: {_said(_of_user(target))}"
    if not isinstance(link, str) or link not in DIVERGENCES:
        return None
    f = DIVERGENCES[link]
    chosen = partial(alpha, a=settings.get("alpha") or ALPHA) if link == "alpha" else f
    return f"{link}, f(t) = {_text(f)}: {_said(properties(chosen))}"


def _of_user(target: str) -> Properties:
    from align_cli.loss.user_link import properties as of_user

    return of_user(target)


def _text(f: Any) -> str:
    return (f.__doc__ or "").rstrip(".").removesuffix(", at a = 0.5")


def _said(found: Properties) -> str:
    inducing = "DPO-inducing" if found.dpo_inducing else "not DPO-inducing"
    least = "nowhere" if math.isinf(found.argmin) else f"at {found.argmin:.4f}"
    may = "can" if found.displacement_resistant else "cannot"
    return f"{inducing}; f is least {least}, so it {may} resist displacement"

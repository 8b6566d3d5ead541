"""Settings that are refused only together, said before anything is drawn or loaded."""

from align_cli.config.build import Binding
from align_cli.config.schema import Frozen


def rehearse(config: Frozen) -> None:
    """Make the plan of the rounds, and ask the sampler for the draws of no prompt at all."""
    if "schedule" in config.bindings:
        config.bindings["schedule"].load()()
    sampler = config.bindings.get("sampler")
    if sampler is not None and _asks_nothing(sampler):
        sampler.load()(prompts=(), judged=(), pool=())


def _asks_nothing(sampler: Binding) -> bool:
    """Whether a call without prompts is only a check: one of ours, that reads no file or model."""
    plain = sampler.needs <= {"prompts", "judged", "pool"}
    return plain and sampler.target.startswith("align_cli.") and "path" not in sampler.settings

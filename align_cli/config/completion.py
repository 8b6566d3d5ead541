"""Words that a shell may complete: groups, choices and keys.

Bash splits words at `=`; with `COMP_WORDBREAKS=${COMP_WORDBREAKS//=}` in ~/.bashrc it offers the
choices behind it as zsh and fish do.
"""

from hydra._internal.core_plugins.bash_completion import BashCompletion
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from align_cli.config.compose import at_rest
from align_cli.config.folders import conf_dir
from align_cli.errors import AlignError


def complete(incomplete: str, config_name: str = "config") -> list[str]:
    """What the word can become; nothing if the configuration itself is broken."""
    try:
        with at_rest([conf_dir()]):
            loader = GlobalHydra.instance().config_loader()
            found = BashCompletion(loader)._query(config_name=config_name, line=incomplete)
    except (AlignError, HydraException):
        return []
    return [word for word in found if not word.startswith(("hydra", "+", "~"))]

import os
from pathlib import Path

import pytest

from align_cli.config.compose import compose
from align_cli.errors import ConfigError
from align_cli.verifier.python import python

WORDS = ("verifier=python", "plugins=[user_judges]")
FUNCTION = "user_judges.judged_by_words"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_a_function_judges_and_its_failures_stay_with_their_rows(judge, children):
    rows = ["question 0: 7", "right?", "raise", "decline", "nonsense", "grades", "die", "hang"]
    labels = judge(
        python, [("7", text) for text in rows],
        function_target=FUNCTION, timeout_seconds=3.0, workers=2,
    )  # fmt: skip
    verdicts = [label.verdict for label in labels]
    assert verdicts == ["judged", "judged", "error", "refused", "error", "judged", "error",
                        "timeout"]  # fmt: skip
    assert [label.right for label in labels] == [True, False, *[None] * 6]
    assert [label.score for label in labels] == [1, 0, None, None, None, 3, None, None]
    assert labels[2].detail == "ZeroDivisionError: by the user"
    assert "'very good'; wanted True, False, a finite number or None" in labels[4].detail
    assert not children(os.getpid())


def test_the_function_lies_in_a_plugin_and_is_there():
    assert compose([*WORDS, f"verifier.function_target={FUNCTION}"])
    with pytest.raises(ConfigError, match="not in one of `plugins`"):
        compose(["verifier=python", f"verifier.function_target={FUNCTION}"])
    with pytest.raises(ConfigError, match="did you mean 'judged_by_words'"):
        compose([*WORDS, "verifier.function_target=user_judges.judged_by_word"])

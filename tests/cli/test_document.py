"""Pages made from conf/ are as the code makes them now, and their commands are taken."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from align_cli.cli.app import app
from align_cli.cli.document import PAGES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_up_to_date(page: str) -> None:
    wanted = PAGES[page]()
    assert (DOCS / f"{page}.md").read_text(encoding="utf-8") == wanted, (
        f"python -m align_cli.cli.document {page} > docs/{page}.md"
    )


def test_two_experiments_at_once_are_one_run_and_stand_beside_their_source() -> None:
    done = CliRunner().invoke(app, ["check", "experiment=[mcts_dpo,smoke]", "name=searched"])
    assert done.exit_code == 0, done.output
    assert "experiment=mcts_dpo beside its source" in done.output
    assert "prompts_per_round=64" in done.output

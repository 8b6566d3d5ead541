"""A run whose judge goes away stops with its labels kept, and goes on when it is back."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from judge_server import serving, shown, verdict
from small_runs import run_small

from align_cli.errors import ConfigError
from align_cli.rows import Label
from align_cli.store.tables import read_rows
from align_cli.verifier import chat_server
from align_cli.verifier.chat_server import JudgeDown

pytestmark = pytest.mark.e2e


def by_length(request):
    answer = shown(request).rpartition("[Answer]\n")[2]
    return verdict(score=1 + len(answer) % 9)


def words(url: str, outputs: Path) -> list[str]:
    return [
        "verifier=llm_judge", f"verifier.server={url}", "verifier.model=judge",
        "verifier.retries=2", f"verifier.cache={outputs / 'kept'}", "verifier.workers=2",
        "evaluation.verifier=exact", "pairing=best_worst", "schedule.rounds=1", "sampler.n=2",
        "task.prompts_per_round=16", "task.heldout_prompts=4", "engine.shard_draws=8",
        "evaluation.audit=false",
    ]  # fmt: skip


def test_labels_are_kept_while_the_judge_is_away(tmp_path, monkeypatch):
    monkeypatch.setattr(chat_server, "time", SimpleNamespace(sleep=lambda seconds: None))
    answered = []

    def then_away(request):
        if len(answered) >= 20:
            return 503, {}, {}
        answered.append(shown(request))
        return by_length(request)

    with serving(then_away) as server:
        given, port = words(server.url, tmp_path), int(server.url.split(":")[2].split("/")[0])
        with pytest.raises(JudgeDown, match="labels so far are kept"):
            run_small(tmp_path, *given)
    files = list(tmp_path.glob(".store/labels/*/labels-*.parquet"))
    rows = [label for file in files for label in read_rows(file, Label)]
    kept = [label for label in rows if label.detail.startswith("rubric")]
    assert 8 <= len(kept) <= 20

    with serving(by_length, port) as server:
        result = run_small(tmp_path, *given)
    assert result.complete
    assert result.rounds[0]["3_labels"]["label/judged"] == 32
    assert result.rounds[0]["4_pairs"]["pair/count"] > 0
    asked = {shown(request) for request in server.asked}
    assert asked
    assert not asked & set(answered)


def test_an_empty_rubric_is_refused_before_anything_is_drawn(tmp_path):
    given = words("http://127.0.0.1:9/v1", tmp_path)
    with pytest.raises(ConfigError, match="rubric is empty"):
        run_small(tmp_path, *given, "verifier.rubric=''")
    assert list(tmp_path.iterdir()) == []

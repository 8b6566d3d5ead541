"""A rubric that the judge writes anew: versions recorded, used from the next round on, resumed."""

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow.parquet as pq
import pytest
from judge_server import serving, shown, verdict
from judged_rows import asked, judged
from omegaconf import OmegaConf
from sampler_settings import CONF
from small_runs import contents, run_small
from typer.testing import CliRunner

from align_cli.cli.app import app
from align_cli.config.compose import compose
from align_cli.errors import ConfigError
from align_cli.rows import Rubric
from align_cli.verifier.revise_rubric import revise_rubric, spread


def words(url: str, *more: str) -> list[str]:
    return [
        "verifier=evolving_rubric", f"verifier.server={url}", "verifier.model=judge",
        "verifier.cache=null", "verifier.workers=1", "evaluation.verifier=exact", "name=run",
        "pairing=best_worst", "schedule.rounds=3", "sampler.n=4", "task.prompts_per_round=8",
        "task.heldout_prompts=2", "evaluation.samples=1", "verifier.rubric=Be right.",
        "evaluation.audit=false", "verifier.examples=3", *more,
    ]  # fmt: skip


def is_revision(request: dict[str, Any]) -> bool:
    return "[Rubric]" in shown(request)


def judge_and_reviser(request: dict[str, Any]) -> Any:
    """Grades by a hash; the next rubric is the last one and a word."""
    if is_revision(request):
        text = shown(request).partition("[Rubric]\n")[2].partition("\n\n")[0]
        return verdict(rubric=f"{text} Indeed.", reason="too lenient")
    return verdict(score=1 + crc32(shown(request).encode()) % 9)


def rows(folder: Path, place: str) -> list[Any]:
    files = sorted(folder.joinpath(place).resolve().rglob("*.parquet"))
    if not files:
        files = [f for d in folder.joinpath(place).iterdir() for f in d.resolve().glob("*.parquet")]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


@pytest.mark.e2e
def test_versions_are_recorded_used_from_the_next_round_on_and_kept_on_resume(
    tmp_path: Path,
) -> None:
    with serving(judge_and_reviser) as server:
        result = run_small(tmp_path / "a", *words(server.url))
        asked_for = list(server.asked)
        before = contents(tmp_path / "a")
        server.asked.clear()
        run_small(tmp_path / "a", *words(server.url))
        assert server.asked == [], "a finished run asks nothing again"
        assert contents(tmp_path / "a") == before
    found = [rows(result.folder / f"round_{number:02}", "1_rubric") for number in range(3)]
    assert [(row["version"], row["text"], row["analysis"]) for [row] in found] == [
        (1, "Be right.", ""),
        (2, "Be right. Indeed.", "too lenient"),
        (3, "Be right. Indeed. Indeed.", "too lenient"),
    ]
    revisions = [request for request in asked_for if is_revision(request)]
    assert len(revisions) == 2
    assert shown(revisions[0]).count("[Answer]") == 3
    stamps = []
    for number in range(3):
        labels = rows(result.folder / f"round_{number:02}", "3_labels")
        said = {label["detail"].partition(":")[0] for label in labels}
        assert len(said) == 1, "a round is judged by one version"
        stamps += said
        words_of_round = f"{found[number][0]['text']}\n\nGive"
        by_words = [r for r in asked_for if words_of_round in r["messages"][0]["content"]]
        assert len(by_words) == len(labels) == 32
    assert [stamp.split()[1] for stamp in stamps] == ["v1", "v2", "v3"]
    assert len({stamp.split()[2] for stamp in stamps}) == 3
    lines = map(json.loads, (result.folder / "metrics.jsonl").read_text().splitlines())
    told = [line["metrics"] for line in lines if line["stage"] == "1_rubric"]
    assert [each["rubric/version"] for each in told] == [1, 2, 3]
    view = CliRunner().invoke(app, ["show", str(result.folder)]).output
    assert "round 2: rubric v3: Be right. Indeed. Indeed." in view
    told = json.loads(CliRunner().invoke(app, ["show", str(result.folder), "--json"]).output)
    assert [(each["round"], each["version"]) for each in told["rubrics"]] == [
        (0, 1),
        (1, 2),
        (2, 3),
    ]


@pytest.mark.e2e
def test_a_run_that_stopped_in_a_later_round_goes_on_with_the_version_it_had(
    tmp_path: Path,
) -> None:
    seen: list[Any] = []

    def then_away(request: dict[str, Any]) -> Any:
        seen.append(request)
        return (401, {}, {}) if len(seen) > 45 else judge_and_reviser(request)

    def otherwise(request: dict[str, Any]) -> Any:
        if is_revision(request):
            return verdict(rubric="Something else.", reason="changed its mind")
        return judge_and_reviser(request)

    given = ("schedule.rounds=2", "engine.shard_draws=8")
    with serving(then_away) as server, pytest.raises(Exception, match="HTTP 401"):
        run_small(tmp_path, *words(server.url, *given))
    port = int(server.url.split(":")[2].split("/")[0])
    with serving(otherwise, port) as server:
        result = run_small(tmp_path, *words(server.url, *given))
        assert not any(is_revision(request) for request in server.asked)
    [row] = rows(result.folder / "round_01", "1_rubric")
    assert (row["version"], row["text"]) == (2, "Be right. Indeed.")
    details = {label["detail"].split()[1] for label in rows(result.folder / "round_01", "3_labels")}
    assert details == {"v2"}


def revised(reply: Any, **changed: Any) -> Rubric:
    given: Any = OmegaConf.to_container(
        OmegaConf.load(CONF.parent / "verifier/evolving_rubric.yaml")
    )
    others = ("_target_", "max_unscored", "rubric", "every", "lowest", "highest", "right_from",
              "max_tokens", "workers")  # fmt: skip
    settings = {k: v for k, v in given.items() if k not in others} | {"model": "m", "cache": None}
    graded = [(asked(), judged(0, None, score=2.0))]
    with serving(lambda request: reply) as server:
        return revise_rubric(
            Rubric(version=4, text="Be right."),
            graded,
            **settings | {"server": server.url} | changed,
        )


def test_what_is_no_rubric_changes_nothing_and_says_why() -> None:
    assert revised(verdict(rubric=" Be exact. ")).text == "Be exact."
    for reply, why in (
        (verdict(rubric=""), "empty"), (verdict(rubric=7), "no text"),
        (verdict(score=3), "malformed"), (verdict(rubric="a " * 400), "400 words"),
        ((400, {}, {"error": "too long"}), "HTTP 400"),
    ):  # fmt: skip
        found = revised(reply)
        assert (found.version, found.text) == (4, "Be right.")
        assert why in str(found.stands_because)


def test_shown_are_the_ends_of_the_scale_and_what_lies_between() -> None:
    graded = [
        (asked(), judged(n, None, score=float(score))) for n, score in enumerate([5, 1, 3, 9, 7])
    ]
    graded.append((asked(), judged(5, None)))
    assert [one.label.score for _, one in spread(graded, 3)] == [1, 5, 9]
    assert [one.label.score for _, one in spread(graded, 9)] == [1, 3, 5, 7, 9]
    assert spread(graded[-1:], 3) == []


def test_it_examines_no_policy() -> None:
    with pytest.raises(ConfigError, match="another rubric from round to round"):
        compose(["verifier=evolving_rubric", "verifier.model=m"])

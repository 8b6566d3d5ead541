"""The doctor finds what is broken, says so, and needs no network to say it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from align_cli.cli import app, findings
from align_cli.cli.findings import Finding
from align_cli.errors import ConfigError

runner = CliRunner()


def test_a_sound_installation_passes(tmp_path: Path) -> None:
    done = runner.invoke(app, ["doctor", "--json", "--outputs", str(tmp_path / "outputs")])
    found = {each["subject"]: each for each in json.loads(done.stdout)}
    assert done.exit_code == 0, done.output
    for subject in ("python", "torch", "wandb", "conf", "outputs", "disk", "device", "math-verify"):
        assert found[subject]["state"] in ("ok", "note"), found[subject]
    assert not (tmp_path / "outputs").exists()


def test_what_is_broken_is_named_and_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "math_verifier", lambda: Finding("math-verify", "broken", "[x]"))
    done = runner.invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "[x]" in done.stdout
    assert "broken: math-verify" in done.stderr


def test_a_missing_library_is_broken_and_another_version_is_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(findings, "REQUIRED", ("torch", "no-such-library"))
    monkeypatch.setattr(findings, "_constraints", lambda: {"torch": "0.0.1"})
    torch, missing = findings.libraries()
    assert torch.state == "note"
    assert "0.0.1" in torch.detail
    assert missing.state == "broken"


def test_outputs_that_cannot_be_written_are_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**how: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(findings.tempfile, "TemporaryFile", refuse)
    outputs, _ = findings.disk(tmp_path / "a" / "b")
    assert outputs.state == "broken"
    assert "outputs=FOLDER" in outputs.detail


def test_a_broken_conf_is_reported_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    from align_cli.config import folders

    def missing() -> Path:
        raise ConfigError("no conf/config.yaml")

    monkeypatch.setattr(folders, "conf_dir", missing)
    assert findings.configuration()[0].state == "broken"
    assert findings._constraints() == {}

"""Every command and every file that the README shows is run as it stands there.

Long runs are cut down by words put behind them; what needs the network is checked, not run.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import warm

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.split("  #")[0].strip()
    for kind, text in BLOCKS
    if kind == "bash"
    for line in text.replace("\\\n", " ").splitlines()
    if line.strip()
]
SHORT = ("experiment=smoke", "tracker=none", "threads=1")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def align(place: Path, *words: str) -> str:
    """Run the command in `place` as a user would; its standard output."""
    done = warm.align(place, *words, timeout_s=300, WANDB_MODE="offline", COLUMNS="100")
    assert done.returncode == 0, f"align {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with what the README's lines refer to: a run, questions, a private loss."""
    folder = tmp_path_factory.mktemp("reader")
    rows = [{"question": f"{a}+{b}-1", "answer": str(a + b - 1)} for a in range(2, 40)
            for b in range(2, 10)]  # fmt: skip
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for kind, text in BLOCKS:
        if found := re.match(r"# (mine/\S+)\n", text):
            file = folder / found[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            assert kind in ("python", "yaml")
    # The study that is shown, cut down: studies of the current folder come first.
    (folder / "sweeps").mkdir()
    study = (ROOT / "sweeps" / "beta.yaml").read_text().replace("seeds: [0, 1, 2]", "seeds: 1")
    (folder / "sweeps" / "beta.yaml").write_text(
        study.replace("[0.05, 0.1, 0.3, 1.0]", "[0.1, 1.0]")
    )
    align(folder, "run", *SHORT, "name=NAME", "schedule.rounds=4")
    align(folder, "run", *SHORT, "name=OTHER", "loss=ipo", "schedule.rounds=1")
    return folder


def test_the_readme_is_short_and_shows_something():
    assert README.count("\n") <= 150
    assert len(COMMANDS) >= 12


def test_ci_installs_and_tests_by_the_readmes_words():
    install = re.search(r"pip install -c constraints\.txt -e '\.\[dev\]'", README)
    script = (ROOT / ".ci" / "run").read_text()
    assert install
    assert install[0].replace("pip install", "pip install --quiet") in script
    assert "python -m pytest -q" in README
    assert "python -m pytest -q" in script


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("align ")])
def test_a_command_runs(command, place):
    words = shlex.split(command)[1:]
    if "outputs/NAME" in command and "--prompt" in words:
        prompts = json.loads(align(place, "show", "outputs/NAME", "--json"))["rounds"]
        assert prompts
        from align_cli.rows import Prompt
        from align_cli.store.tables import read_rows

        first = next((place / "outputs/NAME/round_00/1_prompts").glob("*.parquet"))
        words[words.index("--prompt") + 1] = read_rows(first, Prompt)[0].id[:8]
    if words[0] == "sweep":
        words += [*SHORT, f"--name={'-'.join(words).replace('-', '')}"]
    elif any("/" in word and word.startswith("policy.path=Qwen") for word in words):
        # The hub is not reachable from a test: the words are composed and bound, not run.
        words = ["check", *words[1:]]
    elif words[0] in ("run", "eval"):
        small = [word for word in SHORT if word.split("=")[0] not in " ".join(words)]
        words += small
        if "task=jsonl" in words:
            words += ["task.heldout_share=0.3"]
    out = align(place, *words)
    assert out.strip()
    if words[0] in ("run", "eval"):
        assert "sampled" in out
    if words[0] == "sweep":
        assert ("detectable effect" if "--dry-run" in words else "2 done of 2 cells") in out


def test_the_first_command_reaches_what_it_promises(tmp_path):
    """The bare `align run`, whole: about half a minute of two idle cores."""
    done = subprocess.run(
        [sys.executable, "-m", "align_cli", "run", "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    start, last = result["start"]["6_scores"], result["rounds"][-1]["6_scores"]
    assert 0.50 < start["eval/sampled_accuracy"] < 0.60
    assert last["eval/sampled_accuracy"] >= 0.85
    assert last["eval/greedy_accuracy"] >= 0.93
    assert result["complete"]
    assert len(result["rounds"]) == 4

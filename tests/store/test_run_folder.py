"""A run folder is frozen, locked, and refuses other settings by the names of the keys."""

import json
import os
import subprocess
import sys

import pytest

from align_cli.errors import AlignError, StaleRun
from align_cli.store.cost import Cost
from align_cli.store.run_folder import RunFolder, round_name
from align_cli.store.stage import Store
from align_cli.training_rows import Pair

IDENTITY = {"seed": 0, "loss.beta": 0.1, "sampler.n": 4}


def opened(path, identity=IDENTITY):
    return RunFolder.opened(path, config_text="seed: 0\n", identity=identity, environment={})


def test_the_same_settings_go_on_with_the_same_run_id(tmp_path):
    with opened(tmp_path / "a") as folder:
        first = folder.run_id
    with opened(tmp_path / "a") as folder:
        assert folder.run_id == first
    with opened(tmp_path / "b") as folder:
        assert folder.run_id != first


def test_other_settings_are_refused_by_name(tmp_path):
    with opened(tmp_path / "a"):
        pass
    other = {"seed": 0, "loss.beta": 0.5, "loss.clip": 50}
    with pytest.raises(StaleRun) as caught, opened(tmp_path / "a", other):
        pass
    message = str(caught.value)
    assert "loss.beta: folder has 0.1, asked for 0.5" in message
    assert "loss.clip: folder has (absent), asked for 50" in message
    assert "sampler.n: folder has 4, asked for (absent)" in message
    assert "seed" not in message


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").write_text("x")
    with pytest.raises(StaleRun, match=r"thesis\.tex"), opened(tmp_path / "a"):
        pass
    assert not (tmp_path / "a" / "config.yaml").exists()


def test_two_processes_do_not_share_a_folder(tmp_path):
    code = (
        "import sys; from pathlib import Path; from align_cli.store.run_folder import RunFolder\n"
        "from align_cli.errors import AlignError\n"
        "try:\n"
        "    facts = dict(config_text='', identity={}, environment={})\n"
        "    with RunFolder.opened(Path(sys.argv[1]), **facts): pass\n"
        "except AlignError as error: print(error)"
    )
    with opened(tmp_path / "a"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "a")], capture_output=True, text=True
        )
    assert "another process" in done.stdout


@pytest.mark.parametrize("place", ["file/run", "/proc/nowhere/run"])
def test_a_place_that_cannot_be_written_is_said(tmp_path, place):
    (tmp_path / "file").write_text("")
    path = tmp_path / place
    with pytest.raises(AlignError, match=r"cannot be written.*outputs="), opened(path):
        pass


def test_links_are_relative_and_notes_keep_the_first_account(tmp_path):
    stage = Store(tmp_path / ".store").stage("pairs", {"a": 1})
    pair = Pair(prompt_id="p", chosen=0, rejected=1, margin=1.0, kind="natural")
    with stage.making():
        stage.write("pairs-00000", [pair], Pair, Cost())
        stage.finish(rows_in=1, rows_out=1)
    with opened(tmp_path / "run") as folder:
        for shared in (False, True):
            folder.link("round_00/4_pairs", stage)
            folder.note("round_00/4_pairs", {"shared": shared})
    here = tmp_path / "run" / "round_00" / "4_pairs"
    assert not os.path.isabs(os.readlink(here))
    assert (here / "pairs-00000.parquet").is_file()
    assert json.loads(here.with_suffix(".json").read_text()) == {"shared": False}


def test_names_of_rounds():
    assert [round_name(n) for n in (None, 0, 12)] == ["start", "round_00", "round_12"]

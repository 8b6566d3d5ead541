import json

import pytest

from align_cli.errors import RowError
from align_cli.task.gsm8k import gsm8k

SETTINGS = {"instruction": " Think.", "system": "", "prompts_per_round": 2, "heldout_prompts": 2}


@pytest.fixture
def folder(tmp_path):
    train = [
        {
            "question": f"What is {n}+{n}?",
            "answer": f"It is <<{n}+{n}={2 * n}>>{2 * n}\n#### {2 * n}",
        }
        for n in range(1, 6)
    ]
    test = [
        {"question": "None?", "answer": "#### 0"},
        {"question": "Twice?", "answer": "<<1+1=2>>2 and <<2+2=4>>4\n#### 1,004"},
    ]
    for name, rows in (("train", train), ("test", test)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_gold_follows_the_marker_and_strata_are_steps(folder):
    held = gsm8k("heldout", 0, 0, path=str(folder), **SETTINGS)
    facts = {p.messages[0].content: (p.gold, p.stratum, p.source) for p in held}
    assert facts == {
        "None? Think.": ("0", "0 steps", "test.jsonl:1"),
        "Twice? Think.": ("1,004", "2 steps", "test.jsonl:2"),
    }
    (prompt, _) = gsm8k("train", 0, 0, path=str(folder), **SETTINGS)
    assert prompt.stratum == "1 step"
    assert "#" not in prompt.gold


def test_an_answer_without_its_marker_is_named(folder):
    (folder / "test.jsonl").write_text('{"question": "q", "answer": "42"}\n')
    with pytest.raises(RowError, match=r"test\.jsonl:1: the gold answer has no '####'"):
        gsm8k("heldout", 0, 0, path=str(folder), **SETTINGS)


def test_a_folder_without_the_files_lists_what_it_has(tmp_path):
    (tmp_path / "dev.jsonl").write_text("{}\n")
    with pytest.raises(RowError, match=r"no file for the split 'test'; it has dev\.jsonl"):
        gsm8k("heldout", 0, 0, path=str(tmp_path), **SETTINGS)


def test_the_published_files(shared_data):
    folder = str(shared_data("gsm8k"))
    settings = {**SETTINGS, "heldout_prompts": 1319, "prompts_per_round": 1024}
    held = gsm8k("heldout", 0, 0, path=folder, **settings)
    rounds = [gsm8k("train", number, 3, path=folder, **settings) for number in range(8)]
    assert len({p.id for p in held}) == 1319
    assert len({p.id for each in rounds[:7] for p in each}) == 7 * 1024
    assert len({p.id for p in rounds[7]}) == 1024
    assert {p.id for each in rounds for p in each} & {p.id for p in held} == set()
    assert all(p.gold.replace(",", "").lstrip("-").isdigit() for p in held)
    assert "3 steps" in {p.stratum for p in held}

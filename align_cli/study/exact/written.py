"""What an exact study leaves on disk.

outputs/STUDY/
  study.yaml        the study with every setting
  report.html  claims.json  measurements.csv
"""

import json
from pathlib import Path

from align_cli.config.grid import read_yaml, yaml_text
from align_cli.errors import AlignError, StaleRun
from align_cli.lab.reading import Reading
from align_cli.store.stage import write_text
from align_cli.study.exact.compute import Computed, Told
from align_cli.study.exact.document import as_csv, claims_document
from align_cli.study.exact.file import ExactStudy
from align_cli.study.exact.page import page
from align_cli.study.grid import LAB

STUDY = "study.yaml"


def check_folder(study: ExactStudy) -> None:
    """Refuse a folder that holds something else: a run, a study of runs, files of the user's."""
    folder = study.folder
    if not folder.exists():
        return
    names = {entry.name for entry in folder.iterdir()}
    exact = STUDY in names and LAB in read_yaml(folder / STUDY)
    if names and not exact:
        raise StaleRun(
            f"{folder} holds {min(names)} and is no study of the lab; give the study another "
            "folder with --name NAME"
        )


def write(study: ExactStudy, computed: Computed, reading: Reading, told: Told) -> list[Path]:
    """study.yaml, report.html, claims.json and measurements.csv; earlier ones are replaced."""
    document = claims_document(study, computed, reading)
    texts = {
        STUDY: yaml_text(study.as_values()),
        "report.html": page(study, computed, reading),
        "claims.json": json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "measurements.csv": as_csv(computed),
    }
    folder = study.folder
    if (folder / STUDY).is_file() and (changed := _changed(study)):
        told(f"{folder} had other settings ({changed}); its page is replaced, the cells stay")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AlignError(
            f"{folder} cannot be written: {error.strerror or error}; choose another by "
            "outputs=FOLDER"
        ) from error
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts if name != STUDY]


def _changed(study: ExactStudy) -> str:
    before = read_yaml(study.folder / STUDY)[LAB]
    now = study.as_values()[LAB]
    return "; ".join(
        f"{key} {before.get(key)} -> {now.get(key)}"
        for key in {**before, **now}
        if before.get(key) != now.get(key)
    )

"""What a comparison leaves on disk."""

import json
from pathlib import Path

from align_cli.errors import AlignError
from align_cli.store.stage import write_text
from align_cli.study.comparison import Comparison
from align_cli.study.document import as_csv, claims_document
from align_cli.study.page import page


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """report.html, claims.json and curves.csv; earlier ones are replaced."""
    claims = json.dumps(claims_document(comparison), indent=1, ensure_ascii=False, allow_nan=False)
    texts = {
        "report.html": page(comparison),
        "claims.json": claims + "\n",
        "curves.csv": as_csv(comparison),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AlignError(
            f"{folder} cannot be written: {error.strerror or error}; choose another by --out FOLDER"
        ) from error
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]

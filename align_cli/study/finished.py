"""Whether a run is finished, by its folder alone."""

from pathlib import Path

from align_cli.report.result import read_result


def finished(folder: Path) -> bool:
    """Whether a run came to its end and everything that it links to is there."""
    if not (folder / "metrics.jsonl").is_file() or not read_result(folder).complete:
        return False
    return all(link.exists() for link in folder.glob("*/*") if link.is_symlink())

"""A stage as a W&B artifact: its name, its files, its inputs."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from align_cli.tracker.interface import WEIGHTS, StageArtifact

if TYPE_CHECKING:
    from wandb import Artifact, Run

Weights = Literal["reference", "upload"]


class StageLog:
    """Logs the stages of one W&B run and knows those it has logged, to resolve inputs."""

    def __init__(self, run: "Run", run_id: str, weights: Weights) -> None:
        self._run = run
        self._run_id = run_id
        self._weights = weights
        self._seen: dict[str, StageArtifact] = {}

    def log(self, stage: StageArtifact) -> None:
        """Declare the stage as an output of the run, and as an input where later stages read it.

        `use_artifact` needs a server, so it is refused offline. The record that it writes for a
        local artifact is the one written here, and it is acted upon when the run is uploaded.
        """
        artifact = self._build(stage)
        aliases = [alias(stage)]
        if stage.kind == "scores":  # Nothing is made from scores.
            self._run.log_artifact(artifact, aliases=aliases)
        else:
            self._run._log_artifact(artifact, aliases=aliases, use_after_commit=True)
        self._seen |= {stage.name: stage, stage.fingerprint: stage}

    def _build(self, stage: StageArtifact) -> "Artifact":
        import wandb

        metadata = {
            **stage.metadata,
            "name": stage.name,
            "fingerprint": stage.fingerprint,
            "rows": stage.rows,
            "inputs": [self._input(given) for given in stage.inputs],
        }
        artifact = wandb.Artifact(self._collection(stage), type=stage.kind, metadata=metadata)
        if stage.kind in WEIGHTS and self._weights == "reference":
            # The fingerprint in the entries' path makes the artifact's digest follow the content
            # without reading the weights; `resolve` leads to the store, not to the run's link.
            artifact.add_reference(
                stage.folder.resolve().as_uri(), name=stage.fingerprint, checksum=False
            )
            return artifact
        for path in files(stage.folder):
            # Stored stages never change: no staging copy, no cache copy.
            artifact.add_file(
                str(path),
                name=path.name if path == stage.folder else str(path.relative_to(stage.folder)),
                policy="immutable",
                skip_cache=True,
            )
        return artifact

    def _input(self, given: str) -> dict[str, str | None]:
        """An input by all that is known of it; what is not known is None."""
        if (stage := self._seen.get(given)) is None:
            is_name = "/" in given
            return {
                "name": given if is_name else None,
                "fingerprint": None if is_name else given,
                "artifact": None,
            }
        return {
            "name": stage.name,
            "fingerprint": stage.fingerprint,
            "artifact": f"{self._collection(stage)}:{alias(stage)}",
        }

    def _collection(self, stage: StageArtifact) -> str:
        return f"{stage.kind}-{self._run_id}"


def alias(stage: StageArtifact) -> str:
    """The version's name: a round may have several stages of a kind, so the whole of the name."""
    return stage.name.replace("/", "-")


def files(folder: Path) -> list[Path]:
    """Every file of a stage, in the order of their names."""
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise FileNotFoundError(f"stage {folder} is not there")
    return sorted(path for path in folder.rglob("*") if path.is_file())

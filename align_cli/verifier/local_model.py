"""Questions to a transformers model in this process; answers are kept on disk as a server's are."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from align_cli.errors import ConfigError
from align_cli.model.chat import answers, speaker
from align_cli.rows import Message
from align_cli.verifier.chat_server import Said, keep, kept, key_of
from align_cli.verifier.judge_model import Body


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that is read once a process, when it is first asked."""

    path: str
    revision: str | None
    device: str
    batch_size: int
    """Questions of one length that are answered together."""
    cache: Path | None

    def ask_all(self, bodies: Sequence[Body], readable: Callable[[str], bool]) -> list[Said]:
        """What became of each request, in their order; equal ones are asked once."""
        model, state = speaker(self.path, self.revision, device=self.device, group="verifier")
        where = f"transformers {hashlib.sha256(state.encode()).hexdigest()[:16]}"
        by_key = {key_of(where, body): body for body in bodies}
        said: dict[str, Said] = {}
        for key in by_key if self.cache is not None else ():
            if (known := kept(self._file(key))) is not None:
                said[key] = Said(text=known)
        fresh = {key: body for key, body in by_key.items() if key not in said}
        asked = [_conversation(body) for body in fresh.values()]
        most = {int(body["max_tokens"]) for body in fresh.values()}
        if fresh:
            spoken = self._spoken(asked, max(most))
            for (key, body), text in zip(fresh.items(), spoken, strict=True):
                if text is None:
                    window = f"the model's window, {model.window} tokens"
                    said[key] = Said(failure=f"question and answer do not fit {window}")
                    continue
                said[key] = Said(text=text)
                if self.cache is not None and readable(text):
                    keep(self._file(key), {"url": where, "request": body, "text": text})
        return [said[key_of(where, body)] for body in bodies]

    def _spoken(self, asked: Sequence[tuple[Message, ...]], most: int) -> list[str | None]:
        model, _ = speaker(self.path, self.revision, device=self.device, group="verifier")
        try:
            return answers(model, asked, most=most, batch_size=self.batch_size)
        except ConfigError:
            # A template without a system's turn: what it would say opens the user's.
            whole = [
                (Message("user", "\n\n".join(turn.content for turn in turns)),) for turns in asked
            ]
            return answers(model, whole, most=most, batch_size=self.batch_size)

    def _file(self, key: str) -> Path:
        assert self.cache is not None, "only asked for where answers are kept"
        return self.cache / f"{key}.json"


def _conversation(body: Body) -> tuple[Message, ...]:
    return tuple(Message(turn["role"], turn["content"]) for turn in body["messages"])

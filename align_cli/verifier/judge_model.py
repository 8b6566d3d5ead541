"""A language model as judge: what it is shown, how it must answer, and what its answer means."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from align_cli.errors import ConfigError
from align_cli.rows import Prompt, Verdict
from align_cli.verifier.chat_server import ChatServer, Said

Structured = Literal["json_schema", "json_object", "none"]
OBJECT = re.compile(r"\{.*\}", re.DOTALL)
SYSTEM = "You are a fair and careful judge of answers. Judge by this rubric:\n\n{rubric}\n\n{task}"
DETAIL = 500
"""Characters of the judge's reason that are kept."""
Body = dict[str, Any]
"""A chat completion request."""
AskAll = Callable[[Sequence[Body], Callable[[str], bool]], list[Said]]
"""Requests, and which answers can be read -> what became of each, in their order."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """One answer of the judge: a value, or why there is none."""

    value: Any = None
    verdict: Verdict = "judged"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JudgeModel:
    """Rubric, wording and decoding of a judge; with who is asked, all that opinions depend on."""

    ask_all: AskAll
    model: str
    rubric: str
    task: str
    """How it must answer, in words."""
    schema: dict[str, Any]
    """The same as a JSON schema."""
    structured: Structured
    temperature: float
    max_tokens: int

    def __post_init__(self) -> None:
        if not self.rubric.strip():
            raise ConfigError("verifier.rubric is empty; say by what the judge is to judge")

    @property
    def version(self) -> str:
        """12 hex digits of rubric and wording; stands on every label."""
        text = json.dumps([self._system, self.schema], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def _system(self) -> str:
        return SYSTEM.format(rubric=self.rubric.strip(), task=self.task)

    def opinions(self, shown: Sequence[str], read: Callable[[Any], Any]) -> list[Opinion]:
        """The judge's opinions of what it is shown; `read` raises ValueError on what it cannot use.

        A JSON null where the value should be is a refusal to judge.
        """
        bodies = [self._body(text) for text in shown]
        said = self.ask_all(bodies, lambda text: parsed(text, read).value is not None)
        return [self._opinion(each, read) for each in said]

    def _opinion(self, said: Said, read: Callable[[Any], Any]) -> Opinion:
        if said.refusal is not None:
            return Opinion(verdict="refused", reason=said.refusal[:DETAIL])
        if said.text is None:
            verdict: Verdict = "timeout" if said.timed_out else "error"
            return Opinion(verdict=verdict, reason=str(said.failure)[:DETAIL])
        return parsed(said.text, read)

    def _body(self, shown: str) -> Body:
        body: Body = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": self._system},
                {"role": "user", "content": shown},
            ],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        body |= response_format(self.structured, self.schema)
        return body


def parsed(text: str, read: Callable[[Any], Any]) -> Opinion:
    """The JSON object in a text, fenced or not."""
    found = OBJECT.search(text)
    try:
        answer = json.loads(found[0]) if found else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return Opinion(verdict="malformed", reason=f"no JSON object: {text[:DETAIL]!r}")
    reason = str(answer.get("reason", ""))[:DETAIL]
    try:
        value = read(answer)
    except (ValueError, KeyError, TypeError) as error:
        return Opinion(verdict="malformed", reason=f"{error}: {text[:DETAIL]!r}")
    if value is None:
        return Opinion(verdict="refused", reason=reason or "the judge gave null")
    return Opinion(value, reason=reason)


def response_format(structured: Structured, schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a request that makes the server enforce the form of the answer."""
    if structured == "json_object":
        return {"response_format": {"type": "json_object"}}
    if structured == "json_schema":
        described = {"name": "verdict", "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": described}}
    return {}


def schema_of(name: str, kind: dict[str, Any]) -> dict[str, Any]:
    """An object of a reason and then, in its light, a value that may be null."""
    return {
        "type": "object",
        "properties": {"reason": {"type": "string"}, name: kind},
        "required": ["reason", name],
        "additionalProperties": False,
    }


def conversation(prompt: Prompt, show_gold: bool) -> str:
    """What was asked, and the reference answer where it is shown."""
    if len(prompt.messages) == 1:
        asked = f"[Question]\n{prompt.messages[0].content}"
    else:
        turns = "\n".join(f"{m.role}: {m.content}" for m in prompt.messages)
        asked = f"[Conversation]\n{turns}"
    gold = f"\n\n[Reference answer]\n{prompt.gold}" if show_gold and prompt.gold else ""
    return asked + gold


def through(server: ChatServer, workers: int) -> AskAll:
    """Several requests to a server at once; where one raises, the rest is not asked."""

    def ask_all(bodies: Sequence[Body], readable: Callable[[str], bool]) -> list[Said]:
        with ThreadPoolExecutor(workers) as pool:
            waiting = [pool.submit(server.ask, body, readable) for body in bodies]
            try:
                return [each.result() for each in waiting]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    return ask_all

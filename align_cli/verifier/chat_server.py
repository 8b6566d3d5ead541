"""Questions to an OpenAI-compatible chat server: retries, waits, and answers kept on disk."""

import hashlib
import json
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from align_cli.errors import AlignError

PASSING = frozenset({408, 409, 429, 500, 502, 503, 504})
"""HTTP codes that may be gone on the next try."""
OF_THE_QUESTION = frozenset({400, 413, 422})
"""HTTP codes that say that this one question cannot be answered, say because it is too long."""
EXCERPT = 300


class JudgeDown(AlignError):
    """The judge does not answer any more; what it has answered is kept."""


@dataclass(frozen=True, slots=True)
class Said:
    """What became of one question: exactly one of `text`, `refusal` and `failure`."""

    text: str | None = None
    refusal: str | None = None
    failure: str | None = None
    """Why this question got no answer, where others may; `timed_out` says if it was too slow."""
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class ChatServer:
    """A model behind a URL; `ask` may be called from several threads."""

    url: str
    """Base of the API, `http://localhost:8000/v1`."""
    api_key_env: str | None
    timeout_seconds: float
    retries: int
    first_wait_seconds: float
    longest_wait_seconds: float
    cache: Path | None

    def ask(self, body: Mapping[str, Any], readable: Callable[[str], bool]) -> Said:
        """The model's answer to a chat completion request; from disk if it was given before.

        Only an answer that is `readable` is kept, so that a malformed one is asked for again.
        """
        url = f"{self.url.rstrip('/')}/chat/completions"
        file = None if self.cache is None else self.cache / f"{key_of(url, body)}.json"
        if file is not None and (known := kept(file)) is not None:
            return Said(text=known)
        said = self._asked(url, json.dumps(body).encode())
        if file is not None and said.text is not None and readable(said.text):
            keep(file, {"url": url, "request": body, "text": said.text})
        return said

    def _asked(self, url: str, body: bytes) -> Said:
        wait = self.first_wait_seconds
        for attempt in range(self.retries + 1):
            asked_wait, trouble, timed_out = 0.0, "", False
            try:
                return _read(self._post(url, body))
            except urllib.error.HTTPError as error:
                trouble = f"HTTP {error.code}: {error.read(EXCERPT).decode(errors='replace')}"
                if error.code in OF_THE_QUESTION:
                    return Said(failure=trouble)
                if error.code not in PASSING:
                    raise AlignError(f"verifier.server {self.url}: {trouble}{_advice(error.code)}"
                                     ) from None  # fmt: skip
                asked_wait = retry_after(error.headers.get("Retry-After"))
            except (TimeoutError, OSError) as error:
                cause = getattr(error, "reason", error)
                timed_out = isinstance(cause, TimeoutError)
                trouble = f"{type(cause).__name__}: {cause}"
            if attempt == self.retries and timed_out:
                return Said(failure=f"no answer after {self.timeout_seconds:g} s", timed_out=True)
            pause = max(wait, asked_wait)
            if attempt == self.retries or asked_wait > self.longest_wait_seconds:
                more = "" if attempt == self.retries else (
                    f", which asks to wait {asked_wait:g} s, more than "
                    f"verifier.longest_wait_seconds, {self.longest_wait_seconds:g}"
                )  # fmt: skip
                raise JudgeDown(
                    f"verifier.server {self.url} does not answer: {trouble}{more} (tried "
                    f"{attempt + 1} times). All labels so far are kept: start the server and give "
                    "the same command again"
                )
            time.sleep(pause)
            wait = min(2 * wait, self.longest_wait_seconds)
        raise AssertionError("the last attempt returns or raises")

    def _post(self, url: str, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self.api_key_env is not None:
            secret = os.environ.get(self.api_key_env)
            if not secret:
                raise AlignError(
                    f"verifier.api_key_env: the environment has no {self.api_key_env}; set it, or "
                    "verifier.api_key_env=null for a server that wants no key"
                )
            headers["Authorization"] = f"Bearer {secret}"
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=self.timeout_seconds) as response:
            return bytes(response.read())


def key_of(url: str, body: Mapping[str, Any]) -> str:
    """The hash of all that an answer depends on: who is asked, and the request in full."""
    text = json.dumps([url, body], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def retry_after(header: str | None) -> float:
    """Seconds that a Retry-After header, a number or a date, asks for; 0 if there is none."""
    if not header:
        return 0.0
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _read(response: bytes) -> Said:
    try:
        choice = json.loads(response)["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Said(failure=f"no chat completion: {response[:EXCERPT].decode(errors='replace')}")
    if refusal or finish == "content_filter":
        return Said(refusal=str(refusal or "content_filter"))
    return Said(text=text if isinstance(text, str) else "")


def _advice(code: int) -> str:
    if code in (401, 403):
        return "; see verifier.api_key_env"
    return "; see verifier.server and verifier.model" if code == 404 else ""


def kept(file: Path) -> str | None:
    """The answer on disk; None if there is none."""
    try:
        text = json.loads(file.read_text(encoding="utf-8"))["text"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise AlignError(f"{file} cannot be read ({error}); delete it to ask again") from error
    return str(text)


def keep(file: Path, facts: Mapping[str, Any]) -> None:
    """In one move: a reader sees the whole file or none."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=file.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(facts, stream, ensure_ascii=False)
        os.replace(part, file)
    except OSError as error:
        raise AlignError(f"verifier.cache {file.parent} cannot be written: {error}") from error

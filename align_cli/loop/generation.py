"""Draws -> completions: policies asked by the engine, shard after shard."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.continued import asked, forced, forced_ids, joined
from align_cli.loop.recorded import recorded
from align_cli.model.flops import forward_flops
from align_cli.model.language_model import LanguageModel
from align_cli.model.scoring import score_sequences
from align_cli.model.steps import step_ends
from align_cli.rows import Completion, Draw, Generated, Prompt
from align_cli.seeds import derive
from align_cli.store import fingerprint
from align_cli.store.cost import Cost, measured
from align_cli.store.stage import Stage


@dataclass(frozen=True)
class Request:
    """Completions wanted: which, of which prompts, by whom, from which random streams."""

    draws: Sequence[Draw]
    prompts: Mapping[str, Prompt]
    models: "Models"
    stream: tuple[int | str, ...]
    """Names the random numbers, e.g. (seed, "draw", round); prompt and index are added."""


def complete(loop: Loop, request: Request, title: str) -> Stage:
    """The stage that holds one completion per draw, in the order of the draws."""
    size = loop.parts["engine"].loop_settings["shard_draws"]
    shards = [request.draws[at : at + size] for at in range(0, len(request.draws), size)]

    def work(stage: Stage) -> None:
        loop.reporter.begin(title, total=len(request.draws), unit="completions")
        for number, draws in enumerate(shards):
            name = f"completions-{number:05d}"
            if stage.has(name):
                loop.reporter.advance(len(draws))
                continue
            with measured() as cost:
                rows = _shard(loop, request, draws, cost)
            stage.write(name, rows, Completion, cost)
        stage.finish(rows_in=len(request.draws), rows_out=len(request.draws))
        loop.reporter.end("")

    authors = {draw.author for draw in request.draws}
    facts = {
        "engine": loop.parts["engine"].made_from,
        "shard_draws": size,
        "draws": fingerprint.of_value([_told(draw) for draw in request.draws]),
        "policies": {author: request.models.content(author) for author in sorted(authors)},
        "stream": list(request.stream),
        "versions": dict(loop.versions),
    }
    return loop.make("completions", facts, work)


def _told(draw: Draw) -> dict[str, Any]:
    """A draw for the fingerprint; few have an answer, a prefix or steps to tell.

    Whether it is judged says nothing of how it is drawn: a pool shares the draws of best_of_n.
    """
    seldom = ("given", "prefix", "step_end", "answer_mark", "forced")
    facts = {k: v for k, v in asdict(draw).items() if k not in seldom or v is not None}
    del facts["judge"]
    return facts


class Models:
    """Checkpoints by author, loaded when first asked for; one per content.

    Recorded answers have no author here: the present policy reads and scores them.
    """

    def __init__(self, loop: Loop, policies: Mapping[str, PolicyRef]) -> None:
        self._loop, self._policies = loop, policies
        self._loaded: dict[str, LanguageModel] = {}

    def content(self, author: str) -> str:
        """Fingerprint of an author's checkpoint."""
        return self._policy(author).content

    def of(self, author: str) -> LanguageModel:
        """An author's checkpoint in memory."""
        policy = self._policy(author)
        if policy.content not in self._loaded:
            self._loaded[policy.content] = self._loop.load(policy)
        return self._loaded[policy.content]

    def _policy(self, author: str) -> PolicyRef:
        return self._policies["current" if author == "recorded" else author]


def _shard(loop: Loop, request: Request, draws: Sequence[Draw], cost: Cost) -> list[Completion]:
    rows: dict[int, Completion] = {}
    for author in sorted({draw.author for draw in draws}):
        places = [place for place, draw in enumerate(draws) if draw.author == author]
        mine = [draws[place] for place in places]
        model = request.models.of(author)
        prompt_ids = _encode_all(model, mine)
        keys = [derive(*request.stream, draw.prompt_id, draw.index) for draw in mine]
        advance: Callable[[int, int], None] = loop.reporter.advance
        if author == "recorded":
            generated = recorded(mine, prompt_ids, model, cost)
            advance(len(mine), 0)
        else:
            put = forced(mine, prompt_ids, model, cost)
            wanted, begun = asked(mine, prompt_ids, put)
            made = loop.parts["engine"](
                draws=wanted, prompt_ids=begun, keys=keys, model=model, advance=advance
            )
            _count(model, made, cost)
            generated = [joined(*each) for each in zip(mine, prompt_ids, put, made, strict=True)]
        outside = _prompt_logps(request, mine, generated, model, cost)
        content = request.models.content(author)
        for place, draw, out, key, logp in zip(places, mine, generated, keys, outside, strict=True):
            own = draw.messages == request.prompts[draw.prompt_id].messages
            rows[place] = _completion(draw, out, model, content, key, own, logp)
    return [rows[place] for place in range(len(draws))]


def _encode_all(model: LanguageModel, draws: Sequence[Draw]) -> list[tuple[int, ...]]:
    known = {messages: model.encode_prompt(messages) for messages in {d.messages for d in draws}}
    return [known[draw.messages] for draw in draws]


def _prompt_logps(
    request: Request,
    draws: Sequence[Draw],
    generated: Sequence[Generated],
    model: LanguageModel,
    cost: Cost,
) -> list[float | None]:
    """Log-prob under the original prompt, for draws that were conditioned on something else."""
    other = [
        place
        for place, draw in enumerate(draws)
        if draw.messages != request.prompts[draw.prompt_id].messages
    ]
    found: list[float | None] = [None] * len(draws)
    if not other:
        return found
    prompts = [model.encode_prompt(request.prompts[draws[p].prompt_id].messages) for p in other]
    tokens = [generated[place].token_ids for place in other]
    for place, logp in zip(other, score_sequences(model, prompts, tokens, cost), strict=True):
        found[place] = logp
    return found


def _count(model: LanguageModel, generated: Sequence[Generated], cost: Cost) -> None:
    """Prefill counts each distinct prompt once; decoding counts every token made."""
    for prompt in {out.prompt_token_ids for out in generated}:
        cost.prompt_tokens += len(prompt)
        cost.forward_flops += forward_flops(model.network, len(prompt), len(prompt) / 2)
    for out in generated:
        count = len(out.token_ids)
        cost.generated_tokens += count
        context = len(out.prompt_token_ids) + count / 2
        cost.forward_flops += forward_flops(model.network, count, context)


def _completion(
    draw: Draw,
    out: Generated,
    model: LanguageModel,
    content: str,
    key: int,
    own: bool,
    prompt_logp: float | None,
) -> Completion:
    return Completion(
        prompt_id=draw.prompt_id,
        index=draw.index,
        text=model.decode(out.token_ids),
        token_ids=out.token_ids,
        logps=out.logps,
        finish=out.finish,
        policy=content,
        author=draw.author,
        kind=draw.kind,
        corrects=draw.corrects,
        messages=None if own else draw.messages,
        prompt_logp=prompt_logp,
        prompt_tokens=len(out.prompt_token_ids),
        seed=key,
        temperature=draw.decoding.temperature,
        top_p=draw.decoding.top_p,
        top_k=draw.decoding.top_k,
        max_new_tokens=draw.decoding.max_new_tokens,
        continues=None if draw.prefix is None else draw.prefix.of,
        kept_tokens=0 if draw.prefix is None else len(draw.prefix.token_ids),
        forced_tokens=len(forced_ids(draw, model)),
        step_ends=_steps(draw, out, model),
    )


def _steps(draw: Draw, out: Generated, model: LanguageModel) -> tuple[int, ...] | None:
    if draw.step_end is None:
        return None
    return step_ends(model, out.token_ids, draw.step_end, before=draw.answer_mark)

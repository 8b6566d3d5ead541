"""Hybrid preferential G-optimal design: label what no label so far would tell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np

from align_cli.bandit.design import g_optimal as design_of
from align_cli.bandit.design import leverages
from align_cli.errors import ConfigError
from align_cli.rows import Completion, Decoding, Draw, Judged, Prompt, Wanted
from align_cli.sampler.design_choice import WAYS, first_of, pairs_leverage, pick, uniform_leverage
from align_cli.sampler.exploring import explored
from align_cli.sampler.projection import ProjectionName, projected


def g_optimal(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    pool: Sequence[Completion],
    features: Mapping[tuple[str, int], Sequence[float]],
    seed: int,
    *,
    n: Annotated[int, ">= 2", "labels per prompt"],
    natural: Annotated[int, ">= 1", "of them"],
    candidates: Annotated[int, ">= 2", "draws per prompt"],
    projection: ProjectionName,
    dimensions: Annotated[int, ">= 1", "features"],
    tolerance: Annotated[float, "> 0", "share"],
    max_steps: Annotated[int, ">= 1", "steps"],
    temperature: Annotated[float, "> 0"],
    top_p: Annotated[float, "(0, 1]"],
    top_k: Annotated[int, ">= 0", "tokens"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> Wanted | list[Draw]:
    """Draw a pool without labels; label the policy's own first draws and those of a design.

    A label tells how two answers of one prompt differ, so an answer counts by how its features
    phi differ from what the policy does there. Over all candidates of the round, z is phi reduced
    to `dimensions` and less its mean over the prompt's candidates, which estimates E_policy phi:

        G = argmin over weights of the largest leverage z^T M^-1 z,   M = sum_i G_i z_i z_i^T

    whose least value is d, the rank (Kiefer, Wolfowitz 1960). A prompt's labels go to its first
    `natural` draws, which are the policy's own, and then one by one to distinct other answers: by
    chance, in proportion to G within the prompt; where G leaves nothing there, to the answer of
    most leverage. Only these are judged; the rest of the pool is recorded unjudged.

    With n 2, natural 1 a pair is (policy, design), the hybrid of Kim et al. 2026
    (arXiv:2601.08421). **Reconstruction**: the paper pairs the policy's joint distribution of
    prompts and answers with a joint design; centring, the pool in place of all answers, keeping
    every prompt (a joint design would drop most), and what is taken where G leaves nothing are
    choices made here, and features of a language model's hidden states are not the linear class
    of its theory.

    Journalled with the round's draws:
        sample/design_rank, sample/design_max_leverage  d, and the certificate: the largest leverage
            of any candidate, at most d (1 + tolerance)
        sample/design_steps, sample/design_support  steps taken; candidates of any weight
        sample/natural_max_leverage  the same for labels spread over the pool as it is
        sample/chosen_by_design, _by_leverage, _by_default  labels given by chance from G; where it
            left nothing; where all the prompt's other answers are copies of labelled ones
        sample/pairs_max_leverage, sample/on_policy_pairs_max_leverage  the largest leverage where
            M is the mean of dz dz^T over a first natural draw and a draw of the design (over the
            first two natural draws): how little the least known answer is known

    Settings:
        n: labels per prompt, at most `candidates`; those of the design are n - natural.
        natural: how many of them are the policy's own draws, below n.
        candidates: draws per prompt in the pool; the same draws as sampler=best_of_n has.
        projection: pca - the directions in which the candidates differ most; random - a random
            projection, drawn anew each round.
        dimensions: features after the projection; fewer where the candidates span fewer
            (directions of less than 1e-4 of the largest spread are rounding).
        tolerance: of the certificate.
        max_steps: of the design, after which the round is refused.
        temperature, top_p, top_k, max_new_tokens: as in sampler=best_of_n.
        features_of: mean_hidden, last_hidden - the last layer of the policy that draws, over the
            answer's tokens or at its last one; embedding - what embedding_target gives.
        embedding_target: with features_of=embedding, a function of yours in one of `plugins`:
            (questions, answers) -> a vector of numbers for each, all of one length.
    """
    if not natural < n <= candidates:
        raise ConfigError(
            f"sampler.natural {natural}, sampler.n {n}, sampler.candidates {candidates}: wanted "
            "natural < n <= candidates, since the design takes its labels from the pool"
        )
    if judged:
        return []
    decoding = Decoding(
        max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, top_k=top_k
    )
    draws = explored(prompts, candidates, decoding)
    if not pool:
        return [replace(draw, judge=False) for draw in draws]
    numbers = np.random.default_rng(seed)
    # In an order of their own, so that the order the prompts come in decides nothing.
    ids = sorted(prompt.id for prompt in prompts)
    answers = {(row.prompt_id, row.index): row.token_ids for row in pool}
    first_PC = [first_of([answers[key, c] for c in range(candidates)]) for key in ids]
    row_PCH = np.array(
        [[features[key, c] for c in first_C] for key, first_C in zip(ids, first_PC, strict=True)]
    )
    row_PCH = row_PCH - row_PCH.mean(1, keepdims=True)
    flat_NH = row_PCH.reshape(-1, row_PCH.shape[2])
    z_NR = projected(flat_NH, projection, dimensions, numbers)
    design = design_of(z_NR, tolerance=tolerance, max_steps=max_steps)
    weight_PC = design.weight_N.reshape(len(ids), candidates)
    leverage_PC = leverages(z_NR, design.weight_N).reshape(weight_PC.shape)
    chosen = [
        pick(first_C, weight_C, leverage_C, natural=natural, n=n, draws=numbers)
        for first_C, weight_C, leverage_C in zip(first_PC, weight_PC, leverage_PC, strict=True)
    ]
    picked_PN = [picked for picked, _ in chosen]
    by = Counter(way for _, ways in chosen for way in ways)
    labelled = {
        (key, index) for key, picked in zip(ids, picked_PN, strict=True) for index in picked
    }
    z_PCR = z_NR.reshape(*weight_PC.shape, -1)
    place_P, second_P = np.arange(len(ids)), np.array(picked_PN)[:, natural]
    shown = {
        "natural_max_leverage": uniform_leverage(z_NR),
        "pairs_max_leverage": pairs_leverage(z_NR, z_PCR[:, 0] - z_PCR[place_P, second_P]),
        "on_policy_pairs_max_leverage": pairs_leverage(z_NR, z_PCR[:, 0] - z_PCR[:, 1]),
    }
    return Wanted(
        draws=[draw for draw in draws if (draw.prompt_id, draw.index) in labelled],
        metrics={
            "sample/design_rank": design.rank,
            "sample/design_max_leverage": design.max_leverage,
            "sample/design_steps": design.steps,
            "sample/design_support": int((design.weight_N > 0).sum()),
            **{f"sample/chosen_by_{way}": by[way] for way in WAYS},
            **{f"sample/{name}": value for name, value in shown.items() if value is not None},
        },
    )

"""THE LOOP: prompts -> completions -> labels -> pairs -> policy -> scores, round after round."""

from pathlib import Path
from typing import TYPE_CHECKING

from align_cli.loop.audit import audit
from align_cli.loop.branch import taken_over
from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.extrapolation import extrapolated
from align_cli.loop.known import score_known
from align_cli.loop.pairing import pair_up
from align_cli.loop.policies import start_policy, train_policy
from align_cli.loop.prompts import ask_questions, held_out
from align_cli.loop.references import reference_of
from align_cli.loop.rubric import with_rubric
from align_cli.loop.sampling import sample
from align_cli.loop.scores import evaluate
from align_cli.loop.setup import opened
from align_cli.loop.training_set import RoundData, training_set
from align_cli.report.reporter import Reporter
from align_cli.report.result import RunResult, read_result
from align_cli.schedule.across_rounds import trained_from

if TYPE_CHECKING:
    from align_cli.config.schema import RunConfig


def run(config: "RunConfig", reporter: Reporter) -> RunResult:
    """Carry a run to its end; started again with the same words it goes on where it stopped."""
    with opened(config, reporter, command="run") as loop:
        exam, exam_stage = held_out(loop)
        policies = [start_policy(loop, exam, exam_stage)]
        trained = [policies[0]]
        evaluate(loop, None, exam, exam_stage, policies, {})
        history: list[RoundData] = []
        for each in taken_over(loop, config.branch):
            trained.append(each.trained)
            policies.append(each.handed_on)
            history.append(each.data)
        for number in range(len(history), loop.plan.rounds):
            reference = reference_of(loop, number, policies)
            authors = _authors(loop, policies, reference)
            prompts, asked = ask_questions(loop, number)
            judged = with_rubric(loop, number, history)
            sampled = sample(judged, number, prompts, asked, authors, [h.sampled for h in history])
            pairs = pair_up(loop, number, prompts, sampled, authors["current"])
            audit(judged, number, prompts, asked, sampled, pairs)
            history.append(RoundData(number, {p.id: p for p in prompts}, sampled, pairs))
            chosen = training_set(loop, history)
            start = policies[trained_from(loop.plan, number)]
            known = score_known(loop, number, chosen, reference, start)
            trained.append(train_policy(loop, number, chosen, known, reference, start))
            drawn = [data.sampled for data in history]
            policies.append(extrapolated(loop, number, trained, drawn))
            against = {"reference": reference, "initial": policies[0]}
            evaluate(loop, number, exam, exam_stage, policies, against)
    return read_result(run_folder_of(config))


def evaluate_only(config: "RunConfig", reporter: Reporter) -> RunResult:
    """Score the starting policy and train nothing."""
    with opened(config, reporter, command="eval") as loop:
        exam, exam_stage = held_out(loop)
        policy = start_policy(loop, exam, exam_stage)
        evaluate(loop, None, exam, exam_stage, [policy], {})
    return read_result(run_folder_of(config))


def _authors(loop: Loop, policies: list[PolicyRef], reference: PolicyRef) -> dict[str, PolicyRef]:
    """Who draws: offline runs ask the initial policy whenever the current one is wanted."""
    current = policies[0] if loop.plan.draw_from == "initial" else policies[-1]
    return {"current": current, "reference": reference, "initial": policies[0]}


def run_folder_of(config: "RunConfig") -> Path:
    """Where this run's folder is."""
    return Path(config.outputs) / config.run_name()

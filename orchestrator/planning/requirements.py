"""Requirements on evaluations: what a candidate must reach before it becomes current.

One is written `PATH >= 0.9`, or `PATH >= current - 0.01`, which compares with the generation that
is current. Parsing and judging are pure; who reads the evaluations, and what follows from the
verdict, is left to the client and to the controller.
"""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ..errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .graph import PlanGraph

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FORM: Final = re.compile(
    rf"\s*(?P<path>[^\s<>=]+)\s*(?P<sign>>=|<=|==|>|<)\s*"
    rf"(?:(?P<number>{_NUMBER})|(?P<current>current)(?:\s*(?P<way>[+-])\s*(?P<by>{_NUMBER}))?)\s*"
)
_EXPECTED: Final = "write it as 'PATH >= 0.9' or 'PATH >= current - 0.01' (>=, >, <=, <, ==)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What the result of the module at `path` is to be, as it was written in `text`.

    It is compared with `number`, or with the current generation's result plus that number when
    `is_relative`.
    """

    text: str
    path: str
    sign: str
    number: float
    is_relative: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether a candidate meets its requirements, and a sentence for each with the figures."""

    is_met: bool
    sentences: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The sentences as one line."""
        return "; ".join(self.sentences)


def parse_requirement(text: str) -> Requirement:
    """Read one requirement; PlanError when it isn't written as one."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise PlanError(f"{text!r} is no requirement: {_EXPECTED}")
    number = float(found["number"] or found["by"] or 0)
    if not math.isfinite(number):
        raise PlanError(f"{text!r} compares with a number that is too large")
    return Requirement(
        text=" ".join(text.split()),
        path=found["path"],
        sign=found["sign"],
        number=-number if found["way"] == "-" else number,
        is_relative=found["current"] is not None,
    )


def requirements_of(texts: Iterable[str], plan: PlanGraph) -> tuple[Requirement, ...]:
    """Return the requirements on what the plan evaluates, each with the whole path of its module.

    A path may leave out the deployment's name. Raises PlanError for one that isn't written as a
    requirement, and for a module that the plan doesn't evaluate.
    """
    evaluated = [id_.removeprefix("eval:") for id_ in plan.ids if id_.startswith("eval:")]
    return tuple(_on_evaluated(parse_requirement(text), plan, evaluated) for text in texts)


def _on_evaluated(
    requirement: Requirement, plan: PlanGraph, evaluated: Sequence[str]
) -> Requirement:
    for path in (requirement.path, f"{plan.deployment}/{requirement.path}"):
        if path in evaluated:
            whole = requirement.text.replace(requirement.path, path, 1)
            return replace(requirement, text=whole, path=path)
    import difflib

    near = difflib.get_close_matches(requirement.path, evaluated, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(evaluated[:5])}"
    if not evaluated:
        hint = "give a module an `evalset`, and deploy with the kind eval"
    raise PlanError(f"{requirement.text!r}: {requirement.path} isn't evaluated here; {hint}")


def judge(
    requirements: Iterable[Requirement],
    candidate: Mapping[str, Any],
    current: Mapping[str, Any] | None,
) -> Judgement:
    """Return whether results by path meet the requirements.

    `current` has the results of the current generation, None when there is none: what is compared
    with it then holds, as there is nothing to be worse than.
    """
    found = [_judged(each, candidate, current) for each in requirements]
    missed = tuple(sentence for is_met, sentence in found if not is_met)
    return Judgement(
        is_met=not missed, sentences=missed or tuple(sentence for _, sentence in found)
    )


def _judged(
    requirement: Requirement, candidate: Mapping[str, Any], current: Mapping[str, Any] | None
) -> tuple[bool, str]:
    path, text = requirement.path, requirement.text
    value = _number(candidate.get(path))
    if value is None:
        return False, f"{path} {_no_number(path, candidate)}, and {text!r} is required"
    bound, told = requirement.number, ""
    if requirement.is_relative:
        if current is None:
            return True, f"{path} is {value:.6g}; nothing is current to compare it with ({text!r})"
        before = _number(current.get(path))
        if before is None:
            return False, (
                f"{path} is {value:.6g}, and that of the current generation "
                f"{_no_number(path, current)}: {text!r} can't be compared"
            )
        bound, told = before + requirement.number, f", current is {before:.6g}"
    is_met = _OPERATORS[requirement.sign](value, bound)
    verb = "holds" if is_met else "is required"
    return is_met, f"{path} is {value:.6g}{told}, and {text!r} {verb}"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _no_number(path: str, results: Mapping[str, Any]) -> str:
    if path not in results:
        return "has no evaluation"
    return f"has the result {results[path]!r:.80}, which is no number"

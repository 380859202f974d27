"""The results of evaluations, as they stay with a generation and are shown everywhere.

The worker that evaluates a module leaves a short account beside the result (`EvalSet` makes it):
plain data, so that whoever shows it needs none of the user's classes. It is read from the end of
the state log, where evaluations are, without decoding anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rootward.modules.evaluation.account import ACCOUNT, account_of
from rootward.modules.state.entries import plain_values

from ..states import TaskState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..security.signing import Signer
    from ..store.records import GenerationRecord, TaskRecord
    from ..store.store import Store

_PAGE = 200
_FIELDS = ("result", "result_repr", "measure", "items", "failed", "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What one module's evaluation gave.

    `result` is None when it has no JSON form; `result_repr` is its shortened repr. `measure` names
    what was computed (the name of `collect_f`), `failed` counts items that raised.
    """

    module: str
    result: Any = None
    result_repr: str = ""
    measure: str = ""
    items: int = 0
    failed: int = 0
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as `status --json` prints it."""
        return {
            "module": self.module,
            "result": self.result,
            "result_repr": self.result_repr,
            "measure": self.measure,
            "items": self.items,
            "failed": self.failed,
            "seconds": self.seconds,
        }


def evaluations_of(
    store: Store, signer: Signer | None, record: GenerationRecord, tasks: Sequence[TaskRecord]
) -> tuple[Evaluation, ...]:
    """Return what the eval tasks among the given ones gave, in their order; none without a signer.

    Raises SignatureError for an entry that no holder of the secret wrote.
    """
    paths = [
        task.path
        for task in tasks
        if task.kind == "eval" and task.state is TaskState.SUCCEEDED and task.path is not None
    ]
    if signer is None or not paths:
        return ()
    return read_evaluations(store, signer, record.name, record.generation, paths)


def read_evaluations(
    store: Store, signer: Signer, name: str, generation: int, modules: Sequence[str]
) -> tuple[Evaluation, ...]:
    """Return the evaluations of the given modules, in that order.

    Raises SignatureError for an entry that no holder of the secret wrote.
    """
    wanted, found = set(modules), dict[str, Evaluation]()
    end = -1
    while wanted:
        entries = store.tasks.states(name, generation, end - _PAGE + 1, end)
        for sealed in reversed(entries):
            entry = signer.open_state(sealed, name, generation)
            for path, values in plain_values(entry, (ACCOUNT, "eval_result")):
                if path in wanted and values:
                    found[path] = _evaluation(path, values)
                    wanted.discard(path)
        if len(entries) < _PAGE:
            break
        end -= _PAGE
    return tuple(found[path] for path in modules if path in found)


def read_results(
    store: Store, signer: Signer, place: tuple[str, int], modules: Sequence[str]
) -> dict[str, Any]:
    """Return the results by module, as far as there are any; a text stands for one without JSON.

    Raises SignatureError for an entry that no holder of the secret wrote.
    """
    found = read_evaluations(store, signer, *place, modules)
    return {each.module: each.result_repr if each.result is None else each.result for each in found}


def _evaluation(path: str, values: Mapping[str, Any]) -> Evaluation:
    account = values.get(ACCOUNT)
    if not isinstance(account, dict):
        # An eval task of the module's own has set the result, and nothing counted it.
        account = account_of(values.get("eval_result"))
    known = {name: account[name] for name in _FIELDS if name in account}
    return Evaluation(module=path, **known)

"""Hooks: what sees the calls of a module or a flow from outside.

A hook is a function, which is called before; a generator function with one `yield`, which receives
the result there; or an object, or a class that makes one from what is called, with any of
`pre_hook`, `post_hook`, `on_error` and `finalize`. Hooks run in the order of their
`__hook_priority__` (100), and backwards after the call. An exception of a hook is logged and the
call goes on, unless its `__hook_error_mode__` is "raise". Hooks travel with what they are on: they
run where it is called.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PHASES = ("pre_hook", "post_hook", "on_error", "finalize")
_MODES = ("warn", "raise")


class Hook:
    """What a hook may override; each call has a copy, so that what it keeps is that call's own."""

    __hook_priority__ = 100
    __hook_error_mode__ = "warn"

    def pre_hook(self, *args: Any, **kwargs: Any) -> None:
        """See the arguments before the call."""

    def post_hook(self, output: Any) -> None:
        """See the result."""

    def on_error(self, exc: BaseException) -> None:
        """See the exception that the call raises."""

    def finalize(self) -> None:
        """Clean up, however the call ended."""


class Hooked:
    """Has hooks: the methods that modules and flows share."""

    # Replaced, never changed in place: a call that runs keeps the hooks that it began with.
    _hooks: tuple[Any, ...] = ()

    def register_hook(self, hook: Any) -> None:
        """Let `hook` see each call; one that is there already is not added again.

        Raises TypeError for what is no hook, ValueError for a generator that yields twice.
        """
        _check(hook)
        if hook not in self._hooks:
            self._hooks = (*self._hooks, hook)

    def unregister_hook(self, hook: Any) -> None:
        """Take a hook out again; one that isn't there changes nothing."""
        self._hooks = tuple(each for each in self._hooks if each != hook)

    def clear_hooks(self) -> None:
        """Take all hooks out."""
        self._hooks = ()


def run_hooked(
    owner: Hooked, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call `function` between the hooks of `owner`; of a coroutine they see the result."""
    running = _begun(owner, args, kwargs)
    try:
        result = function(*args, **kwargs)
        if type(result).__name__ == "coroutine":
            running, later = [], running
            return _awaited(result, later)
        _ended(running, "post_hook", result)
    except BaseException as error:
        _ended(running, "on_error", error)
        raise
    finally:
        _ended(running, "finalize")
    return result


async def _awaited(coroutine: Any, running: list[Any]) -> Any:
    try:
        result = await coroutine
        _ended(running, "post_hook", result)
    except BaseException as error:
        _ended(running, "on_error", error)
        raise
    finally:
        _ended(running, "finalize")
    return result


def _check(hook: Any) -> None:
    import inspect

    if inspect.isgeneratorfunction(hook):
        import dis

        yields = sum(each.opname == "YIELD_VALUE" for each in dis.get_instructions(hook))
        if yields > 1:
            raise ValueError(f"a hook yields once, {hook.__name__} does so {yields} times")
    elif not (callable(hook) or any(hasattr(hook, phase) for phase in _PHASES)):
        raise TypeError(
            "a hook is a function, a generator with one yield, or an object with pre_hook, "
            f"post_hook, on_error or finalize, not {hook!r:.100}"
        )
    mode = getattr(hook, "__hook_error_mode__", "warn")
    if mode not in _MODES:
        raise ValueError(f"__hook_error_mode__ of a hook is one of {_MODES}, not {mode!r}")


def _begun(owner: Hooked, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Run what comes before the call; return the hooks whose later phases are to run."""
    made = sorted((_made(hook, owner) for hook in owner._hooks), key=_priority)
    running: list[Any] = []
    for hook in made:
        try:
            _phase(hook, "pre_hook")(*args, **kwargs)
        except Exception as error:
            _ended([hook], "finalize")
            if _is_strict(hook):
                _ended(running, "finalize")
                raise
            _log(hook, "pre_hook", error)
        else:
            running.append(hook)
    return running


def _ended(hooks: list[Any], phase: str, *args: Any) -> None:
    """Run a later phase, the last hook first; raises what a strict one raises after the call."""
    strict: list[Exception] = []
    for hook in reversed(hooks):
        try:
            _phase(hook, phase)(*args)
        except Exception as error:
            if _is_strict(hook) and phase == "post_hook":
                strict.append(error)
            else:
                # The call has failed, or is over: its own outcome is what its caller gets.
                _log(hook, phase, error)
    if len(strict) == 1:
        raise strict[0]
    if strict:
        raise ExceptionGroup(f"{len(strict)} hooks failed after the call", strict)


def _made(hook: Any, owner: Hooked) -> Any:
    """Return the hook of one call: a copy, so that calls at once don't mix."""
    import copy
    import inspect

    if isinstance(hook, type):
        takes_owner = any("__init__" in vars(base) for base in hook.__mro__[:-1])
        return hook(owner) if takes_owner else hook()
    if inspect.isgeneratorfunction(hook):
        return _GeneratorHook(hook)
    if any(hasattr(hook, phase) for phase in _PHASES):
        return copy.copy(hook)
    return _FunctionHook(hook)


class _FunctionHook:
    """A function, called before."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__hook_priority__ = getattr(function, "__hook_priority__", 100)
        self.__hook_error_mode__ = getattr(function, "__hook_error_mode__", "warn")

    def pre_hook(self, *args: Any, **kwargs: Any) -> None:
        self._function(*args, **kwargs)


class _GeneratorHook(_FunctionHook):
    """A generator: up to its `yield` before, the rest after the call."""

    def pre_hook(self, *args: Any, **kwargs: Any) -> None:
        self._generator = self._function(*args, **kwargs)
        next(self._generator)

    def post_hook(self, output: Any) -> None:
        try:
            self._generator.send(output)
        except StopIteration:
            return
        raise ValueError(f"the hook {self._function.__name__} yields more than once")

    def finalize(self) -> None:
        self._generator.close()


def _phase(hook: Any, phase: str) -> Callable[..., Any]:
    return getattr(hook, phase, _nothing)


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    return None


def _priority(hook: Any) -> Any:
    return getattr(hook, "__hook_priority__", 100)


def _is_strict(hook: Any) -> bool:
    return getattr(hook, "__hook_error_mode__", "warn") == "raise"


def _log(hook: Any, phase: str, error: Exception) -> None:
    import logging

    name = type(hook).__name__ if not isinstance(hook, _FunctionHook) else hook._function.__name__
    logging.getLogger(__name__).warning(
        "hook %s failed in %s: %s: %s", name, phase, type(error).__name__, error
    )

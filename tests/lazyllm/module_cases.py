"""Modules, hooks and the register."""

from __future__ import annotations

from typing import Any

from .cases import case, outcome

# Modules.


@case(["a", "b", "c"])
def for_each_visits_modules_below(lazy: Any) -> Any:
    class M(lazy.ModuleBase):  # type: ignore[misc, name-defined]
        pass

    root, a, b, c = M(name="root"), M(name="a"), M(name="b"), M(name="c")
    root.a, a.b, root.c = a, b, c
    seen: list[str] = []
    root.for_each(lambda m: True, lambda m: seen.append(m.name))
    return seen


@case(["n", "m"])
def a_module_is_named(lazy: Any) -> Any:
    class M(lazy.ModuleBase):  # type: ignore[misc, name-defined]
        pass

    return [M(name="n").name, M().set_name("m").name]


@case([4, 4, 1])
def a_module_may_keep_results(lazy: Any) -> Any:
    class Kept(lazy.ModuleBase):  # type: ignore[misc, name-defined]
        calls = 0

        def forward(self, x: Any) -> Any:
            type(self).calls += 1
            return x * 2

    m = Kept().use_cache()
    return [m(2), m(2), Kept.calls]


_seen: list[str] = []


def _before(x: Any) -> None:
    _seen.append(f"before {x}")


def _around(x: Any) -> Any:
    result = yield
    _seen.append(f"{x} gave {result}")


@case([2, ["before 1", "call", "1 gave 2"]])
def functions_and_generators_are_hooks_of_a_module(lazy: Any) -> Any:
    class M(lazy.ModuleBase):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            _seen.append("call")
            return x * 2

    _seen.clear()
    m = M()
    m.register_hook(_before)
    m.register_hook(_around)
    return [m(1), list(_seen)]


@case(["pre 1", "call", "post 2", "finalize", "pre 0", "call", "error", "finalize"])
def an_object_is_a_hook(lazy: Any) -> Any:
    from importlib import import_module

    seen: list[str] = []
    base = getattr(lazy, "Hook", None) or import_module("lazyllm.hook").LazyLLMHook

    class H(base):  # type: ignore[misc, valid-type]
        def __init__(self, obj: Any) -> None:
            pass

        def pre_hook(self, x: Any) -> None:
            seen.append(f"pre {x}")

        def post_hook(self, output: Any) -> None:
            seen.append(f"post {output}")

        def on_error(self, exc: BaseException) -> None:
            seen.append("error")

        def finalize(self) -> None:
            seen.append("finalize")

    def work(x: Any) -> Any:
        seen.append("call")
        return 2 // x

    flow = lazy.pipeline(work)
    flow.register_hook(H)
    flow(1)
    try:
        flow(0)
    except Exception:
        return seen
    return None


# The register.


@case([2, 3, "error"])
def groups_have_groups(lazy: Any) -> Any:
    lazy.module_register.new_group("table")
    lazy.module_register("table")(_named("one", lambda x: x * 2))
    lazy.module_register("table.inner")(_named("two", lambda x: x * 3))
    table = lazy.table
    return [table.one()(1), table.inner.two()(1), outcome(lazy, lambda _: table.nothing)]


@case([2, "error"])
def a_name_is_registered_once(lazy: Any) -> Any:
    lazy.module_register.new_group("once")
    lazy.module_register("once")(_named("one", lambda x: x * 2))
    again = outcome(lazy, lambda _: lazy.module_register("once")(_named("one", lambda x: x * 5)))
    return [lazy.once.one()(1), again]


@case(2)
def a_group_of_one_can_be_called(lazy: Any) -> Any:
    lazy.module_register.new_group("single")
    lazy.module_register("single")(_named("only", lambda x: x * 2))
    return lazy.single()(1)


def _named(name: str, function: Any) -> Any:
    function.__name__ = name
    return function

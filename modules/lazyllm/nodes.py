"""What stands for lazyllm's modules in a tree: one node for each, over the same attributes.

Node and object share one `__dict__`, so that what a task changes on the object is the node's state,
and what is applied to the node is there on the object that the user holds. What holds lazyllm's own
structure (modules, flows, launchers, hooks) is in the pack and never part of a state. Getters have
side effects: a plan asks only whether there are any, the task calls them.
"""

from __future__ import annotations

import socket
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import lazyllm
from lazyllm.common import FlatList
from lazyllm.common.bind import Bind
from lazyllm.flow import FlowBase, Parallel

from ..foreign import adopted
from ..module import ModuleBase
from ..server import ServerModule
from . import mending
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..composite import Child

NODE = "_rootward_node"
mending.mend_bound_arguments()
_objects: weakref.WeakKeyDictionary[ForeignNode, Any] = weakref.WeakKeyDictionary()
_owners: weakref.WeakKeyDictionary[Any, ServedNode] = weakref.WeakKeyDictionary()
_GETTERS = {"train": "_get_train_tasks", "deploy": "_get_deploy_tasks"}


class ForeignNode(ModuleBase):
    """One lazyllm module as a module of a tree."""

    _session: ClassVar[Session | None] = None

    @property
    def name(self) -> str | None:  # type: ignore[override]
        """The name that the object has in lazyllm."""
        name: str | None = vars(self).get("_name")
        return name

    @property
    def local_attributes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The structure of lazyllm's own: it never travels as state."""
        return tuple(name for name, value in vars(self).items() if _is_structure(name, value))

    @property
    def class_name(self) -> str:
        """The name of the object's class in lazyllm."""
        name: str = self.foreign.lazyllm_class.__name__
        return name.strip("_").removesuffix("ModuleImpl") if name.startswith("_") else name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the object."""
        return self.foreign(*args, **kwargs)

    @property
    def foreign(self) -> Any:
        """The lazyllm object that this node stands for."""
        return _objects[self]()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the object."""
        return self.foreign(*args, **kwargs)

    def _get_train_tasks(self) -> Any:
        return self._task("train")

    def _get_deploy_tasks(self) -> Any:
        return self._task("deploy")

    def _get_eval_tasks(self) -> Any:
        if not vars(self).get("_evalset") and not _overrides(self.foreign, "_get_eval_tasks"):
            return None
        return lambda: self._run_tasks("_get_eval_tasks")

    def _task(self, kind: str) -> Callable[[], None] | None:
        getter = _GETTERS[kind]
        return (lambda: self._run_tasks(getter)) if _overrides(self.foreign, getter) else None

    def _run_tasks(self, getter: str) -> None:
        tasks = FlatList()
        with (self._session or Session.current()).entered():
            tasks.absorb(getattr(self.foreign, getter)())
            if tasks:
                Parallel.sequential(*tasks).set_sync(True)()
            if getter == "_get_eval_tasks" and (post := self.foreign._get_post_process_tasks()):
                post()

    def _children(self) -> list[Child]:
        owner = self.foreign
        names = {id(value): name.lstrip("_") for name, value in vars(self).items()}
        found: dict[int, Child] = {}
        if isinstance(owner, lazyllm.ServerModule):
            # A handle that serves nothing itself: of another one, or of a URL.
            served = owner_of(owner._impl)
            return [] if served is None else [("served", None, served)]
        for module in map(unwrapped, owner.submodules):
            child = module if isinstance(module, ModuleBase) else adopted(module)
            if child is not None and child is not self:
                found[id(child)] = (names.get(id(module)), None, child)
        for hint, number, child in _ours_in(vars(self)):
            found.setdefault(id(child), (hint, number, child))
        return list(found.values())

    def _drawn_below(self) -> Sequence[object]:
        return self.submodules

    def _repr_parts(self) -> dict[str, Any]:
        return {"category": "Module", "type": self.class_name, "name": self.name}

    def __getstate__(self) -> dict[str, Any]:
        """Return all attributes, and what makes the object again."""
        state = {name: value for name, value in vars(self).items() if name != NODE}
        return {"attributes": state, "object": self.foreign, "session": Session.current()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state["attributes"])
        if type(self)._session is None:
            ForeignNode._session = state["session"]


class ServedNode(ForeignNode, ServerModule):
    """A lazyllm ServerModule: what it wraps runs in replicas."""

    serves = True
    pre = post = None
    stream = False
    call_timeout = None
    resources: dict[str, float] = {}  # noqa: RUF012 - read only
    env: dict[str, str] = {}  # noqa: RUF012 - read only
    startup_timeout = 300.0
    repeatable = True
    exclusive = False
    ping_timeout = 10.0

    @property
    def _impl(self) -> Any:
        return vars(self)["_impl"]

    @property
    def replicas(self) -> int:  # type: ignore[override]
        """As many as the user has asked lazyllm for."""
        return max(1, self._impl._num_replicas or 1)

    @property
    def port(self) -> int | None:  # type: ignore[override]
        """The port that the user has fixed, where there is one replica."""
        return self._impl._port if self.replicas == 1 else None

    @property
    def m(self) -> Any:
        """What is served."""
        return self._impl._m

    def answer(self, *args: Any, **kwargs: Any) -> Any:
        """Run what is behind the endpoint, as lazyllm's own server does."""
        from .serving import run_served

        return run_served(self.foreign, args, kwargs)

    def _get_deploy_tasks(self) -> Any:
        return None

    def _get_train_tasks(self) -> Any:
        return None

    def _children(self) -> list[Child]:
        m = unwrapped(self.m)
        child = m if isinstance(m, ModuleBase) else adopted(m)
        return [] if child is None else [("m", None, child)]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        own(self, self._impl)


class EngineNode(ServedNode):
    """The engine of a TrainableModule: it is started within a replica, on a free port."""

    replicas = 1
    port = None
    startup_timeout = 1800.0
    repeatable = False

    @property
    def m(self) -> Any:
        """What tells the replica's callers where the engine is."""
        return self.engine_url

    def setup(self) -> None:
        """Start the engine; raises what lazyllm raises when it doesn't come up."""
        impl = self.foreign
        tasks = FlatList()
        with (self._session or Session.current()).entered():
            impl._get_deploy_tasks.flag.reset()
            tasks.absorb(impl._get_deploy_tasks())
            _give_free_port(getattr(impl, "_deployer", None))
            if tasks:
                Parallel.sequential(*tasks)()

    def engine_url(self) -> str:
        """Return the URL of the engine that runs here."""
        return str(self.foreign._url_wrapper.url)

    def answer(self, *args: Any, **kwargs: Any) -> Any:
        """Tell where the engine is: its callers speak with it themselves."""
        del args, kwargs
        return self.engine_url()

    def _get_train_tasks(self) -> Any:
        return self._task("train") if vars(self).get("_trainset") is not None else None

    def _children(self) -> list[Child]:
        return []

    def __setstate__(self, state: dict[str, Any]) -> None:
        ForeignNode.__setstate__(self, state)


def unwrapped(obj: Any) -> Any:
    """Return what a bound function binds, anything else as it is."""
    while type(obj) is Bind:
        obj = obj._f
    return obj


def node_of(obj: Any) -> ForeignNode | None:
    """Return the node of an object that was adopted."""
    node: ForeignNode | None = vars(obj).get(NODE)
    return node


def join(node: ForeignNode, obj: Any) -> None:
    """Let a node and its object share their attributes."""
    vars(obj)[NODE] = node
    object.__setattr__(node, "__dict__", vars(obj))
    _objects[node] = weakref.ref(obj)


def own(node: ServedNode, impl: Any) -> None:
    """Note that this node serves for all handles of `impl`; the first one does."""
    _owners.setdefault(impl, node)


def owner_of(impl: Any) -> ServedNode | None:
    """Return the node that serves for all handles of `impl`."""
    return _owners.get(impl)


def _overrides(obj: Any, getter: str) -> bool:
    return getattr(type(obj), getter) is not getattr(lazyllm.ModuleBase, getter)


def _is_structure(name: str, value: Any) -> bool:
    if name in {NODE, "_hooks", "_impl", "_submodules", "_options", "_url_wrapper", "_launchers"}:
        return True
    if isinstance(value, (list, tuple)):
        return any(_is_structure("", each) for each in value)
    if isinstance(value, dict):
        return any(_is_structure("", each) for each in value.values())
    structures = (lazyllm.ModuleBase, FlowBase, lazyllm.LazyLLMLaunchersBase, ForeignNode)
    return isinstance(value, structures) or type(value).__name__ == "Bind"


def _ours_in(attributes: dict[str, Any]) -> list[Child]:
    """Return the modules of rootward's that a lazyllm module holds in attributes or flows."""
    found: list[Child] = []
    for name, value in list(attributes.items()):
        if name == NODE:
            continue
        if isinstance(value, ModuleBase):
            found.append((name.lstrip("_"), None, value))
        elif isinstance(value, FlowBase):
            inside: list[Any] = []
            value.for_each(lambda item: isinstance(item, ModuleBase), inside.append)
            found += [(None, None, getattr(item, "_f", item)) for item in inside]
    return found


def _give_free_port(deployer: Any) -> None:
    """Give an engine a port that is free: lazyllm's random ones are tried again as they are."""
    parts = [deployer]
    if isinstance(deployer, FlowBase):
        deployer.for_each(lambda part: hasattr(part, "_port"), parts.append)
    for part in parts:
        if vars(part).get("_port", 0) is None:
            part._port = _free_port()
        elif vars(part).get("random_port"):
            name = "server-port" if "server-port" in part.kw else "port"
            part.kw[name], part.random_port = _free_port(), False


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port

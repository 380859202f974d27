"""fakeredis without what stands around it, for tests that make millions of calls.

Commands, data and expiry are fakeredis's own. Left out is the wire (nothing is packed, sent and
parsed), and what one caller doesn't need: locks, access lists, transactions, notifications. A
script is compiled once instead of at each call, and Lua's memory is collected by Lua. As in Redis a
script that touches an undeclared global fails. Sets answer in order of their members, so that a run
doesn't depend on Python's hash seed. For one thread, which never blocks.
"""

from __future__ import annotations

import functools
import hashlib
import time
from typing import TYPE_CHECKING, Any

import fakeredis
from fakeredis import FakeServer, _msgs
from fakeredis._commands import SUPPORTED_COMMANDS, Key, Signature
from fakeredis._core import CommandItem
from fakeredis._helpers import SimpleError
from fakeredis._socket import FakeSocket
from fakeredis._socket._resp import convert_to_resp2, extract_command
from fakeredis.commands_mixins.scripting_mixin import LUA_MODULE
from redis.client import Pipeline, Redis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SEAL = """
setmetatable(_G, {
  __newindex = function(_, name) error('a script sets the global ' .. tostring(name), 2) end,
  __index = function(_, name) error('a script reads the global ' .. tostring(name), 2) end,
})
"""
_ENTER = """
function(call, run, keys, ...)
  local first = {}
  for i = 1, keys do first[i] = (select(i, ...)) end
  rawset(_G, 'KEYS', first)
  rawset(_G, 'ARGV', { select(keys + 1, ...) })
  redis.call = call
  return run()
end
"""
_PLAIN = (bytes, int, type(None))


class SwiftRedis(fakeredis.FakeRedis):
    """A client with a server of its own in this process; `on_append` hears of each stream entry."""

    def __init__(self, on_append: Callable[[bytes], None] | None = None) -> None:
        super().__init__(protocol=2)
        self._socket = _Socket(FakeServer(version=(7, 4)), on_append)
        self._encode = self.get_encoder().encode

    def execute_command(self, *args: Any, **options: Any) -> Any:
        encode = self._encode
        answer = self._socket.ask([encode(each) for each in (*args[0].split(), *args[1:])])
        options.pop("keys", None)
        callback = self.response_callbacks.get(args[0])
        return answer if callback is None else callback(answer, **options)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        del transaction, shard_hint
        return _Pipeline(self)


class _Pipeline(Pipeline):
    """Commands that are gathered and then run one after the other; nothing comes between them."""

    def __init__(self, client: SwiftRedis) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, True, None)
        self._swift = client

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack, self.command_stack = self.command_stack, []
        return [self._swift.execute_command(*args, **options) for args, options in stack]


class _Nobody:
    """Whoever waits for a change of the data: nobody does."""

    def notify_all(self) -> None:
        """Wake nobody."""


class _Socket(FakeSocket):
    """The one connection to a server."""

    def __init__(self, server: FakeServer, on_append: Callable[[bytes], None] | None) -> None:
        super().__init__(server, 0, client_class=Redis, client_info={"resp": 2})
        self._on_append = on_append
        self._db.condition = _Nobody()
        self._runs: dict[bytes, Any] = {}
        self._lua = self._get_server_runtime(server)
        self._lua.execute(_SEAL)
        self._enter = self._lua.eval(_ENTER)

    def ask(self, fields: list[bytes]) -> Any:
        """Run one command and return its answer, or raise it."""
        name, args = extract_command(fields)
        self._db.time = time.time()
        function, signature = self._name_to_func(name)
        answer = self._decode_result(self._run_command(function, signature, args, False))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _run_command(
        self, func: Any, sig: Signature, args: Sequence[Any], from_script: bool
    ) -> Any:
        steps, keys, converts, leaves_empty = _shape(sig, len(args))
        given, items = list(args), []
        try:
            for i, step, missing in steps:
                if step is not None:
                    given[i] = step(given[i])
                elif given[i] not in self._db:
                    return missing
            for i, type_, make in keys:
                item = self._db.get(given[i])
                if item is not None and type_ is not None and type(item.value) is not type_:
                    raise SimpleError(_msgs.WRONGTYPE_MSG)
                default = make() if item is None and make else None
                given[i] = CommandItem(given[i], self._db, item, default=default)
                items.append(given[i])
            result = func(*given)
            if converts and type(result) not in _PLAIN:
                result = convert_to_resp2(result)
        except SimpleError as error:
            result = error
        for item in items:
            item.writeback(remove_empty_val=not leaves_empty)
        return result

    def _call(self, name: bytes, *args: Any) -> Any:
        """Do what a script's `redis.call` asks for."""
        signature = _signature(name)
        function = getattr(self, signature.func_name)
        result = self._run_command(function, signature, [_argument(each) for each in args], True)
        if type(result) is bytes or type(result) is int:
            return result
        return self._convert_redis_result(self._lua, result)

    # What fakeredis does otherwise.

    def eval(self, script: bytes, numkeys: int, *keys_and_args: bytes) -> Any:
        digest = hashlib.sha1(script).hexdigest().encode()
        self._server.script_cache[digest] = script
        return self.evalsha(digest, numkeys, *keys_and_args)

    def evalsha(self, sha1: bytes, numkeys: int | bytes, *keys_and_args: bytes) -> Any:
        run = self._runs.get(sha1)
        if run is None:
            if sha1 not in self._server.script_cache:
                raise SimpleError(_msgs.NO_MATCHING_SCRIPT_MSG)
            run = self._runs[sha1] = self._lua.compile(self._server.script_cache[sha1])
        self._script_resp = 2
        try:
            result = self._enter(self._call, run, int(numkeys), *keys_and_args)
        except LUA_MODULE.LuaError as error:
            raise SimpleError(_msgs.SCRIPT_ERROR_MSG.format(sha1.decode(), error)) from error
        finally:
            self._script_resp = None
        return self._convert_lua_result(result, nested=False)

    def smembers(self, key: Any) -> list[bytes]:
        return sorted(key.value)

    def xadd(self, key: Any, *args: bytes) -> Any:
        entry = super().xadd(key, *args)
        if self._on_append is not None:
            self._on_append(key.key)
        return entry

    def add_subkey_event(self, event: bytes, key: bytes, subkeys: Sequence[bytes]) -> None:
        """Tell nobody."""


@functools.cache
def _signature(name: bytes) -> Signature:
    return SUPPORTED_COMMANDS[name.decode().lower()]


@functools.cache
def _shape(signature: Signature, count: int) -> tuple[list[Any], list[Any], bool, bool]:
    """Say how `count` arguments are read: in turn (place, conversion, answer when the key isn't
    there), then the keys (place, type, what a missing one is), and two flags.
    """
    signature.check_arity([b""] * count, (7, 4))
    types, steps, keys = list(signature.fixed), [], []
    types += [signature.repeat[i % len(signature.repeat)] for i in range(count - len(types))]
    creates = _msgs.FLAG_DO_NOT_CREATE not in signature.flags
    for i, type_ in enumerate(types):
        if isinstance(type_, Key):
            if type_.missing_return is not Key.UNSPECIFIED:
                steps.append((i, None, type_.missing_return))
            makes = creates and type_.type_ not in {None, bytes}
            keys.append((i, type_.type_, type_.type_ if makes else None))
        elif type_ is not bytes:
            steps.append((i, type_.decode, None))
    converts = _msgs.FLAG_SKIP_CONVERT_TO_RESP2 not in signature.flags
    return steps, keys, converts, _msgs.FLAG_LEAVE_EMPTY_VAL in signature.flags


def _argument(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SimpleError(_msgs.LUA_COMMAND_ARG_MSG)
    return f"{value:.17g}".encode()

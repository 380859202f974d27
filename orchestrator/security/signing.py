"""Who signed what: the keys derived from the one secret, and the seals made with them.

Redis is not trusted with code: jobs, plans, trees, states and endpoints are signed when they are
written and checked before they are used.  Each purpose has a key of its own, made for one prefix
and one store, by its random id: what was signed for another installation, or before Redis lost its
data, doesn't verify.  Every signature binds the place it was made for (deployment, generation,
task) and the submission that it belongs to, so that a signed thing copied elsewhere is worth
nothing.  Only agents, clients and the command line hold a Signer; the processes that run user code
get the call key of their own deployment and nothing more.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from rootward.modules.errors import SignatureError
from rootward.modules.state import values

from .sealing import MARK_BYTES, NO_MARK, Seal, mark_in, not_signed

if TYPE_CHECKING:
    from ..store.records import ReplicaRecord

T = TypeVar("T")

JOB_FUNCTION: Final = "rootward.worker.jobs.run_task"
# The mark of the submission and a MAC: with the function's name, a job's data then stays within the
# 64 bytes up to which Redis keeps a hash compact. 160 bits are as far beyond guessing as 256.
_JOB_SIGNATURE_BYTES: Final = 28
_JOB_MAC_BYTES: Final = _JOB_SIGNATURE_BYTES - MARK_BYTES
_SMALL_STATE: Final = 4096
_MOST_OWN: Final = 1024
_MOST_SEALS: Final = 256
NO_TRACE: Final[Mapping[str, str]] = MappingProxyType({})


class Signer:
    """Signs and checks everything that a deployment keeps in Redis.

    There is one secret at a time: replicas hold keys made from it, so to change it they are
    stopped, and deployed again.
    """

    def __init__(self, secret: bytes, *, prefix: str = "", store_id: str = "") -> None:
        """Derive nothing yet; keys are derived on first use and kept.

        `store_id` is the one of the store that it signs for, which `enter` may change.
        """
        self._secret = secret
        self._prefix, self._store_id = prefix, store_id
        self._derived: dict[tuple[str, str], bytes] = {}
        self._seals: dict[tuple[str, str, int, str], Seal] = {}
        self._own_states: dict[bytes, tuple[Seal, bytes]] = {}
        # Asks for the id of the store when something doesn't verify: it may have lost its data.
        # None where somebody tells it in time, and asking would take too long.
        self.find_store: Callable[[], str | None] | None = None

    @property
    def store_id(self) -> str:
        """The id of the store that it signs for."""
        return self._store_id

    def enter(self, store_id: str | None) -> bool:
        """Sign for that store from now on, None for one without an id; whether it is another."""
        is_another = (store_id or "") != self._store_id
        self._store_id = store_id or ""
        return is_another

    def sign_job(
        self, name: str, generation: int, task: str, job_id: str, mark: bytes = NO_MARK
    ) -> bytes:
        """Sign the right to run `task` as the job `job_id` (28 bytes, the mark first)."""
        return self.job_signer(name, generation, mark)(task, job_id)

    def job_signer(
        self, name: str, generation: int, mark: bytes, trace: Mapping[str, str] = NO_TRACE
    ) -> Callable[[str, str], bytes]:
        """Return what signs the jobs of one submission, each by (task, job id)."""
        mac = values.mac_of(self._key("job"))
        place = mark + _framed(name) + _framed(str(generation))
        traced = b"".join(map(_framed, _flat(trace)))

        def sign(task: str, job_id: str) -> bytes:
            signature = mac(place + _framed(task) + _framed(job_id) + traced)
            return mark + signature[:_JOB_MAC_BYTES]

        return sign

    def verify_job(
        self,
        place: tuple[str, int, str, str],
        signature: bytes,
        trace: Mapping[str, str] = NO_TRACE,
    ) -> bytes:
        """Check the job of `place` (name, generation, task, job id), with the trace it belongs to.

        Returns the mark of its submission. Raises SignatureError unless a holder of the secret made
        `signature`.
        """
        name, generation, task, job_id = place
        mark, mac = signature[:MARK_BYTES], signature[MARK_BYTES:]
        parts = (name, str(generation), task, job_id, *_flat(trace))
        message = mark + b"".join(map(_framed, parts))
        made = values.mac_of(self._key("job"))(message)[:_JOB_MAC_BYTES]
        if not hmac.compare_digest(made, mac):
            raise not_signed(f"the job of {task} of {name}@{generation}")
        return mark

    def seal_tree(
        self, definition: bytes, name: str, generation: int, mark: bytes = NO_MARK
    ) -> bytes:
        """Sign the packed tree of one submission."""
        return self._seal("tree", name, generation).close(definition, mark)

    def open_tree(
        self, sealed: bytes, name: str, generation: int, mark: bytes | None = None
    ) -> bytes:
        """Return the packed tree, of the submission of that mark if any; raises SignatureError."""
        return self._checked(lambda: self._seal("tree", name, generation).open(sealed, mark))

    def seal_bundle(self, archive: bytes, digest: str) -> bytes:
        """Sign a bundle of code; it belongs to its digest, and to no generation."""
        return values.seal(archive, self._key("bundle"), f"bundle|{digest}")

    def open_bundle(self, sealed: bytes, digest: str) -> bytes:
        """Return the archive of a bundle; raises SignatureError."""
        return self._checked(lambda: values.unseal(sealed, self._key("bundle"), f"bundle|{digest}"))

    def bundle_head(self) -> bytes:
        """Return how the bundles that are sealed with the present secret begin."""
        return values.seal_head(self._key("bundle"))

    def seal_plan(self, plan: bytes, name: str, generation: int, mark: bytes = NO_MARK) -> bytes:
        """Sign the stored plan of one submission."""
        return self._seal("plan", name, generation).close(plan, mark)

    def open_plan(
        self, sealed: bytes, name: str, generation: int, mark: bytes | None = None
    ) -> bytes:
        """Return the stored plan, of the submission of that mark if any; raises SignatureError."""
        return self._checked(lambda: self._seal("plan", name, generation).open(sealed, mark))

    def seal_identity(
        self, record: bytes, name: str, generation: int, mark: bytes = NO_MARK
    ) -> bytes:
        """Sign the record of what the modules of one submission are made of."""
        return self._seal("identity", name, generation).close(record, mark)

    def open_identity(self, sealed: bytes, name: str, generation: int) -> bytes:
        """Return the record of what a generation's modules are made of; raises SignatureError."""
        return self._checked(lambda: self._seal("identity", name, generation).open(sealed, None))

    def seal_state(self, entry: bytes, name: str, generation: int, mark: bytes = NO_MARK) -> bytes:
        """Sign one entry of a submission's state log."""
        seal = self._seal("state", name, generation)
        sealed = seal.close(entry, mark)
        if len(sealed) <= _SMALL_STATE:
            if len(self._own_states) >= _MOST_OWN:
                self._own_states.clear()
            self._own_states[sealed] = seal, entry
        return sealed

    def open_state(
        self, sealed: bytes, name: str, generation: int, mark: bytes | None = None
    ) -> bytes:
        """Return the entry of a state log, of the submission of that mark if any; SignatureError.

        What was sealed here comes back as it was, once, and is known by that.
        """
        own, is_wanted = self._own_states.pop(sealed, None), mark in {None, mark_in(sealed)}
        if own is not None and is_wanted and own[0] is self._seal("state", name, generation):
            return own[1]
        return self._checked(lambda: self._seal("state", name, generation).open(sealed, mark))

    def call_key(self, name: str) -> bytes:
        """Key that signs the calls between the processes of one deployment (32 bytes).

        It is the same for every store: replicas outlive a loss of data.
        """
        return _mac(self._lasting_key("call"), (name,))

    def call_token(self, name: str, generation: int) -> str:
        """Token (64 hex digits) that opens a generation's replicas to callers of plain HTTP."""
        return _mac(self._lasting_key("token"), (name, str(generation))).hex()

    def fingerprints(self, prefix: str) -> tuple[str, ...]:
        """Return what tells this secret from others, and nothing of it."""
        return (_mac(self._lasting_key("fingerprint"), (prefix,)).hex(),)

    def sign_endpoint(self, record: ReplicaRecord) -> bytes:
        """Sign where this replica answers, under which token, and under whose lease it lives."""
        return _mac(self._key("endpoint"), _endpoint(record))

    def verify_endpoint(self, record: ReplicaRecord) -> None:
        """Check the signature of a replica's record.

        Raises SignatureError: such a record is to be left out, never called.
        """
        self._checked(lambda: self._verify_endpoint(record))

    def _verify_endpoint(self, record: ReplicaRecord) -> None:
        made = _mac(self._key("endpoint"), _endpoint(record))
        if not hmac.compare_digest(made, record.signature):
            raise not_signed(f"the endpoint of {record.path} of {record.name}@{record.generation}")

    def sign_count(self, name: str, generation: int, path: str, count: int) -> str:
        """Sign how many replicas a service is to have (64 hex digits)."""
        return _mac(self._key("count"), (name, str(generation), path, str(count))).hex()

    def is_count(self, name: str, generation: int, path: str, count: int, signature: str) -> bool:
        """Whether a holder of the secret has asked for that many replicas."""
        wanted = self.sign_count(name, generation, path, count)
        return hmac.compare_digest(wanted.encode(), signature.encode())

    def sign_range(self, name: str, generation: int, path: str, asked: str) -> str:
        """Sign what is asked for by hand: a number of replicas, or a range such as `1..8`."""
        return _mac(self._key("range"), (name, str(generation), path, asked)).hex()

    def is_range(self, name: str, generation: int, path: str, asked: str, signature: str) -> bool:
        """Whether a holder of the secret has asked for that by hand."""
        wanted = self.sign_range(name, generation, path, asked)
        return hmac.compare_digest(wanted.encode(), signature.encode())

    def _checked(self, check: Callable[[], T]) -> T:
        """Return what `check` returns; once more if the store proves to be another one now."""
        try:
            return check()
        except SignatureError:
            if self.find_store is None or not self.enter(self.find_store()):
                raise
            return check()

    def _key(self, purpose: str) -> bytes:
        """Return the key of a purpose for this prefix and store."""
        return self._key_of(purpose, self._store_id)

    def _lasting_key(self, purpose: str) -> bytes:
        """Return the key of a purpose for this prefix and every store."""
        return self._key_of(purpose, "")

    def _key_of(self, purpose: str, store_id: str) -> bytes:
        key = self._derived.get((purpose, store_id))
        if key is None:
            made_for = b"".join(map(_framed, (purpose, self._prefix, store_id)))
            key = hmac.digest(self._secret, b"rootward 2 " + made_for, hashlib.sha256)
            self._derived[purpose, store_id] = key
        return key

    def _seal(self, purpose: str, name: str, generation: int) -> Seal:
        place = (purpose, name, generation, self._store_id)
        seal = self._seals.get(place)
        if seal is None:
            if len(self._seals) >= _MOST_SEALS:
                self._seals.clear()
            seal = Seal(self._key(purpose), f"the {purpose} of {name}@{generation}")
            self._seals[place] = seal
        return seal


def payload(
    signer: Signer, name: str, generation: int, task: str, job_id: str, mark: bytes = NO_MARK
) -> bytes:
    """Make the RQ job data of a task: the one function, and a signature of whose job this is.

    The rest stands in the job's hash, which stays small as long as no value is above 64 bytes.
    """
    return _payloads(signer, name, generation, mark, signer.store_id)(task, job_id)


def payloads(
    signer: Signer,
    name: str,
    generation: int,
    mark: bytes = NO_MARK,
    trace: Mapping[str, str] = NO_TRACE,
) -> Callable[[str, str], bytes]:
    """Return what makes the payloads of one submission's tasks of (task, job id).

    `trace` is the W3C context that they belong to, if any.
    """
    sign = signer.job_signer(name, generation, mark, trace)
    head, tail = _frame(trace)

    def make(task: str, job_id: str) -> bytes:
        return head + sign(task, job_id) + tail

    return make


def mark_in_payload(data: bytes) -> bytes:
    """Return the mark in a payload without a trace; it is right when the signature holds."""
    begin = len(_frame(NO_TRACE)[0])
    return data[begin : begin + MARK_BYTES]


def _frame(trace: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Return what stands before and behind the signature in a payload."""
    if not trace:
        return _plain_frame()
    return _framed_payload({"trace": dict(trace)})


@cache
def _plain_frame() -> tuple[bytes, bytes]:
    return _framed_payload({})


def _framed_payload(named: Mapping[str, object]) -> tuple[bytes, bytes]:
    from ..store.rq_compat import Serializer

    blank = bytes(_JOB_SIGNATURE_BYTES)
    head, tail = Serializer.dumps((JOB_FUNCTION, None, (blank,), named)).split(blank)
    return head, tail


@lru_cache(maxsize=64)
def _payloads(
    signer: Signer, name: str, generation: int, mark: bytes, store_id: str
) -> Callable[[str, str], bytes]:
    # The store's id is there for the cache: what was made for another store is no longer right.
    del store_id
    return payloads(signer, name, generation, mark)


def _endpoint(record: ReplicaRecord) -> tuple[str, ...]:
    place = record.name, str(record.generation), record.path, record.replica
    return *place, record.agent_id, record.url, record.token


def _mac(key: bytes, parts: Iterable[str]) -> bytes:
    return values.mac_of(key)(b"".join(map(_framed, parts)))


def _flat(trace: Mapping[str, str]) -> list[str]:
    return [part for pair in sorted(trace.items()) for part in pair]


def _framed(part: str) -> bytes:
    # Length-prefixed parts: ("a", "bc") and ("ab", "c") must not sign alike.
    raw = part.encode()
    return b"%d:%s" % (len(raw), raw)

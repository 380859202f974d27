"""Who signed what: the keys derived from the one secret, and the seals made with them.

Redis is not trusted with code: jobs, plans, trees, states and endpoints are signed when they are
written and checked before they are used.  Each purpose has a key of its own, and every signature
binds the place it was made for (deployment, generation, task), so that a signed thing copied
elsewhere is worth nothing.  Only agents, clients and the command line hold a Signer; the processes
that run user code get the call key of their own deployment and nothing more.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from rootward.modules.errors import SignatureError
from rootward.modules.state import values

JOB_FUNCTION: Final = "rootward.worker.jobs.run_task"
# Of 32: with the function's name, a job's data then stays within the 64 bytes up to which Redis
# keeps a hash compact. 224 bits are as far beyond guessing as 256.
_JOB_SIGNATURE_BYTES: Final = 28
_SMALL_STATE: Final = 4096
_MOST_OWN: Final = 1024
_MOST_SEALS: Final = 256
NO_TRACE: Final[Mapping[str, str]] = MappingProxyType({})


class Signer:
    """Signs and checks everything that a deployment keeps in Redis.

    `secret` signs; `previous` are older secrets that are still accepted, so that a secret can be
    rotated without stopping anything.
    """

    def __init__(self, secret: bytes, *, previous: Iterable[bytes] = ()) -> None:
        """Derive nothing yet; keys are derived on first use and kept."""
        self._secrets = (secret, *previous)
        self._derived: dict[str, tuple[bytes, ...]] = {}
        self._state_seals: dict[tuple[str, int], values.Seal] = {}
        self._own_states: dict[bytes, tuple[str, int, bytes]] = {}

    def sign_job(self, name: str, generation: int, task: str, job_id: str) -> bytes:
        """Sign the right to run `task` as the job `job_id` (28 bytes)."""
        return self.job_signer(name, generation)(task, job_id)

    def job_signer(
        self, name: str, generation: int, trace: Mapping[str, str] = NO_TRACE
    ) -> Callable[[str, str], bytes]:
        """Return what signs the jobs of one generation, each by (task, job id)."""
        mac = values.mac_of(self._keys("job")[0])
        place = _framed(name) + _framed(str(generation))
        traced = b"".join(map(_framed, _flat(trace)))

        def sign(task: str, job_id: str) -> bytes:
            signature = mac(place + _framed(task) + _framed(job_id) + traced)
            return signature[:_JOB_SIGNATURE_BYTES]

        return sign

    def verify_job(
        self,
        place: tuple[str, int, str, str],
        signature: bytes,
        trace: Mapping[str, str] = NO_TRACE,
    ) -> None:
        """Check the job of `place` (name, generation, task, job id), with the trace it belongs to.

        Raises SignatureError unless a holder of the secret made `signature`.
        """
        name, generation, task, job_id = place
        parts = (name, str(generation), task, job_id, *_flat(trace))
        self._verify("job", parts, signature, _JOB_SIGNATURE_BYTES)

    def seal_tree(self, definition: bytes, name: str, generation: int) -> bytes:
        """Sign the packed tree of one generation."""
        return self._seal("tree", definition, name, generation)

    def open_tree(self, sealed: bytes, name: str, generation: int) -> bytes:
        """Return the packed tree; raises SignatureError."""
        return self._open("tree", sealed, name, generation)

    def seal_plan(self, plan: bytes, name: str, generation: int) -> bytes:
        """Sign the stored plan of one generation."""
        return self._seal("plan", plan, name, generation)

    def open_plan(self, sealed: bytes, name: str, generation: int) -> bytes:
        """Return the stored plan; raises SignatureError."""
        return self._open("plan", sealed, name, generation)

    def seal_state(self, entry: bytes, name: str, generation: int) -> bytes:
        """Sign one entry of a generation's state log."""
        sealed = self._state_seal(name, generation).close(entry)
        if len(sealed) <= _SMALL_STATE:
            if len(self._own_states) >= _MOST_OWN:
                self._own_states.clear()
            self._own_states[sealed] = name, generation, entry
        return sealed

    def open_state(self, sealed: bytes, name: str, generation: int) -> bytes:
        """Return the entry of a state log; raises SignatureError.

        What was sealed here comes back as it was, once, and is known by that.
        """
        own = self._own_states.pop(sealed, None)
        if own is not None and own[0] == name and own[1] == generation:
            return own[2]
        return self._state_seal(name, generation).open(sealed)

    def call_key(self, name: str) -> bytes:
        """Key that signs the calls between the processes of one deployment (32 bytes)."""
        return _mac(self._keys("call")[0], (name,))

    def call_token(self, name: str, generation: int) -> str:
        """Token (64 hex digits) that opens a generation's replicas to callers of plain HTTP."""
        return _mac(self._keys("token")[0], (name, str(generation))).hex()

    def fingerprints(self, prefix: str) -> tuple[str, ...]:
        """Return what tells this secret (and each previous one) from others, and nothing of it."""
        return tuple(_mac(key, (prefix,)).hex() for key in self._keys("fingerprint"))

    def sign_endpoint(self, name: str, generation: int, path: str, replica: str, at: str) -> bytes:
        """Sign that `replica` of `path` answers at `at` (its URL and token, joined by a space)."""
        return _mac(self._keys("endpoint")[0], (name, str(generation), path, replica, at))

    def verify_endpoint(self, place: tuple[str, int, str, str], at: str, signature: bytes) -> None:
        """Check the endpoint record of `place` (name, generation, path, replica).

        Raises SignatureError: such a record is to be left out, never called.
        """
        name, generation, path, replica = place
        self._verify("endpoint", (name, str(generation), path, replica, at), signature)

    def _keys(self, purpose: str) -> tuple[bytes, ...]:
        keys = self._derived.get(purpose)
        if keys is None:
            keys = tuple(
                hmac.digest(secret, b"rootward 1 " + purpose.encode(), hashlib.sha256)
                for secret in self._secrets
            )
            self._derived[purpose] = keys
        return keys

    def _verify(
        self, purpose: str, parts: Sequence[str], signature: bytes, length: int = 32
    ) -> None:
        made = (_mac(key, parts)[:length] for key in self._keys(purpose))
        if not any(hmac.compare_digest(each, signature) for each in made):
            raise SignatureError(
                f"{purpose} of {'/'.join(parts[:3])}: not signed with this secret; set the same "
                "ROOTWARD_SECRET here as where it was made"
            )

    def _state_seal(self, name: str, generation: int) -> values.Seal:
        seal = self._state_seals.get((name, generation))
        if seal is None:
            if len(self._state_seals) >= _MOST_SEALS:
                self._state_seals.clear()
            seal = values.Seal(self._keys("state"), f"state|{name}@{generation}")
            self._state_seals[name, generation] = seal
        return seal

    def _seal(self, purpose: str, body: bytes, name: str, generation: int) -> bytes:
        return values.seal(body, self._keys(purpose)[0], f"{purpose}|{name}@{generation}")

    def _open(self, purpose: str, sealed: bytes, name: str, generation: int) -> bytes:
        return values.unseal(sealed, self._keys(purpose), f"{purpose}|{name}@{generation}")


def payload(signer: Signer, name: str, generation: int, task: str, job_id: str) -> bytes:
    """Make the RQ job data of a task: the one function, and a signature of whose job this is.

    The rest stands in the job's hash, which stays small as long as no value is above 64 bytes.
    """
    return _payloads(signer, name, generation)(task, job_id)


def payloads(
    signer: Signer, name: str, generation: int, trace: Mapping[str, str] = NO_TRACE
) -> Callable[[str, str], bytes]:
    """Return what makes the payloads of one generation's tasks of (task, job id).

    `trace` is the W3C context that they belong to, if any.
    """
    from ..store.rq_compat import Serializer

    sign, blank = signer.job_signer(name, generation, trace), bytes(_JOB_SIGNATURE_BYTES)
    named = {"trace": dict(trace)} if trace else {}
    head, tail = Serializer.dumps((JOB_FUNCTION, None, (blank,), named)).split(blank)

    def make(task: str, job_id: str) -> bytes:
        return head + sign(task, job_id) + tail

    return make


@lru_cache(maxsize=64)
def _payloads(signer: Signer, name: str, generation: int) -> Callable[[str, str], bytes]:
    return payloads(signer, name, generation)


def _mac(key: bytes, parts: Iterable[str]) -> bytes:
    return values.mac_of(key)(b"".join(map(_framed, parts)))


def _flat(trace: Mapping[str, str]) -> list[str]:
    return [part for pair in sorted(trace.items()) for part in pair]


def _framed(part: str) -> bytes:
    # Length-prefixed parts: ("a", "bc") and ("ab", "c") must not sign alike.
    raw = part.encode()
    return b"%d:%s" % (len(raw), raw)

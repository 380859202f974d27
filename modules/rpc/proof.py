"""The proof that a replica gives before a caller sends it anything: that it holds the call key.

An address in a registry may be old: its process may have ended, and its port belong to a stranger
now. So each new connection begins with a challenge, a random number that says nothing, and the
answer is its MAC under the deployment's call key and the very token that the registry gives for
this address. Who lacks the key can't make it, and one that another replica has made is of another
token, so it can't be had by passing the challenge on. Tokens and bodies are sent only afterwards.
"""

from __future__ import annotations

import json
import secrets
from typing import Final

from ..state.values import mac_of

PATH: Final = "/healthz"
HEADER: Final = "X-Rootward-Challenge"
TIMEOUT_S: Final = 30.0
"""Seconds that a proof may take: a replica that computes without a pause answers late, too."""

LIMIT_BYTES: Final = 4096
_CHALLENGE_BYTES: Final = 16


class Unproven(ConnectionError):
    """What listens at the address has not proven that it is the replica."""

    def __init__(self) -> None:
        super().__init__("what listens there isn't the replica: it can't prove that it has its key")


def new_challenge() -> str:
    """Return 32 hex digits that were never used before."""
    return secrets.token_hex(_CHALLENGE_BYTES)


def request(netloc: str, challenge: str) -> bytes:
    """Return the request that asks for the proof; it holds nothing that is of use to a stranger."""
    return f"GET {PATH} HTTP/1.1\r\nHost: {netloc}\r\n{HEADER}: {challenge}\r\n\r\n".encode()


def body(key: bytes, token: str, challenge: str) -> bytes:
    """Return the answer of the replica that `token` names."""
    return json.dumps({"status": "ok", "proof": _proof(key, token, challenge)}).encode()


def check(key: bytes, token: str, challenge: str, answer: bytes) -> None:
    """Raise Unproven unless `answer` is the body that only the replica of `token` can make."""
    import hmac

    try:
        given = json.loads(answer)["proof"]
        is_right = hmac.compare_digest(given, _proof(key, token, challenge))
    except (ValueError, TypeError, KeyError):
        is_right = False
    if not is_right:
        raise Unproven


def is_challenge(given: str) -> bool:
    """Whether it is a challenge as `new_challenge` makes them."""
    return len(given) == 2 * _CHALLENGE_BYTES and not given.strip("0123456789abcdef")


def _proof(key: bytes, token: str, challenge: str) -> str:
    return mac_of(key)(f"proof|{token}|{challenge}".encode()).hex()

"""The backends of the conformance tests, for the properties that must hold on each."""

from tests.conformance.conftest import fake_clients, other_clients, server, valkey_clients

__all__ = ["fake_clients", "other_clients", "server", "valkey_clients"]

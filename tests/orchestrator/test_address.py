"""Addresses of Redis: read as they are meant or refused, and shown without what is secret."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootward.orchestrator.address import Address, BadAddress, shown
from rootward.orchestrator.errors import NoRedis
from rootward.orchestrator.settings import Settings, SettingsError
from rootward.orchestrator.store.connection import Clients, check


@pytest.mark.parametrize(
    ("url", "is_shown"),
    [
        ("redis://:pw@host:1/2", "redis://host:1/2"),
        ("redis://host", "redis://host:6379/0"),
        ("redis://host/", "redis://host:6379/0"),
        ("REDIS://host/3", "redis://host:6379/3"),
        ("rediss://u:pw@host/?db=4&ssl_ca_certs=/ca.pem", "rediss://host:6379/4"),
        ("redis://[::1]:7/0", "redis://[::1]:7/0"),
        ("redis://:p@ss@host/0", "redis://host:6379/0"),
        ("redis://", "redis://localhost:6379/0"),
        ("unix:///run/x.sock?db=1", "unix:///run/x.sock"),
        ("unix://u:pw@/run/x.sock", "unix:///run/x.sock"),
        ("sentinel://u:pw@a:1,b/mymaster/0", "sentinel://a:1,b:26379/mymaster/0"),
        ("sentinel://a", "sentinel://a:26379/mymaster/0"),
        ("rediss+sentinel://a/service?db=5", "rediss+sentinel://a:26379/service/5"),
    ],
)
def test_an_address_is_shown_without_user_password_and_options(url: str, is_shown: str) -> None:
    assert Address.parse(url).shown == is_shown
    assert "pw" not in repr(Address.parse(url))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://host", "start with one of"),
        ("host:6379", "start with one of"),
        ("redis://host/x", "must be a number"),
        ("redis://host/-1", "must be a number"),
        ("redis://host/0/1", "behind the database"),
        ("redis://host/?db=x", "must be a number"),
        ("redis://host/1?db=2", "two databases"),
        ("redis://host:port", "HOST:PORT"),
        ("redis://host:99999", "HOST:PORT"),
        ("redis://a b", "HOST:PORT"),
        ("redis://host?timeout=1", "none of"),
        ("redis://host?sentinel_password=x", "sentinel:// only"),
        ("unix://run/x.sock", "absolute"),
        ("sentinel:///mymaster", "no Sentinel"),
        ("sentinel://a/mymaster/x", "must be a number"),
        ("sentinel://a/mymaster/0/1", "behind the database"),
    ],
)
def test_what_cannot_be_meant_is_refused(url: str, why: str) -> None:
    with pytest.raises(BadAddress, match=why):
        Address.parse(url)
    with pytest.raises(SettingsError, match=f"REDIS_URL .*{why}"):
        Settings.from_environment({"REDIS_URL": url})
    with pytest.raises(NoRedis, match=why):
        check(url)


@pytest.mark.parametrize("special", ["#", "/", "?", "&", "%", "@", ":", "=", "[", " ", "?db=1"])
@pytest.mark.parametrize("form", ["redis://:{}@host:6379/0", "sentinel://u:{}@a:1,b:2/mymaster/0"])
def test_no_part_of_a_password_is_ever_told(form: str, special: str) -> None:
    url = form.format(f"hunter{special}secret")
    for tell in (shown, lambda each: str(raised(each))):
        assert "hunter" not in tell(url)
        assert "secret" not in tell(url)


@pytest.mark.parametrize("special", ["#", "/", "?"])
def test_who_forgot_to_encode_a_password_is_told_how(special: str) -> None:
    with pytest.raises(BadAddress, match="percent-encoded"):
        Address.parse(f"redis://:hunter{special}secret@host:6379/0")


@given(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12))
def test_an_encoded_user_and_password_are_what_they_were(name: str, password: str) -> None:
    try:
        given_name, given_password = quote(name, safe=""), quote(password, safe="")
    except UnicodeEncodeError:
        return
    for host in ("redis://{}@host/0", "sentinel://{}@a,b/m/0"):
        found = Address.parse(host.format(f"{given_name}:{given_password}"))
        assert (found.username, found.password) == (name, password)


def raised(url: str) -> Exception | None:
    try:
        Settings.from_environment({"REDIS_URL": url})
    except SettingsError as error:
        return error
    return None


def test_sentinels_are_asked_with_credentials_of_their_own() -> None:
    clients = Clients(
        "rediss+sentinel://user:p%23w@one,two:7/service/3?sentinel_username=s&sentinel_password=q%2F"
        "&ssl_ca_certs=/ca.pem&ssl_check_hostname=no"
    )
    pool = clients.scripts.connection_pool
    wanted = {"db": 3, "username": "user", "password": "p#w", "ssl_ca_certs": "/ca.pem"}
    assert wanted.items() <= pool.connection_kwargs.items()
    assert pool.connection_kwargs["ssl_check_hostname"] is False
    assert pool.service_name == "service"
    asked = [each.connection_pool for each in pool.sentinel_manager.sentinels]
    assert [(each.connection_kwargs["host"], each.connection_kwargs["port"]) for each in asked] == [
        ("one", 26379),
        ("two", 7),
    ]
    wanted = {"username": "s", "password": "q/", "ssl_ca_certs": "/ca.pem"}
    assert all(wanted.items() <= each.connection_kwargs.items() for each in asked)
    clients.close()
    plain = Clients("rediss+sentinel://one/service?sentinel_tls=no")
    (sentinel,) = plain.scripts.connection_pool.sentinel_manager.sentinels
    assert "ssl_ca_certs" not in sentinel.connection_pool.connection_kwargs
    plain.close()

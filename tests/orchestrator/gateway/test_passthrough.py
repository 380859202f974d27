"""Calls of foreign servers: passed on as they are, both ways, and nothing of ours with them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.support.doors import (
    FOREIGN,
    KEY,
    TIMEOUT_S,
    TOKEN,
    House,
    Replica,
    answer_of,
    get,
    headers_of,
    resets,
    run,
    until,
)


def route_of(request: bytes) -> bytes:
    return request.split(b"\r\n")[0]


async def asked(house: House, replica: Replica, data: bytes) -> bytes:
    """Return the request that reached the replica."""
    await house.ask(data)
    return replica.requests[-1]


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/services/app/llm", b"/"),
        ("/services/app/llm/", b"/"),
        ("/services/app/llm?a=b", b"/?a=b"),
        ("/services/app/llm/v1/chat/completions?a=/b", b"/v1/chat/completions?a=/b"),
        # Nothing is reserved, and nothing is read of what is the server's own.
        ("/services/app/llm/docs", b"/docs"),
        ("/services/app/llm/call", b"/call"),
        ("/services/app/llm/metrics", b"/metrics"),
        ("/services/app/llm//a%2Fb/%00/", b"//a%2Fb/%00/"),
        ("/services/%61pp/llm/x", b"/x"),
    ],
)
def test_what_follows_the_path_of_the_service_is_the_servers(path: str, route: bytes) -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/llm", replica, **FOREIGN)
            assert route_of(await asked(house, replica, get(path))) == b"GET %b HTTP/1.1" % route

    run(scenario)


def test_the_longest_path_that_fits_is_the_service() -> None:
    async def scenario() -> None:
        async with House() as house:
            outer, inner, module = [await house.replica(name) for name in ("o", "i", "m")]
            house.serve("out", outer, **FOREIGN)
            [service] = house.table
            views = [
                service.view,
                replace(service.view, path="out/in", endpoints=(inner.view,)),
                replace(
                    service.view,
                    path="out/mod",
                    endpoints=(module.view,),
                    is_foreign=False,
                    call_key=KEY,
                ),
            ]
            house.table.put("out", views)
            assert route_of(await asked(house, outer, get("/services/out/in2/x"))).startswith(
                b"GET /in2/x"
            )
            assert route_of(await asked(house, inner, get("/services/out/in/x"))).startswith(
                b"GET /x"
            )
            # Below a module its own routes are all that there is.
            assert (await house.ask(get("/services/out/mod/x"))).status == 404
            assert (await house.post("/services/out/mod/call")).status == 200
            assert not outer.requests[1:]

    run(scenario)


@pytest.mark.parametrize("path", ["../x", "a/../b", "a/%2e%2E/b", "./a", "."])
def test_parts_of_dots_are_refused(path: str) -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/llm", replica, **FOREIGN)
            assert (await house.ask(get(f"/services/app/llm/{path}"))).status == 400
            assert replica.raw == b""

    run(scenario)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"X"])
def test_any_method_is_passed_on(method: bytes) -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/llm", replica, **FOREIGN)
            caller = await house.connect()
            caller.send(get("/services/app/llm/x", method=method))
            async with asyncio.timeout(TIMEOUT_S):
                head = await caller.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert route_of(replica.requests[0]) == method + b" /x HTTP/1.1"
            assert (await house.ask(get("/services/app/llm/x", method=b"TRACE"))).status == 405

    run(scenario)


def test_nothing_of_ours_reaches_the_server_and_what_is_its_own_does() -> None:
    async def scenario() -> None:
        async with House(host="0.0.0.0") as house:
            replica = await house.replica()
            house.serve("app/llm", replica, **FOREIGN)
            own = house.door.access.sessions
            cookie = f"a=1; {own.name}={own.value(9e9)}; b=2".encode()
            lines = (
                b"Authorization: Bearer " + TOKEN.encode(),
                b"Cookie: " + cookie,
                b"Origin: http://gate:80",
                b"X-Api-Key: the server's own",
                b"X-Rootward-Token: forged",
                b"X-Forwarded-For: forged",
                b"X-Forwarded-Host: forged",
            )
            request = await asked(
                house, replica, get("/services/app/llm/x", *lines, host=b"gate:80")
            )
            found = headers_of(request)
            assert TOKEN.encode() not in request
            assert b"rootward" not in request
            assert b"forged" not in request
            assert found[b"cookie"] == b"a=1; b=2"
            assert found[b"x-api-key"] == b"the server's own"
            assert found[b"host"] == b"127.0.0.1:%d" % replica.port
            assert found[b"origin"] == b"http://127.0.0.1:%d" % replica.port
            assert found[b"x-forwarded-for"] == b"127.0.0.1"
            assert found[b"x-forwarded-host"] == b"gate:80"
            assert found[b"x-forwarded-prefix"] == b"/services/app/llm"
            assert replica.proofs == 0

    run(scenario)


def test_authorization_for_the_server_reaches_it_where_the_gateway_asks_for_none() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/llm", replica, **FOREIGN)
            given = b"Authorization: Bearer sk-of-the-server"
            request = await asked(house, replica, get("/services/app/llm/x", given))
            assert headers_of(request)[b"authorization"] == b"Bearer sk-of-the-server"
            ours = b"Authorization: bearer " + TOKEN.encode()
            request = await asked(house, replica, get("/services/app/llm/x", ours))
            assert b"authorization" not in headers_of(request)

    run(scenario)


@pytest.mark.parametrize("path", ["/services/app/llm/docs", "/services/app/llm/a/docs"])
def test_no_path_of_a_server_is_open_as_a_page_of_ours(path: str) -> None:
    async def scenario() -> None:
        async with House(host="0.0.0.0") as house:
            replica = await house.replica()
            house.serve("app/llm", replica, **FOREIGN)
            assert (await house.ask(get(path))).status == 401
            assert replica.raw == b""

    run(scenario)


@pytest.mark.parametrize("status", [421, 503])
def test_what_the_server_answers_is_the_answer(status: int) -> None:
    async def says(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer_of(b"busy", status))

    async def scenario() -> None:
        async with House() as house:
            first, second = await house.replica("a", says), await house.replica("b", says)
            house.serve("app/llm", first, second, **FOREIGN)
            reply = await house.post("/services/app/llm/x")
            assert (reply.status, reply.body) == (status, b"busy")
            assert len(first.requests + second.requests) == 1

    run(scenario)


@pytest.mark.parametrize(("method", "attempts"), [(b"POST", 1), (b"PUT", 2), (b"DELETE", 2)])
def test_only_what_may_be_repeated_is_sent_to_another(method: bytes, attempts: int) -> None:
    async def scenario() -> None:
        async with House() as house:
            first, second = await house.replica("a", resets), await house.replica("b", resets)
            house.serve("app/llm", first, second, **{**FOREIGN, "is_coming": False})
            reply = await house.ask(get("/services/app/llm/x", method=method))
            assert reply.status in {502, 503}
            assert len(first.requests + second.requests) >= attempts
            assert attempts > 1 or len(first.requests + second.requests) == 1

    run(scenario)


def test_a_body_goes_on_as_it_comes() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            replica.reads_bodies = False
            house.serve("app/llm", replica, **FOREIGN)
            caller = await house.connect()
            caller.send(get("/services/app/llm/x", b"Transfer-Encoding: chunked", method=b"POST"))
            caller.send(b"5\r\nfirst\r\n")
            await until(lambda: replica.requests)
            assert b"transfer-encoding: chunked" in replica.requests[0]
            caller.send(b"0\r\n\r\n")
            assert (await caller.reply()).status == 200

    run(scenario)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        (b"/there", b"/services/app/llm/there"),
        (b"http://{netloc}/there?a", b"/services/app/llm/there?a"),
        (b"/services/app/llm/there", b"/services/app/llm/there"),
        (b"https://elsewhere/there", b"https://elsewhere/there"),
        (b"//elsewhere/there", b"//elsewhere/there"),
        (b"there", b"there"),
    ],
)
def test_a_redirect_stays_below_the_service(location: bytes, told: bytes) -> None:
    async def moves(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
        to = location.replace(b"{netloc}", b"127.0.0.1:%d" % replica.port)
        writer.write(answer_of(b"", 302, b"Location: " + to))

    async def scenario() -> None:
        async with House() as house:
            house.serve("app/llm", await house.replica("r", moves), **FOREIGN)
            reply = await house.ask(get("/services/app/llm/here"))
            assert reply.headers["location"].encode() == told

    run(scenario)


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_have_none(status: int) -> None:
    async def empty(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %d X\r\nEtag: e\r\n\r\n" % status)

    async def scenario() -> None:
        async with House() as house:
            house.serve("app/llm", await house.replica("r", empty), **FOREIGN)
            caller = await house.connect()
            # The connection is good for the next one: nobody waits for a body.
            for _ in range(2):
                caller.send(get("/services/app/llm/x"))
                async with asyncio.timeout(TIMEOUT_S):
                    head = await caller.reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 %d" % status)
                assert b"content-length" not in head.lower()

    run(scenario)


def test_an_answer_of_http_1_0_lasts_until_its_connection_ends() -> None:
    """As `python -m http.server` answers."""

    async def old(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello")
        writer.close()

    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica("r", old)
            house.serve("app/llm", replica, **FOREIGN)
            for _ in range(2):
                reply = await house.ask(get("/services/app/llm/x"))
                assert b"5\r\nhello\r\n" in reply.body
            assert len(replica.writers) == 2

    run(scenario)


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"A: b\r\n c\r\n\r\n",
        b"Host: b\r\n\r\n",
        b"Content-Length: +1\r\n\r\na",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_nothing_that_could_be_read_in_two_ways_is_passed_on(lines: bytes) -> None:
    async def scenario() -> None:
        data = b"POST /services/app/llm/x HTTP/1.1\r\nHost: localhost\r\n" + lines
        async with House() as house:
            replica = await house.replica()
            house.serve("app/llm", replica, **FOREIGN)
            assert (await house.ask(data)).status in {400, 501}
            assert replica.raw == b""

    run(scenario)


def test_headers_of_one_connection_stay_on_it() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/llm", replica, **FOREIGN)
            lines = (
                b"Connection: keep-alive, X-Hop",
                b"X-Hop: 1",
                b"TE: trailers",
                b"Upgrade: h2c",
            )
            found = headers_of(await asked(house, replica, get("/services/app/llm/x", *lines)))
            assert found[b"connection"] == b"close"
            assert not found.keys() & {b"x-hop", b"te", b"upgrade", b"http2-settings"}

    run(scenario)

"""BentoML with the same echo, for `bentoml serve serve_bentoml:Echo`."""

from __future__ import annotations

import bentoml


# Nobody else writes a line a call.
@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Echo:
    @bentoml.api(route="/services/echo/call")
    async def echo(self, args: list[int]) -> dict[str, int]:
        return {"result": args[0]}

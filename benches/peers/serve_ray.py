"""Ray Serve with the same echo, until standard input ends: `python serve_ray.py PORT FOLDER`."""

from __future__ import annotations

import sys

import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=200)
class Echo:
    async def __call__(self, request: Request) -> dict[str, object]:
        return {"result": (await request.json())["args"][0]}


def main() -> None:
    port, folder = int(sys.argv[1]), sys.argv[2]
    ray.init(num_cpus=2, include_dashboard=False, _temp_dir=folder, logging_level="error")
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Echo.bind(), route_prefix="/services/echo")
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()

"""The stand-in's server: `POST /generate` answers the last word of a prompt, thrice, or in pieces.

Before the last piece it waits until somebody opens the pipe that ENGINE_GATE names.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastapi
import uvicorn
from fastapi.responses import StreamingResponse

app = fastapi.FastAPI()


@app.post("/generate")
def generate(body: dict[str, Any]) -> Any:
    """Answer as vLLM does: each piece has the whole text so far."""
    words = [body["prompt"].split()[-1]] * 3
    texts = [" ".join(words[: number + 1]) for number in range(3)]
    if not body.get("stream"):
        return {"text": [texts[-1]]}

    def lines() -> Iterator[str]:
        for text in texts:
            if text == texts[-1] and (gate := os.environ.get("ENGINE_GATE")):
                with Path(gate).open():
                    pass
            yield json.dumps({"text": [text]}) + "\n"

    return StreamingResponse(lines())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    known, _ = parser.parse_known_args()
    uvicorn.run(app, host=known.host, port=known.port)

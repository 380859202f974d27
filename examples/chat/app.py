"""A Python agent in front of a foreign OpenAI-style server; both are served.

rootward up app.py:tree
rootward gateway call chat '"good morning"' --stream
python ask.py http://127.0.0.1:8421/services/chat/agent/llm/v1 'good morning'
"""

import json

import tiny_llm  # imported here, so that its file goes to the workers

from rootward import CommandModule, ModuleBase, ServerModule


class Agent(ModuleBase):
    """Keeps to a persona, and answers word by word as the model does."""

    def __init__(self):
        super().__init__(name="agent")
        self.llm = CommandModule(
            ["{python}", "-m", tiny_llm.__name__, "{port}"], name="llm", health="/v1/models"
        )

    def forward(self, text):
        messages = [
            {"role": "system", "content": "You are polite."},
            {"role": "user", "content": f"please, {text}"},
        ]
        asked = {"model": tiny_llm.MODEL, "messages": messages, "stream": True}
        for line in self.llm.stream("POST", "/v1/chat/completions", json=asked):
            data = line.removeprefix("data: ")
            if data and data != "[DONE]":
                yield json.loads(data)["choices"][0]["delta"].get("content", "")


tree = ServerModule(Agent(), name="chat", stream=True)

"""Ask the server behind a gateway with OpenAI's own client: `python ask.py BASE_URL QUESTION`."""

import sys

import openai

url, question = sys.argv[1:]
client = openai.OpenAI(base_url=url, api_key="none")
chunks = client.chat.completions.create(
    model="tiny", messages=[{"role": "user", "content": question}], stream=True
)
for chunk in chunks:
    print(chunk.choices[0].delta.content or "", end="|", flush=True)
print()

"""A web page in front of a served function."""

import lazyllm

server = lazyllm.ServerModule(lambda text, *_: f"reply to {text}")
tree = lazyllm.WebModule(server, port=range(23400, 23480))

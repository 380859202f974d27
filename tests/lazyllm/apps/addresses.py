"""Servers that are called by their addresses: handles of a URL, keys, and routes of their own."""

import json
from typing import Any

import lazyllm
import requests
from lazyllm import FastapiApp


class Shop:
    @FastapiApp.get("/price")
    def price(self) -> int:
        return 3

    @FastapiApp.post("/order")
    def order(self) -> str:
        return "ordered"

    @FastapiApp.post("/gone")
    def gone(self) -> str:
        return "not yet"

    def __call__(self, value: int) -> int:
        return value * 3


class Store(Shop):
    def gone(self) -> str:
        return "gone"


plain = lazyllm.ServerModule(lambda x: f"{x} after")
keyed = lazyllm.ServerModule(lambda x: f"{x} within", security_key=True)
shop = lazyllm.ServerModule(Store())
tree = lazyllm.ActionModule(lazyllm.parallel(plain, keyed, shop).aslist)


def answers() -> Any:
    by_url = lazyllm.UrlModule(url=plain._url)
    by_url.evalset([1, "hi"])
    by_url.update()
    text = lazyllm.ServerModule(plain._url)
    allowed = lazyllm.UrlModule(url=keyed._url, security_key=keyed._security_key)
    keyless = lazyllm.UrlModule(url=keyed._url)
    try:
        refused = [keyless._url == keyed._url, keyless(1)]
    except Exception as error:
        refused = [type(error).__name__, "Authentication failed" in str(error)]
    return [
        tree(5),
        by_url.eval_result,
        by_url._url == plain._url,
        [text("a"), text._call("__call__", "b"), allowed(2), refused],
        _routes(shop._url),
    ]


def _routes(url: str) -> Any:
    def at(name: str) -> str:
        return url.replace("generate", name)

    orders = requests.post(at("order"), data=json.dumps("x"), timeout=20)
    return [
        requests.get(at("price"), timeout=20).json(),
        orders.json(),
        requests.post(at("gone"), data=json.dumps("x"), timeout=20).status_code,
        requests.get(at("docs"), timeout=20).status_code,
        "/price" in requests.get(at("openapi.json"), timeout=20).json()["paths"],
    ]

"""What a call carries over HTTP: arguments by annotations, results as JSON, both described."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.gateways import serving

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

APP = """
from __future__ import annotations
import datetime, enum, math
from dataclasses import dataclass
from pydantic import BaseModel
from rootward import ModuleBase, ServerModule

class Kind(enum.Enum):
    BOOK = 'book'

@dataclass
class Line:
    kind: Kind
    count: int = 1

class Order(BaseModel):
    at: datetime.date
    lines: list[Line]

class Shop(ModuleBase):
    def forward(self, order: Order, note: bytes = b'') -> dict:
        assert isinstance(order, Order) and isinstance(order.lines[0], Line)
        return {'order': order, 'due': order.at + datetime.timedelta(days=1), 'note': note,
                'price': math.nan, 'kinds': {line.kind for line in order.lines}}

class Root(ModuleBase):
    def __init__(self):
        super().__init__(name='app')
        self.shop = ServerModule(Shop())

tree = Root()
"""


def test_arguments_and_results_have_the_forms_of_their_types(network: Network) -> None:
    order = {"at": "2026-11-30", "lines": [{"kind": "book"}]}
    with serving(network, APP) as served:
        assert served.result("app/shop", order, "/wA=") == {
            "order": {"at": "2026-11-30", "lines": [{"kind": "book", "count": 1}]},
            "due": "2026-12-01",
            "note": "/wA=",
            "price": None,
            "kinds": ["book"],
        }
        wrong = {"at": "2026-11-30", "lines": [{"kind": "book"}, {"kind": "car"}]}
        status, body = served.ask("/services/app/shop", wrong)
        error = json.loads(body)["error"]
        assert (status, error["type"]) == (422, "ValidationError")
        assert error["message"].startswith("order.lines.1.kind: Input should be 'book'")
        document = json.loads(served.ask("/services/app/shop/openapi.json")[1])
    content = document["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]
    assert content["schema"]["title"] == "Order"
    assert content["schema"]["properties"]["at"]["format"] == "date"
    assert {"Line", "Kind", "rootward.Error"} <= document["components"]["schemas"].keys()

"""axe-core finds nothing to object to on any view: light and dark, desktop and phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.browsers import desk, gallery, needs_chromium, violations

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

pytestmark = [needs_chromium, pytest.mark.slow, pytest.mark.timeout(180)]

VIEWS = {
    "": ".attention",
    "#/services": ".services, .list",
    "#/workers": ".worker",
    "#/d/atlas@1": ".tiles, .node, .outline",
    "#/d/atlas@1/timeline": ".bars, .phone-timeline",
    "#/d/atlas@1/table": "tbody tr",
    "#/d/atlas@1/events": "tbody tr",
    "#/d/atlas@1/tree?m=atlas/retriever/sparse/bm25/corpus": ".traceback",
    "#/s/hello": ".try .field",
    "#/d/nothing@1": "h1",
    "#/d/thousand@1": ".tile, .outline",
}


def test_axe_finds_nothing(network: Network) -> None:
    found, wide = [], []
    with gallery(network, "atlas", "hello", "thousand", pace=0.01) as served, desk() as browser:
        for size in ({"width": 1440, "height": 900}, {"width": 390, "height": 844}):
            for theme in ("light", "dark"):
                context = browser.new_context(viewport=size, color_scheme=theme)
                page = browser.open(served.url, context)
                for view, sign in VIEWS.items():
                    page.goto(f"{served.url}/{view}")
                    page.locator(sign).first.wait_for()
                    told = f"{view or 'home'} {theme} {size['width']}"
                    found += [f"{told}: {each}" for each in violations(page)]
                    if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                        wide.append(told)
                context.close()
    assert found == []
    assert wide == []

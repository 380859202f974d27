"""The gateway: one HTTP address in front of everything that is deployed.

From the outside in: `serve` runs a gateway; `door` listens, `client` reads requests, `access` says
who may ask; `call` takes a call through `table` and `replica` to `upstream`, and `framing` reads
both ends (`heads` each head once); `asgi` runs `app`, which has the API and the pages. `follower`
keeps the table as the registry is, and `traefik` writes the registry out for another proxy.
"""

from __future__ import annotations

from .limits import Limits
from .proxy.views import EndpointView, ServiceView

__all__ = ["EndpointView", "Limits", "ServiceView"]

"""Start a page, kill the process that serves it, and see the page come back."""

import os
import signal

import page
import psutil
import requests

from tests.support.waiting import wait_until


def status() -> int:
    """Return what the page is answered with; 0 while it isn't there."""
    try:
        return requests.get(page.tree.url, timeout=60).status_code
    except requests.RequestException:
        return 0


def main() -> None:
    page.tree.start()
    assert status() == 200
    port = int(page.tree.url.rpartition(":")[2])
    owner = next(
        each.pid
        for each in psutil.net_connections()
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port
    )
    assert owner not in (None, os.getpid())
    os.kill(owner, signal.SIGKILL)
    wait_until(lambda: status() == 200, description="the page is back", timeout=120)
    page.tree.stop()
    assert not page.tree.url


if __name__ == "__main__":
    main()

"""Update one of the apps and print what it answers, and how long both took, as JSON."""

import importlib
import json
import sys
import time


def main() -> None:
    app = importlib.import_module(sys.argv[1])
    began = time.perf_counter()
    getattr(app.tree, getattr(app, "METHOD", "update"))()
    updated = time.perf_counter()
    found = app.answers()
    answered = time.perf_counter()
    app.tree.stop()
    times = {"update_s": updated - began, "answers_s": answered - updated}
    print("ANSWERS " + json.dumps({"answers": found, **times}))


if __name__ == "__main__":
    main()

"""What `plan TARGET --bundle` shows: the files that go along with TARGET, and their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .output import emit_json, table, tell, write

if TYPE_CHECKING:
    from rootward.modules.code.bundle import Bundle

    from ..planning.definition import Definition


def show_bundle(definition: Definition, limit: int, *, as_json: bool) -> None:
    """Print the bundle of a definition; raises TargetError, and BundleError above `limit` bytes."""
    code = definition.code()
    collection = code.collect()
    bundle = code.bundle(collection, limit)
    if as_json:
        emit_json(document(bundle, code.project.root, collection.left_out))
        return
    if bundle is None:
        tell(f"no file of {code.project.root} goes along: its code is installed")
        return
    table(("FILE", "BYTES"), [(file.path, f"{file.size:,}") for file in bundle.files])
    write("")
    count = len(bundle.files)
    write(f"{count} file{'s' if count > 1 else ''} of {bundle.root}, {bundle.size:,} bytes")
    write(f"digest {bundle.digest}")
    for name, value in bundle.needs.items():
        write(f"needs {name} {value}")
    for path in collection.left_out:
        write(f"left out for its size (--include {path!r} takes it along): {path}")


def document(bundle: Bundle | None, root: str, left_out: list[str]) -> dict[str, Any]:
    """Return it as `--json` prints it."""
    return {
        "root": root,
        "digest": None if bundle is None else bundle.digest,
        "size": 0 if bundle is None else bundle.size,
        "needs": {} if bundle is None else dict(bundle.needs),
        "files": [
            {"path": file.path, "size": file.size, "digest": file.digest}
            for file in (() if bundle is None else bundle.files)
        ],
        "left_out": left_out,
    }

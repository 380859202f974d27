"""Maps to msgpack without copying what is large in them.

The result is what `msgpack.packb` gives, with one large bytes value at the end, in parts that are
sent or joined one after the other. A tree's weights are hundreds of MiB: each copy counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGE_BYTES: Final = 1 << 16
"""From here on a value is passed on as it is."""
# How msgpack begins bytes whose length takes up to 32 bits.
_BYTES_32: Final = b"\xc6"


def pack_map(fields: Mapping[str, Any]) -> list[bytes]:
    """Return the parts of the packed map: one, or two when a value is bytes above LARGE_BYTES."""
    import msgpack

    large = None
    for name, value in fields.items():
        if type(value) is bytes and len(value) >= LARGE_BYTES:
            large = name
    if large is None:
        return [msgpack.packb(fields)]
    packer = msgpack.Packer(autoreset=False)
    packer.pack_map_header(len(fields))
    for name, value in fields.items():
        if name != large:
            packer.pack(name)
            packer.pack(value)
    packer.pack(large)
    body = fields[large]
    return [packer.bytes() + _BYTES_32 + len(body).to_bytes(4, "big"), body]

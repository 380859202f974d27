"""A bundle is the same bytes for the same files, and nothing of an archive is believed."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

import msgpack
import pytest

from rootward.modules.code import bundle as bundles
from rootward.modules.code.bundle import Bundle, open_archive, read_bundle
from rootward.modules.code.project import Project
from rootward.modules.errors import BundleError

LIMIT = 1 << 20


def written(folder: Path, files: dict[str, str]) -> Project:
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return Project(str(folder))


FILES = {"app.py": "X = 1\n", "pkg/__init__.py": "", "pkg/data.txt": "words"}


def made(folder: Path) -> Bundle:
    return read_bundle(written(folder, FILES), FILES, LIMIT)


def test_the_same_files_are_the_same_bytes_in_every_folder(tmp_path: Path) -> None:
    first, second = made(tmp_path / "one"), made(tmp_path / "two")
    os.utime(tmp_path / "two" / "app.py", (1, 1))
    again = read_bundle(Project(str(tmp_path / "two")), reversed([*FILES]), LIMIT)
    assert first == second == again
    assert first.digest == second.digest == again.digest
    assert first.archive() == again.archive()
    assert [file.path for file in first.files] == sorted(FILES)
    assert first.files[0].digest == hashlib.sha256(b"X = 1\n").hexdigest()


@pytest.mark.parametrize("change", ["content", "name", "mode"])
def test_any_change_of_a_file_is_another_digest(tmp_path: Path, change: str) -> None:
    before = made(tmp_path)
    paths = list(FILES)
    if change == "content":
        (tmp_path / "app.py").write_text("X = 2\n")
    elif change == "name":
        (tmp_path / "app.py").rename(tmp_path / "app2.py")
        paths[0] = "app2.py"
    else:
        (tmp_path / "app.py").chmod(0o755)
    assert read_bundle(Project(str(tmp_path)), paths, LIMIT).digest != before.digest


def test_an_archive_opens_to_the_same_bundle(tmp_path: Path) -> None:
    bundle = made(tmp_path)
    opened = open_archive(bundle.archive(), bundle.digest)
    assert opened == bundle
    assert opened.contents == bundle.contents


def test_too_much_code_names_the_largest_files_and_what_to_do(tmp_path: Path) -> None:
    project = written(tmp_path, {**FILES, "pkg/big.bin": "x" * LIMIT})
    with pytest.raises(BundleError, match=r"pkg/big\.bin \(1\.0 MiB\)") as caught:
        read_bundle(project, [*FILES, "pkg/big.bin"], LIMIT)
    for word in ("--exclude", "--no-bundle", "ROOTWARD_BUNDLE_LIMIT"):
        assert word in str(caught.value)


def test_compiled_files_need_the_platform_and_others_nothing(tmp_path: Path) -> None:
    project = written(tmp_path, {"a.py": "", "fast.so": "", "old.pyc": ""})
    assert read_bundle(project, ["a.py"], LIMIT).needs == {}
    assert set(read_bundle(project, ["old.pyc"], LIMIT).needs) == {"python"}
    needs = read_bundle(project, ["fast.so"], LIMIT).needs
    assert bundles.unmet_needs(needs) is None
    assert "platform" in str(bundles.unmet_needs({**needs, "platform": "win-arm64"}))


def archive_of(rows: list[Any], body: bytes, *, needs: Any = ()) -> tuple[bytes, str]:
    manifest = msgpack.packb([bundles.FORMAT, rows, list(needs)])
    return msgpack.packb([manifest, body]), hashlib.sha256(manifest).hexdigest()


def row(path: Any, content: bytes = b"x", size: int | None = None) -> list[Any]:
    digest = hashlib.sha256(content).digest()
    return [path, len(content) if size is None else size, digest, False]


DEEP = "/".join("d" * 65)


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "../up.py", "a/../../b", "a//b", "./a", "a/.", "C:/x", "a\\b", "a\0b",
        "a\nb", DEEP, "x" * 1025, 3, None, b"a",
    ],
)  # fmt: skip
def test_a_path_that_could_leave_the_folder_is_refused(path: object) -> None:
    archive, digest = archive_of([row(path)], zlib.compress(b"x"))
    with pytest.raises(BundleError):
        open_archive(archive, digest)


@pytest.mark.parametrize(
    ("rows", "body"),
    [
        pytest.param([row("a"), row("a")], b"xx", id="twice"),
        pytest.param([row("b"), row("a")], b"xx", id="in another order"),
        pytest.param([row("a"), row("a/b")], b"xx", id="a file and a folder"),
        pytest.param([row("a", size=-1)], b"x", id="a negative size"),
        pytest.param([row("a", size=1 << 40)], b"x", id="a size above all limits"),
        pytest.param([row("a")], b"", id="less than announced"),
        pytest.param([row("a")], b"x" * 1000, id="more than announced"),
        pytest.param([row("a")], b"y", id="other contents"),
        pytest.param([["a", 1]], b"x", id="a short row"),
        pytest.param([["a", 1, b"short", False]], b"x", id="a short digest"),
    ],
)
def test_a_list_that_contradicts_itself_or_its_contents_is_refused(
    rows: list[Any], body: bytes
) -> None:
    archive, digest = archive_of(rows, zlib.compress(body))
    with pytest.raises(BundleError, match="can't be used"):
        open_archive(archive, digest)


def test_no_more_is_decompressed_than_was_announced() -> None:
    """A hundred megabytes of zeros in a hundred kilobytes stay compressed."""
    bomb = zlib.compress(bytes(100 << 20))
    archive, digest = archive_of([row("a", b"\0", size=1)], bomb)
    with pytest.raises(BundleError, match="another size"):
        open_archive(archive, digest)


@pytest.mark.parametrize("archive", [b"", b"\xc1", b"rubbish", msgpack.packb([b"", b""]), b"\x92"])
def test_rubbish_is_refused(archive: bytes) -> None:
    with pytest.raises(BundleError, match="can't be used"):
        open_archive(archive, "0" * 64)


def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MOST_FILES", 3)
    archive, digest = archive_of([row(name) for name in "abcd"], zlib.compress(b"xxxx"))
    with pytest.raises(BundleError, match="can't be used"):
        open_archive(archive, digest)


def test_a_manifest_of_another_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="digest"):
        open_archive(made(tmp_path).archive(), "0" * 64)

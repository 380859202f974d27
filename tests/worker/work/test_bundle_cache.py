"""Unpacked bundles: whole or absent, mended when damaged, evicted only when nobody uses them."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rootward.modules.code.bundle import Bundle, BundleFile
from rootward.modules.errors import BundleError
from rootward.worker.work.bundle_cache import BundleCache

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def bundle_of(**files: bytes) -> Bundle:
    contents = {name.replace("_py", ".py"): content for name, content in files.items()}
    listed = tuple(
        BundleFile(path=path, size=len(c), digest=hashlib.sha256(c).hexdigest())
        for path, c in sorted(contents.items())
    )
    return Bundle(files=listed, contents=contents)


def test_what_was_put_is_found_and_whole(tmp_path: Path) -> None:
    cache, bundle = BundleCache(str(tmp_path)), bundle_of(app_py=b"X = 1\n", other_py=b"")
    assert cache.open(bundle.digest) is None
    put = cache.put(bundle)
    found = BundleCache(str(tmp_path)).open(bundle.digest)
    assert found is not None
    assert found.folder == put.folder
    assert Path(found.folder, "app.py").read_bytes() == b"X = 1\n"
    assert not os.access(Path(found.folder, "app.py"), os.W_OK) or os.geteuid() == 0
    put.close()
    found.close()
    put.close()


@pytest.mark.parametrize("damage", ["changed", "missing", "a link", "manifest", "no manifest"])
def test_a_damaged_file_is_noticed_and_mended_under_its_users(tmp_path: Path, damage: str) -> None:
    cache, bundle = BundleCache(str(tmp_path)), bundle_of(app_py=b"X = 1\n", other_py=b"")
    lease = cache.put(bundle)
    file = Path(lease.folder, "app.py")
    manifest = Path(lease.folder).parent / "manifest"
    if damage == "changed":
        file.chmod(0o644)
        file.write_bytes(b"X = 2\n")
    elif damage == "missing":
        file.unlink()
    elif damage == "a link":
        file.rename(tmp_path / "elsewhere.py")
        file.symlink_to(tmp_path / "elsewhere.py")
    elif damage == "manifest":
        manifest.write_bytes(b"\x90")
    else:
        manifest.unlink()
    assert cache.open(bundle.digest) is None
    again = cache.put(bundle)
    assert again.folder == lease.folder
    assert file.read_bytes() == b"X = 1\n"
    assert not file.is_symlink()
    opened = cache.open(bundle.digest)
    assert opened is not None
    for each in (opened, again, lease):
        each.close()


def test_files_that_python_adds_are_no_damage(tmp_path: Path) -> None:
    cache, bundle = BundleCache(str(tmp_path)), bundle_of(app_py=b"X = 1\n")
    cache.put(bundle).close()
    lease = cache.open(bundle.digest)
    assert lease is not None
    compiled = Path(lease.folder, "__pycache__")
    compiled.mkdir()
    (compiled / "app.cpython-311.pyc").write_bytes(b"compiled")
    assert cache.open(bundle.digest) is not None
    lease.close()


def test_the_least_recently_used_goes_first_and_what_is_used_stays(tmp_path: Path) -> None:
    cache = BundleCache(str(tmp_path), limit=250)
    bundles = [bundle_of(app_py=bytes([number]) * 100) for number in range(4)]
    used = cache.put(bundles[0])
    cache.put(bundles[1]).close()
    for age, bundle in enumerate(bundles[:2]):
        then = time.time() - 100 + age
        os.utime(tmp_path / "bundles" / f"{bundle.digest}.lock", (then, then))
    cache.put(bundles[2]).close()
    here = [cache.open(bundle.digest) is not None for bundle in bundles]
    assert here == [True, False, True, False]
    used.close()
    assert not (tmp_path / "bundles" / f"{bundles[1].digest}.lock").exists()


def hold(folder: str, digest: str, pipe: Connection) -> None:
    lease = BundleCache(folder).open(digest)
    pipe.send(lease is not None)
    pipe.recv()


def test_another_processs_lease_holds_until_it_dies(tmp_path: Path) -> None:
    cache, bundle = BundleCache(str(tmp_path), limit=1), bundle_of(app_py=b"first")
    cache.put(bundle).close()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(str(tmp_path), bundle.digest, theirs))
    process.start()
    try:
        assert ours.recv() is True
        cache.put(bundle_of(app_py=b"second")).close()
        assert (tmp_path / "bundles" / bundle.digest).exists()
    finally:
        process.kill()
        process.join()
    cache.put(bundle_of(app_py=b"third")).close()
    assert not (tmp_path / "bundles" / bundle.digest).exists()


def test_a_thousand_deploys_leave_no_more_than_the_limit(tmp_path: Path) -> None:
    cache = BundleCache(str(tmp_path), limit=2000)
    for number in range(1000):
        cache.put(bundle_of(app_py=b"%4d" % number * 25)).close()
    assert len([*(tmp_path / "bundles").iterdir()]) <= 2 * 21


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles").chmod(0o777)
    with pytest.raises(BundleError, match="ROOTWARD_CACHE"):
        BundleCache(str(tmp_path)).put(bundle_of(app_py=b""))


def test_a_folder_that_cant_be_made_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="ROOTWARD_CACHE"):
        BundleCache(str(tmp_path / "file")).put(bundle_of(app_py=b""))


def test_the_users_cache_is_taken_and_a_temporary_folder_where_it_cant_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROOTWARD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    lease = BundleCache().put(bundle_of(app_py=b""))
    assert lease.folder.startswith(str(tmp_path / "home" / "rootward" / "bundles"))
    lease.close()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache = BundleCache()
    lease = cache.put(bundle_of(app_py=b""))
    assert lease.folder.startswith(str(tmp_path / "tmp" / f"rootward-{os.geteuid()}"))
    lease.close()
    assert cache.open(bundle_of(app_py=b"").digest) is not None


def test_a_folder_that_another_agent_has_just_finished_with_is_no_failure(tmp_path: Path) -> None:
    """It is listed while it is written, and gone when it is looked at: so is a link to nowhere."""
    (tmp_path / "bundles").mkdir(parents=True)
    (tmp_path / "bundles" / ".written").symlink_to(tmp_path / "gone")
    bundle = bundle_of(app=b"x")
    lease = BundleCache(str(tmp_path)).put(bundle)
    assert Path(lease.folder, "app").read_bytes() == b"x"
    lease.close()


def test_what_a_killed_agent_has_left_half_written_goes(tmp_path: Path) -> None:
    cache = BundleCache(str(tmp_path))
    cache.put(bundle_of(app_py=b"")).close()
    left = tmp_path / "bundles" / ".0123.half"
    left.mkdir()
    os.utime(left, (1, 1))
    cache.put(bundle_of(app_py=b"x")).close()
    assert not left.exists()

"""The lossy disk keeps what was synced, loses what was not, and shows a process its own writes meanwhile."""

import os
import signal
import subprocess
import sys

import pytest

import lossy

PAGE = 4096


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return lossy.build(tmp_path_factory.mktemp("lossy"))


@pytest.fixture
def die(library, tmp_path):
    """Runs Python code in a folder on the lossy disk, ends it by kill -9, and cuts the power. Returns the folder."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def run(code):
        script = f"import os, signal\nos.chdir({str(folder)!r})\n{PRELUDE}\n{code}\nos.kill(os.getpid(), signal.SIGKILL)"
        done = subprocess.run([sys.executable, "-c", script], env=os.environ | lossy.environment(library, folder), timeout=60)
        assert done.returncode == -signal.SIGKILL
        lossy.power_cut(folder)
        return folder

    return run


PRELUDE = """
def put(name, data, at=0, flags=os.O_RDWR | os.O_CREAT, sync=False):
    fd = os.open(name, flags, 0o600)
    assert os.pwrite(fd, data, at) == len(data)
    if sync: os.fdatasync(fd)
    return fd
def get(name):
    fd = os.open(name, os.O_RDONLY)
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    os.close(fd)
    return data
def sync_folder():
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)
"""


def names(folder):
    return sorted(os.listdir(folder))


def test_file_is_lost_without_its_folder(die):
    assert names(die("put('a', b'data', sync=True)")) == []


def test_name_is_kept_without_the_data(die):
    folder = die("put('a', b'data'); sync_folder()")
    assert (folder / "a").read_bytes() == b""


def test_synced_is_kept(die):
    folder = die("put('a', b'data', sync=True); sync_folder()")
    assert (folder / "a").read_bytes() == b"data"


def test_later_writes_are_lost(die):
    folder = die("fd = put('a', b'data', sync=True); sync_folder(); os.pwrite(fd, b'DATA', 0); assert get('a') == b'DATA'")
    assert (folder / "a").read_bytes() == b"data"


def test_writes_are_seen_through_other_descriptors(die):
    die(
        f"fd = put('a', b'x' * {3 * PAGE}, sync=True); sync_folder(); os.pwrite(fd, b'yy', {PAGE - 1})\n"
        f"os.close(fd); data = get('a')\n"
        f"assert data == b'x' * {PAGE - 1} + b'yy' + b'x' * {2 * PAGE - 1}, data[:9]\n"
        f"assert os.stat('a').st_size == {3 * PAGE}"
    )


def test_sync_through_another_descriptor(die):
    folder = die("put('a', b'data'); fd = os.open('a', os.O_RDONLY); os.fsync(fd); sync_folder()")
    assert (folder / "a").read_bytes() == b"data"


def test_write_moves_on(die):
    folder = die("fd = put('a', b''); os.write(fd, b'da'); os.write(fd, b'ta'); os.fsync(fd); sync_folder(); os.write(fd, b'!')")
    assert (folder / "a").read_bytes() == b"data"


def test_truncation_is_lost(die):
    folder = die("put('a', b'data', sync=True); sync_folder(); os.truncate(os.open('a', os.O_RDWR), 1); assert get('a') == b'd'")
    assert (folder / "a").read_bytes() == b"data"


def test_truncated_and_grown_is_zero(die):
    folder = die(
        "fd = put('a', b'data', sync=True); sync_folder(); os.ftruncate(fd, 1); os.posix_fallocate(fd, 0, 5000)\n"
        "assert get('a') == b'd' + bytes(4999); os.fsync(fd)"
    )
    assert (folder / "a").read_bytes() == b"d" + bytes(4999)


def test_opened_truncated_is_lost(die):
    folder = die(
        "put('a', b'data', sync=True); sync_folder()\n"
        "put('a', b'x', flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC); assert get('a') == b'x'"
    )
    assert (folder / "a").read_bytes() == b"data"


def test_rename_is_lost(die):
    folder = die(
        "put('a', b'old', sync=True); sync_folder(); put('a.tmp', b'new', sync=True); os.rename('a.tmp', 'a'); assert get('a') == b'new'"
    )
    assert names(folder) == ["a"] and (folder / "a").read_bytes() == b"old"


def test_rename_is_kept(die):
    folder = die("put('a', b'old', sync=True); sync_folder(); put('a.tmp', b'new', sync=True); os.rename('a.tmp', 'a'); sync_folder()")
    assert names(folder) == ["a"] and (folder / "a").read_bytes() == b"new"


def test_renamed_twice(die):
    folder = die(
        "put('a', b'0', sync=True); sync_folder()\n"
        "for i in (b'1', b'2'): put('a.tmp', i, sync=True); os.rename('a.tmp', 'a')\n"
    )
    assert names(folder) == ["a"] and (folder / "a").read_bytes() == b"0"


def test_removal_is_lost(die):
    folder = die("put('a', b'data', sync=True); sync_folder(); os.unlink('a'); assert not os.path.exists('a')")
    assert (folder / "a").read_bytes() == b"data"


def test_removal_is_kept(die):
    assert names(die("put('a', b'data', sync=True); sync_folder(); os.unlink('a'); sync_folder()")) == []


def test_other_folders_are_left_alone(die, tmp_path):
    die("put('../outside', b'data')")
    assert (tmp_path / "outside").read_bytes() == b"data"

"""Storage: one clear message for every failure, no credentials in it, content ids from wherever they are."""

from __future__ import annotations

import base64
import hashlib

import fsspec
import pytest
from azure.storage.blob import ContentSettings

from kgp.errors import InputError
from kgp.io import storage


@pytest.fixture
def memory_file():
    """A file in fsspec's in-memory file system, which stands for a remote one here."""
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/release/a.vcf", b"content")
    yield "memory://release/a.vcf"
    fs.store.clear()


def test_local_and_remote_files_are_read_the_same_way(tmp_path, memory_file):
    local = tmp_path / "a.vcf"
    local.write_bytes(b"content")
    for url in (str(local), local.as_uri(), memory_file):
        assert storage.exists(url)
        assert storage.file_size(url) == 7
        with storage.open_binary(url) as file:
            file.seek(3)
            assert file.read() == b"tent"
        assert storage.content_id(url) == "md5:" + hashlib.md5(b"content").hexdigest()
    assert not storage.exists(str(tmp_path / "b.vcf"))


@pytest.mark.parametrize("ask", [storage.open_binary, storage.file_size, storage.content_id])
def test_a_missing_file_is_an_input_error(tmp_path, ask):
    for url in (str(tmp_path / "b.vcf"), "memory://release/b.vcf"):
        with pytest.raises(InputError, match=r"b\.vcf: There is no such file"):
            ask(url)


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(InputError, match="directory"):
        storage.file_size(str(tmp_path))


def test_an_unknown_protocol_is_named_as_such():
    with pytest.raises(InputError, match="Nobody knows this kind of URL"):
        storage.open_binary("gopher://host/a.vcf")


class _Refusing(fsspec.AbstractFileSystem):
    protocol = "refusing"

    def _open(self, path, mode="rb", **options):
        raise RuntimeError(f"401 for {path}?sig=SECRET")

    def info(self, path, **options):
        raise RuntimeError("401, key SECRET")


def test_credentials_stay_out_of_messages():
    fsspec.register_implementation("refusing", _Refusing, clobber=True)
    url = "refusing://user:SECRET@host/a.vcf?sig=SECRET"
    for ask in (storage.open_binary, storage.file_size, storage.content_id):
        with pytest.raises(InputError) as caught:
            ask(url)
        assert "SECRET" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert "RuntimeError" in str(caught.value)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (
            {
                "content_settings": ContentSettings(content_md5=bytearray(hashlib.md5(b"x").digest())),
                "etag": "e",
                "size": 1,
            },
            "md5",
        ),
        ({"Content-MD5": base64.b64encode(hashlib.md5(b"x").digest()).decode(), "size": 1}, "md5"),
        ({"content_settings": ContentSettings(), "etag": "0x8D", "size": 12}, "etag:0x8D:12"),
        ({"ETag": '"0x8D"', "size": 12}, "etag:0x8D:12"),
        ({"Last-Modified": "Mon, 20 Apr 2026", "size": 12}, "modified:Mon, 20 Apr 2026:12"),
        ({"modify": "20130502", "size": 12}, "modified:20130502:12"),
    ],
)
def test_content_id_takes_what_the_server_states(monkeypatch, memory_file, info, expected):
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "info", lambda self, path, **options: info)
    md5 = "md5:" + hashlib.md5(b"x").hexdigest()
    assert storage.content_id(memory_file) == (md5 if expected == "md5" else expected)


def test_hadoops_names_of_azure_blobs_are_understood(monkeypatch):
    """wasbs:// and abfss:// name the same blob; the account comes from the URL."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", base64.b64encode(b"key").decode())
    for url in (
        "wasbs://release@archive.blob.core.windows.net/a/b.vcf.gz",
        "abfss://release@archive.dfs.core.windows.net/a/b.vcf.gz",
    ):
        fs, path = storage._resolve(url)
        assert path == "release/a/b.vcf.gz"
        assert fs.account_name == "archive"

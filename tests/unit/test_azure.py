"""Azure's accounts: which credential is found for which of them, and the form of it that each library wants."""

from __future__ import annotations

import pickle

import pytest

from kgp.errors import UsageError
from kgp.io import azure
from kgp.io.azure import find_account, learn_from_spark, locate
from kgp.io.azure_urls import Blob, parse_blob
from kgp.io.place import LakePlace

KEY = "a2V5LW9mLXRoZS10ZXN0"
SAS = "sv=2024-08-04&sr=c&sp=rl&sig=c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credential in the environment, and none remembered."""
    import os

    for name in list(os.environ):
        if name.startswith(("AZURE_", "KGP_AZURE_")):
            monkeypatch.delenv(name)
    for memory in ("_found", "_from_spark", "_from_driver"):
        monkeypatch.setattr(azure, memory, {})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("az://lake@mine/a/b", ("mine", "lake", "a/b")),
        ("az://lake@mine", ("mine", "lake", "")),
        ("az://lake@mine/", ("mine", "lake", "")),
        ("abfss://lake@mine.dfs.core.windows.net/a b/c#1", ("mine", "lake", "a b/c#1")),
        ("abfss://lake@mine.dfs.core.windows.net/a?b", None),
        ("abfss://lake@mine.dfs.core.windows.net/a b/c", ("mine", "lake", "a b/c")),
        ("wasbs://lake@mine.blob.core.windows.net/a", ("mine", "lake", "a")),
        ("wasb://lake@mine.blob.core.windows.net/a", ("mine", "lake", "a")),
        ("https://mine.blob.core.windows.net/lake/a%20b", ("mine", "lake", "a b")),
        ("https://mine-secondary.blob.core.windows.net/lake/a", ("mine-secondary", "lake", "a")),
        ("https://mine.dfs.core.windows.net/lake", ("mine", "lake", "")),
    ],
)
def test_every_form_of_a_url_names_the_blob(url: str, expected: tuple[str, str, str] | None) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="no Azure URL"):
            parse_blob(url)
        return
    blob = parse_blob(url)
    assert blob is not None
    assert (blob.account, blob.container, blob.path) == expected


@pytest.mark.parametrize(
    "url",
    [
        "/a/b", "file:///a", "https://host/lake/a", "s3://bucket/a", "relative/az",
        # It carries its own signature: it is read as any https URL is.
        f"https://mine.blob.core.windows.net/lake/a?{SAS}",
    ],
)  # fmt: skip
def test_other_urls_are_none_of_azures(url: str) -> None:
    assert parse_blob(url) is None


def test_the_account_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        parse_blob("az://lake/a")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=fromstring;AccountKey={KEY}")
    assert parse_blob("az://lake/a") == Blob("fromstring", "lake", "a", "az")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "named")
    assert parse_blob("abfs://lake/a") == Blob("named", "lake", "a", "abfs")


@pytest.mark.parametrize("url", [f"az://lake@mine/a?{SAS}", f"az://lake?{SAS}"])
def test_a_signature_in_a_blobs_url_is_refused_unseen(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_blob(url)
    assert "c2lnbmF0dXJl" not in str(caught.value)


def test_the_key_of_ones_own_account_goes_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    assert find_account("mine").key == KEY
    for name in ("dataset1000genomes", "dataset1000genomes-secondary", "curated1000genomes"):
        public = find_account(name)
        assert public.key is None
        assert public.is_anonymous
    assert find_account("another").key is None
    assert find_account("another").by_token


def test_a_key_without_an_account_is_for_all_but_the_public_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "?" + SAS)
    assert find_account("mine").sas == SAS
    assert find_account("dataset1000genomes").sas is None


def test_a_connection_string_is_for_the_account_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"BlobEndpoint=https://mine.blob.core.usgovcloudapi.net/;SharedAccessSignature={SAS}",
    )
    account = find_account("mine")
    assert (account.sas, account.endpoint) == (SAS, "https://mine.blob.core.usgovcloudapi.net")
    assert find_account("another").sas is None
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING", "BlobEndpoint=http://127.0.0.1:10000/emulated;AccountName=emulated"
    )
    account = find_account("emulated")
    assert account.is_emulated
    assert account.is_anonymous


def test_sparks_configuration_is_known_in_tasks() -> None:
    learn_from_spark(
        [
            ("spark.hadoop.fs.azure.account.key.keyed.dfs.core.windows.net", KEY),
            ("fs.azure.sas.lake.signed.blob.core.windows.net", SAS),
            ("fs.azure.sas.fixed.token.fixed.dfs.core.windows.net", SAS),
            ("spark.master", "local"),
        ]
    )
    assert find_account("keyed").key == KEY
    assert find_account("signed").sas == find_account("fixed").sas == SAS
    carried = pickle.loads(pickle.dumps(azure.known_accounts()))
    azure._found.clear()
    azure._from_spark.clear()
    assert find_account("keyed").key is None
    azure.accept_from_driver(carried)
    assert find_account("keyed").key == KEY


def test_anonymous_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_account("mine").by_token
    monkeypatch.setenv("AZURE_STORAGE_ANON", "true")
    assert find_account("mine").is_anonymous


def test_credentials_are_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=mine;AccountKey={KEY}")
    account, blob = locate("az://lake@mine/a") or (None, None)
    assert account is not None
    for thing in (
        account,
        blob,
        account.file_system(),
        azure.known_accounts(),
        LakePlace("az://lake@mine/a"),
    ):
        assert KEY not in repr(thing)
        assert KEY not in str(thing)


@pytest.mark.parametrize(
    ("url", "hadoop"),
    [
        ("az://lake@mine/a", "abfss://lake@mine.dfs.core.windows.net/a/t"),
        ("abfss://lake@mine.dfs.core.windows.net/a/", "abfss://lake@mine.dfs.core.windows.net/a/t"),
        ("wasbs://lake@mine.blob.core.windows.net/a", "wasbs://lake@mine.blob.core.windows.net/a/t"),
    ],
)
def test_a_lake_by_key(monkeypatch: pytest.MonkeyPatch, url: str, hadoop: str) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=mine;AccountKey={KEY}")
    place = LakePlace(url)
    assert place.hadoop("t") == hadoop
    assert place.delta("t") == ("az://lake/a/t", {"account_name": "mine", "account_key": KEY})
    settings = find_account("mine").hadoop_settings("lake")
    assert settings == {
        "fs.azure.account.key.mine.blob.core.windows.net": KEY,
        "fs.azure.account.key.mine.dfs.core.windows.net": KEY,
    }
    assert locate(place.uri) is not None
    assert place.local_root is None


def test_a_lake_by_signature_goes_by_wasbs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hadoop 3.3's abfs takes a fixed signature only from a class of one's own."""
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", SAS)
    place = LakePlace("abfss://lake@mine.dfs.core.windows.net/a")
    assert place.hadoop("t") == "wasbs://lake@mine.blob.core.windows.net/a/t"
    assert find_account("mine").hadoop_settings("lake") == {
        "fs.azure.sas.lake.mine.blob.core.windows.net": SAS
    }
    assert place.delta("t")[1] == {"account_name": "mine", "sas_token": SAS}


def test_a_lake_by_service_principal_or_managed_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    host = "mine.dfs.core.windows.net"
    oauth = "org.apache.hadoop.fs.azurebfs.oauth2"
    settings = find_account("mine").hadoop_settings("lake")
    assert settings == {
        f"fs.azure.account.auth.type.{host}": "OAuth",
        f"fs.azure.account.oauth.provider.type.{host}": f"{oauth}.MsiTokenProvider",
    }
    for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"AZURE_{name}", name.lower())
    settings = find_account("mine").hadoop_settings("lake")
    assert settings[f"fs.azure.account.oauth.provider.type.{host}"] == f"{oauth}.ClientCredsTokenProvider"
    assert settings[f"fs.azure.account.oauth2.client.id.{host}"] == "client_id"
    assert settings[f"fs.azure.account.oauth2.client.secret.{host}"] == "client_secret"
    assert settings[f"fs.azure.account.oauth2.client.endpoint.{host}"].endswith("/tenant_id/oauth2/token")


def test_other_clouds_and_emulators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    monkeypatch.setenv(
        "KGP_AZURE_ENDPOINTS",
        "cn=https://cn.blob.core.chinacloudapi.cn/, dev=http://127.0.0.1:10000/dev,odd=http://127.0.0.1:1/odd",
    )
    assert LakePlace("az://lake@cn/a").hadoop("t") == "abfss://lake@cn.dfs.core.chinacloudapi.cn/a/t"
    assert LakePlace("az://lake@cn/a").delta("t")[1] == {
        "account_name": "cn",
        "account_key": KEY,
        "endpoint": "https://cn.blob.core.chinacloudapi.cn",
    }
    assert LakePlace("az://lake@dev/a").hadoop("t") == "wasb://lake@storageemulator/a/t"
    options = LakePlace("az://lake@dev/a").delta("t")[1]
    assert options is not None
    assert options["allow_http"] == "true"
    with pytest.raises(UsageError, match="port 10000"):
        LakePlace("az://lake@odd/a").hadoop("t")


@pytest.mark.parametrize(
    "url", ["https://mine.blob.core.chinacloudapi.cn/lake/a", "abfss://lake@mine.dfs.core.chinacloudapi.cn/a"]
)
def test_a_key_is_not_sent_to_the_wrong_cloud(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(UsageError, match=r"KGP_AZURE_ENDPOINTS=mine=https://mine.blob.core.chinacloudapi.cn"):
        parse_blob(url)
    monkeypatch.setenv("KGP_AZURE_ENDPOINTS", "mine=https://mine.blob.core.chinacloudapi.cn")
    account, _ = locate(url) or (None, None)
    assert account is not None
    assert account.endpoint == "https://mine.blob.core.chinacloudapi.cn"


def test_the_emulators_short_connection_string(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true")
    account = find_account("devstoreaccount1")
    assert account.is_emulated
    assert account.key is not None
    assert LakePlace("az://lake/a").hadoop("t") == "wasb://lake@storageemulator/a/t"


def test_a_local_lake_is_what_it_was(tmp_path) -> None:
    for uri in (str(tmp_path), f"file://{tmp_path}", f"{tmp_path}/"):
        place = LakePlace(uri)
        assert place.hadoop("t") == place.delta("t")[0] == place.table("t") == f"{tmp_path}/t"
        assert place.delta("t")[1] is None
        assert locate(place.uri) is None

"""A cache shared over S3: pushed, pulled by a clone without raw data, trained on, and damaged.

DAMAGED=9 pytest tests/robustness/test_sharing.py damages nine objects in the bucket, in turn.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from checkout import Checkout

DAMAGED = int(os.environ.get("DAMAGED", "1"))
OBJECTS = [
    "data/index/classes.csv",
    "data/index/train.npy",
    "data/shards/train/00000.lmdb",
    "data/shards/val/labels.npy",
    "data/moments/mean_image.npy",
    "data/train/model.safetensors",
    "data/train/history.csv",
    "data/evaluate/predictions.csv",
    "data/report/index.html",
][:DAMAGED]
BUCKET = "alexnet"
NOWHERE = {"IMAGENET_ROOT": "/nowhere"}

long_run = pytest.mark.skipif(DAMAGED == 1, reason="in the long run: DAMAGED=9")
pytestmark = pytest.mark.slow


class Bucket(NamedTuple):
    """An S3 server of this test's own, and the environment in which to speak to it."""

    url: str
    client: Any
    environment: dict[str, str]

    def key_of(self, data: bytes) -> str:
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return f"cache/files/md5/{md5[:2]}/{md5[2:]}"

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)


Clone = Callable[[str], Checkout]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    secrets = {"aws_access_key_id": "tester", "aws_secret_access_key": "tester"}
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **secrets)
    client.create_bucket(Bucket=BUCKET)
    environment = {name.upper(): value for name, value in secrets.items()} | {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        "NO_PROXY": host,
    }
    yield Bucket(url, client, environment)
    server.stop()


@pytest.fixture(scope="module")
def pushed(checkout: Checkout, bucket: Bucket) -> Checkout:
    """Its cache in the bucket, by the lines that the README gives."""
    checkout.run("dvc", "remote", "add", "--default", "shared", f"s3://{BUCKET}/cache")
    checkout.run("dvc", "remote", "modify", "shared", "endpointurl", bucket.url)
    checkout.run("dvc", "remote", "modify", "shared", "verify", "true")
    checkout.commit()
    checkout.run("dvc", "push", "dvc.yaml", **bucket.environment)
    return checkout


@pytest.fixture
def clone(tmp_path: Path, pushed: Checkout) -> Clone:
    """Clones of it, without raw data and with an empty cache."""

    def make(name: str) -> Checkout:
        pushed.run("git", "clone", "-q", str(pushed.folder), str(tmp_path / name))
        return Checkout(tmp_path / name)

    return make


def files(checkout: Checkout) -> dict[str, bytes]:
    folder = checkout.folder / "data"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_clone_without_raw_data_trains_on_what_it_pulled(
    pushed: Checkout, clone: Clone, bucket: Bucket
) -> None:
    second = clone("second")
    second.run("dvc", "pull", "dvc.yaml", **bucket.environment)
    assert files(second) == files(pushed)
    for data in files(second).values():
        assert bucket.get(bucket.key_of(data)) == data
    assert second.alexnet("verify").splitlines()[-1] == "verify: all files match their checksums"
    said = second.run("dvc", "exp", "run", "-S", "lr=0.02", "train", **NOWHERE)
    assert second.stages_run(said) == ["train"]
    assert not (second.folder / "raw").exists()
    old, new = (
        yaml.safe_load((each.folder / "dvc.lock").read_text())["stages"]
        for each in (pushed, second)
    )
    for stage in ("index", "resize", "moments"):
        assert new[stage] == old[stage]
    assert new["train"]["outs"] != old["train"]["outs"]


@pytest.fixture(params=OBJECTS)
def damaged(request: pytest.FixtureRequest, pushed: Checkout, bucket: Bucket) -> Iterator[str]:
    """The name of a file of which the bucket holds a damaged copy."""
    name = str(request.param)
    whole = (pushed.folder / name).read_bytes()
    harmed = bytearray(whole)
    harmed[len(whole) // 2] ^= 1
    bucket.put(bucket.key_of(whole), bytes(harmed))
    yield name
    bucket.put(bucket.key_of(whole), whole)


def test_a_damaged_object_is_not_pulled(damaged: str, clone: Clone, bucket: Bucket) -> None:
    third = clone("third")
    said = third.run("dvc", "pull", "dvc.yaml", fails=True, **bucket.environment)
    output = "/".join(damaged.split("/")[:2])
    assert output in said.partition("Checkout failed for following targets:")[2].split()
    assert not (third.folder / output).exists()


@long_run
def test_pulled_without_verify_it_is_found_by_verify(
    damaged: str, clone: Clone, bucket: Bucket
) -> None:
    """DVC has noted the object's name as its hash, and says that all is well."""
    third = clone("third")
    third.run("dvc", "remote", "modify", "shared", "verify", "false")
    third.run("dvc", "pull", "dvc.yaml", **bucket.environment)
    assert third.run("dvc", "status", "dvc.yaml") == "Data and pipelines are up to date.\n"
    problem = third.alexnet("verify", fails=True)
    assert "/".join(damaged.split("/")[:2]) in problem


@long_run
def test_without_a_name_dvc_speaks_of_experiments_too(
    pushed: Checkout, clone: Clone, bucket: Bucket
) -> None:
    """Of those that were never run: why the README names dvc.yaml."""
    third = clone("third")
    assert "WARNING" in pushed.run("dvc", "push", **bucket.environment)
    assert "experiments/" in third.run("dvc", "pull", fails=True, **bucket.environment)
    assert files(third) == files(pushed)

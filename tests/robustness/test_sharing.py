"""A cache shared over S3: push, pull without raw data, training on it, and damaged objects.

DAMAGED=9 pytest tests/robustness/test_sharing.py
damages nine objects in the bucket, one at a time.
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
    """A local S3 server, and the environment variables to use it."""

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
    """A checkout whose cache was pushed with the commands of the README."""
    checkout.run("dvc", "remote", "add", "--default", "shared", f"s3://{BUCKET}/cache")
    checkout.run("dvc", "remote", "modify", "shared", "endpointurl", bucket.url)
    checkout.run("dvc", "remote", "modify", "shared", "verify", "true")
    checkout.commit()
    checkout.run("dvc", "push", "dvc.yaml", **bucket.environment)
    return checkout


@pytest.fixture
def clone(tmp_path: Path, pushed: Checkout) -> Clone:
    """Makes clones without raw data and with an empty cache."""

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
    cloned = clone("clone")
    cloned.run("dvc", "pull", "dvc.yaml", **bucket.environment)
    assert files(cloned) == files(pushed)
    for data in files(cloned).values():
        assert bucket.get(bucket.key_of(data)) == data
    assert cloned.alexnet("verify").splitlines()[-1] == "verify: all files match their checksums"
    output = cloned.run("dvc", "exp", "run", "-S", "lr=0.02", "train", **NOWHERE)
    assert cloned.stages_run(output) == ["train"]
    assert not (cloned.folder / "raw").exists()
    old, new = (
        yaml.safe_load((checkout.folder / "dvc.lock").read_text())["stages"]
        for checkout in (pushed, cloned)
    )
    for stage in ("index", "resize", "moments"):
        assert new[stage] == old[stage]
    assert new["train"]["outs"] != old["train"]["outs"]


@pytest.fixture(params=OBJECTS)
def damaged(request: pytest.FixtureRequest, pushed: Checkout, bucket: Bucket) -> Iterator[str]:
    """The name of a file whose object in the bucket is damaged."""
    name = str(request.param)
    data = (pushed.folder / name).read_bytes()
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    bucket.put(bucket.key_of(data), bytes(changed))
    yield name
    bucket.put(bucket.key_of(data), data)


def test_a_damaged_object_is_not_pulled(damaged: str, clone: Clone, bucket: Bucket) -> None:
    cloned = clone("cloned")
    output = cloned.run("dvc", "pull", "dvc.yaml", fails=True, **bucket.environment)
    folder = "/".join(damaged.split("/")[:2])
    assert folder in output.partition("Checkout failed for following targets:")[2].split()
    assert not (cloned.folder / folder).exists()


@long_run
def test_alexnet_verify_finds_an_object_pulled_without_verification(
    damaged: str, clone: Clone, bucket: Bucket
) -> None:
    """DVC takes the object's name for its hash, and reports no change."""
    cloned = clone("cloned")
    cloned.run("dvc", "remote", "modify", "shared", "verify", "false")
    cloned.run("dvc", "pull", "dvc.yaml", **bucket.environment)
    assert cloned.run("dvc", "status", "dvc.yaml") == "Data and pipelines are up to date.\n"
    problem = cloned.alexnet("verify", fails=True)
    assert "/".join(damaged.split("/")[:2]) in problem


@long_run
def test_push_and_pull_without_a_target_include_experiments(
    pushed: Checkout, clone: Clone, bucket: Bucket
) -> None:
    """Even those that were never run, which is why the README names dvc.yaml."""
    cloned = clone("cloned")
    assert "WARNING" in pushed.run("dvc", "push", **bucket.environment)
    assert "experiments/" in cloned.run("dvc", "pull", fails=True, **bucket.environment)
    assert files(cloned) == files(pushed)

"""A real server that speaks S3, on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

LOGIN = {"aws_access_key_id": "id", "aws_secret_access_key": "key", "region_name": "us-east-1"}


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@contextmanager
def s3_bucket(server: str, name: str) -> Iterator[Any]:
    """A client of the server, on which the bucket is there until the block ends."""
    client = boto3.client("s3", endpoint_url=server, **LOGIN)
    client.create_bucket(Bucket=name)
    yield client
    for entry in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=entry["Key"])
    client.delete_bucket(Bucket=name)
    client.close()

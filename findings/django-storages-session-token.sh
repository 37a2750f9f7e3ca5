#!/bin/sh
# Whose session token django-storages 1.14.6 signs with, seen with boto3 1.44.8, Django 5.2.19 and Python 3.11:
#  - a storage that is given its own access_key and secret_key, and no security_token, takes AWS_SESSION_TOKEN from the
#    environment and sends it with these keys; the two belong to different logins, so a real service refuses them;
#  - boto3 alone, given the same two keys, sends no token;
#  - security_token=None as an option ends it: the option counts, and not the environment.
# Fails when one of these changes. Needs the package index for the pinned packages; leaves nothing behind.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    django-storages==1.14.6 boto3==1.44.8 botocore==1.44.8 Django==5.2.19
cd "$folder"
env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN=of-another-login venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import boto3
from django.conf import settings

settings.configure()
from storages.backends.s3 import S3Storage


def token_of(client):
    """What is sent as X-Amz-Security-Token; nothing is sent here."""
    return "of-another-login" in client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})


keys = {"access_key": "mine", "secret_key": "mine-too"}
found = {
    "storage": token_of(S3Storage(bucket_name="b", region_name="us-east-1", **keys).connection.meta.client),
    "storage, security_token=None": token_of(
        S3Storage(bucket_name="b", region_name="us-east-1", security_token=None, **keys).connection.meta.client
    ),
    "boto3": token_of(
        boto3.client("s3", region_name="us-east-1", aws_access_key_id="mine", aws_secret_access_key="mine-too")
    ),
}
print(f"django-storages {version('django-storages')}, boto3 {version('boto3')}: signed with the other's token: {found}")
assert found == {"storage": True, "storage, security_token=None": False, "boto3": False}, "it has changed"
PYTHON

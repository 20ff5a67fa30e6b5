"""Hooks for schemathesis: requests are signed, and many name what is there.

Without the second part nearly every request would end at a domain that nobody made.
"""

import hashlib
import os
import re
import uuid

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CREDENTIALS = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
REGION = os.environ["AWS_REGION"]

# What fill.py makes, by the name of the query parameter.
PRESENT = {
    "domain": "acme",
    "repository": "team",
    "source-repository": "team",
    "destination-repository": "production",
    "format": "generic",
    "namespace": "acme",
    "package": "left-pad",
    "version": "1.3.0",
    "asset": "notes.txt",
    "resourceArn": "arn:aws:codeartifact:%s:000000000000:domain/acme" % REGION,
}


class Signature(requests.auth.AuthBase):
    """Signs a request once nothing changes it any more."""

    def __call__(self, request):
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        # A declared hash that has the right form is made the right one.
        declared = request.headers.get("X-Amz-Content-Sha256", "")
        if re.fullmatch("[0-9a-f]{64}", declared):
            request.headers["X-Amz-Content-Sha256"] = hashlib.sha256(body).hexdigest()
        # As the SDKs do, so that no two requests have one signature.
        request.headers["Amz-Sdk-Invocation-Id"] = str(uuid.uuid4())
        signed = {"Amz-Sdk-Invocation-Id": request.headers["Amz-Sdk-Invocation-Id"]}
        if declared:
            signed["X-Amz-Content-Sha256"] = request.headers["X-Amz-Content-Sha256"]
        aws = AWSRequest(method=request.method, url=request.url, data=body, headers=signed)
        SigV4Auth(CREDENTIALS, "codeartifact", REGION).add_auth(aws)
        for name in ("Authorization", "X-Amz-Date"):
            request.headers[name] = aws.headers[name]
        return request


schemathesis.auth.set_from_requests(Signature())


@schemathesis.hook
def map_query(ctx, query):
    """Replaces a valid value by one that exists, and takes owners away that do not."""
    if not query:
        return query
    for name, value in PRESENT.items():
        given = query.get(name)
        # Every third stays as it was, so that what is absent is asked for, too.
        if isinstance(given, str) and re.fullmatch(r"[\w.:/-]{2,50}", given, re.ASCII) and len(given) % 3:
            query[name] = value
    if query.get("domain-owner") == "123456789012":
        del query["domain-owner"]
    return query

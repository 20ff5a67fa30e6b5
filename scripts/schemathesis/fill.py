"""Makes what the examples of the OpenAPI document name, on an ephemeral server."""

import hashlib

import boto3

api = boto3.client("codeartifact")
api.create_domain(domain="acme")
for repository in ("npm-store", "production", "team"):
    api.create_repository(domain="acme", repository=repository)
content = b"release notes\n"
api.publish_package_version(
    domain="acme", repository="team", format="generic", namespace="acme", package="left-pad",
    packageVersion="1.3.0", assetName="notes.txt", assetContent=content,
    assetSHA256=hashlib.sha256(content).hexdigest(),
)

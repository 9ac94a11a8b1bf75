"""A token in Vault, AWS Secrets Manager and Azure Key Vault, by the real External Secrets Operator."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from tests.cluster.fixtures_operator import Manifest, World, condition
from tests.cluster.tokens import REVOKE, ROTATE, ask, token_status, until_attempt
from tests.harness.moto import moto_running
from tests.integrations import external_secrets
from tests.integrations.doubles import KeyVault, Vault
from tests.localkube import LocalKube

AWS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "canary-of-aws"}
TOKENS = Path(__file__).resolve().parents[2] / "docs/tokens.md"
PATH, NAME = "makini/acme", "makini-acme"
SECONDS = 90
"""External Secrets Operator waits for a while after an error."""


class Stores:
    """What each of the three holds of the connection; None: nothing."""

    def __init__(self, vault: Vault, key_vault: KeyVault, moto: str) -> None:
        self.vault, self.key_vault = vault, key_vault
        self._aws = botocore.session.get_session().create_client(
            "secretsmanager",
            region_name="us-east-1",
            endpoint_url=moto,
            aws_access_key_id=AWS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=AWS["AWS_SECRET_ACCESS_KEY"],
        )

    def copies(self) -> list[dict[str, str] | None]:
        azure = self.key_vault.stored.get(NAME)
        return [self.vault.stored.get(PATH), self._in_aws(), json.loads(azure) if azure else None]

    def _in_aws(self) -> dict[str, str] | None:
        try:
            found = self._aws.get_secret_value(SecretId=PATH)
        except self._aws.exceptions.ResourceNotFoundException:
            return None
        text = found.get("SecretString") or found["SecretBinary"].decode()
        parsed: dict[str, str] = json.loads(text)
        return parsed


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_running() as url:
        yield url


@pytest.fixture
def stores(cluster: LocalKube, moto: str, tmp_path: Path) -> Iterator[Stores]:
    with Vault() as vault, KeyVault() as key_vault:
        surroundings = key_vault.environment | {"AWS_SECRETSMANAGER_ENDPOINT": moto}
        with external_secrets.running(cluster, tmp_path, surroundings):
            yield Stores(vault, key_vault, moto)


@pytest.fixture
def connected(stores: Stores, world: World) -> World:
    """A connection whose token goes to all three stores, and has arrived."""
    world.make_pool()
    world.apply(*_store_manifests(stores, world.namespace))
    world.apply(world.connection("acme", token={"stores": _wanted()}))
    world.until_ready("acme", seconds=SECONDS)
    return world


def test_the_token_arrives_everywhere_follows_a_rotation_and_a_revocation_and_leaves_with_the_connection(
    stores: Stores, connected: World
) -> None:
    world = connected
    assert stores.copies() == [world.secret("acme-makini")] * 3
    assert set(world.secret("acme-makini")) == {"token", "connection-id", "url"}

    ask(world, ROTATE)
    until_attempt(world, 1)
    world.until(lambda: stores.copies() == [world.secret("acme-makini")] * 3, SECONDS)
    assert all(copy and "previous-token" in copy for copy in stores.copies())
    world.until_ready("acme", seconds=SECONDS)

    before = world.get("acme")["status"]["connectionID"]
    ask(world, REVOKE)
    world.until(lambda: world.get("acme")["status"].get("connectionID") not in (None, before), SECONDS)
    world.until(lambda: stores.copies() == [world.secret("acme-makini")] * 3, SECONDS)
    assert all(copy and world.sandbox.accepts(copy["token"]) for copy in stores.copies())
    world.until_ready("acme", seconds=SECONDS)

    world.patch("acme", {"connected": False})
    world.until(lambda: stores.copies() == [None] * 3, SECONDS)
    world.until_reason("acme", "Disconnected", seconds=SECONDS)
    world.patch("acme", {"connected": True})
    world.until_ready("acme", seconds=SECONDS)
    assert stores.copies() == [world.secret("acme-makini")] * 3
    world.delete("acme")
    world.until(lambda: stores.copies() == [None] * 3, SECONDS)


def test_a_store_that_refuses_is_told_and_the_others_have_the_token(stores: Stores, connected: World) -> None:
    world = connected
    stores.vault.is_sealed = True
    ask(world, ROTATE)
    until_attempt(world, 1)

    def told() -> bool:
        ready = condition(world.get("acme"), "TokenReady")
        return ready["reason"] == "StoreNotReady" and "permission denied" in ready["message"]

    world.until(told, SECONDS)
    new = token_status(world)
    assert new["attempt"] == 1
    world.until(lambda: stores.copies()[1:] == [world.secret("acme-makini")] * 2, SECONDS)
    stores.vault.is_sealed = False
    world.until(lambda: stores.copies()[0] == world.secret("acme-makini"), SECONDS * 4)
    world.until_ready("acme", seconds=SECONDS)


def test_the_documentations_stores_are_ones_that_it_takes(stores: Stores, namespace: str, cluster: LocalKube) -> None:
    assert stores.copies() == [None] * 3
    blocks = re.findall(r"^```yaml\n(.*?)^```", TOKENS.read_text(), flags=re.MULTILINE | re.DOTALL)
    shown = [found for block in blocks for found in yaml.safe_load_all(block)]
    mine = [found for found in shown if found["apiVersion"].startswith("external-secrets.io/")]
    assert [next(iter(found["spec"]["provider"])) for found in mine] == ["vault", "aws", "azurekv"]
    for found in mine:
        found["metadata"]["name"] += "-as-shown"
        where = ("-n", namespace, "--dry-run=server", "--validate=strict")
        cluster.kubectl("create", *where, "-f", "-", input=json.dumps(found))


def _wanted() -> list[Manifest]:
    return [
        {"name": "vault", "secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"}, "remoteKey": PATH},
        {"name": "aws", "secretStoreRef": {"kind": "SecretStore", "name": "aws"}, "remoteKey": PATH},
        {"name": "azure", "secretStoreRef": {"kind": "SecretStore", "name": "azure"}, "remoteKey": NAME},
    ]


def _store_manifests(stores: Stores, namespace: str) -> list[Manifest]:
    """The three stores as docs/tokens.md shows them, but for their addresses and how to log in."""
    keys = {"vault": stores.vault.secret, "id": AWS["AWS_ACCESS_KEY_ID"], "key": AWS["AWS_SECRET_ACCESS_KEY"]}
    where = {"name": "store-logins", "namespace": namespace}
    login = {"apiVersion": "v1", "kind": "Secret", "metadata": where, "stringData": keys}

    def store(name: str, kind: str, provider: dict[str, Any]) -> Manifest:
        meta = {"name": name} | ({"namespace": namespace} if kind == "SecretStore" else {})
        return {
            "apiVersion": "external-secrets.io/v1",
            "kind": kind,
            "metadata": meta,
            "spec": {"provider": provider},
        }

    token = {"tokenSecretRef": where | {"key": "vault"}}
    vault = {"server": stores.vault.url, "path": "secret", "version": "v2", "auth": token}
    access = {
        "accessKeyIDSecretRef": {"name": "store-logins", "key": "id"},
        "secretAccessKeySecretRef": {"name": "store-logins", "key": "key"},
    }
    aws = {
        "service": "SecretsManager",
        "region": "us-east-1",
        "secretsManager": {"forceDeleteWithoutRecovery": True},
        "auth": {"secretRef": access},
    }
    azure = {"authType": "ManagedIdentity", "vaultUrl": stores.key_vault.url}
    return [
        login,
        store("vault", "ClusterSecretStore", {"vault": vault}),
        store("aws", "SecretStore", {"aws": aws}),
        store("azure", "SecretStore", {"azurekv": azure}),
    ]

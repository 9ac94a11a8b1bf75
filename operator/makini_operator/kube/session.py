"""How the operator reaches and authenticates to the API server.

The `kubernetes` package reads the kubeconfig or the ServiceAccount (exec plugins and token
refresh included); the connection itself is a plain aiohttp session, because typed models
cost ten times the CPU on the hot path. The token is set for each request, so a projected
ServiceAccount token may change under a session that stays open.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

_DEFAULT_KUBECONFIG = Path("~/.kube/config")
CONNECTION_LIMIT = 64
"""Open connections to the API server at most: bounds a burst."""


class ConfigurationError(Exception):
    """There is no way to reach a cluster; the message says what was looked for."""


class _Refreshing(Protocol):
    def __call__(self, configuration: Configuration) -> Any: ...


async def load_configuration() -> Configuration:
    """The cluster that `KUBECONFIG` (or ~/.kube/config) names, else the one that this pod runs in.

    Raises:
        ConfigurationError: neither is there, or the file cannot be read.
    """
    configuration = Configuration()
    named = os.environ.get("KUBECONFIG")
    try:
        if named or _DEFAULT_KUBECONFIG.expanduser().exists():  # noqa: ASYNC240 - once, at start
            await load_kube_config(  # type: ignore[no-untyped-call]
                config_file=named, client_configuration=configuration
            )
        else:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise ConfigurationError(
            f"no cluster to talk to: set KUBECONFIG to a kubeconfig file, or run in a pod ({error})"
        ) from error
    return configuration


def open_session(configuration: Configuration, *middlewares: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
    """A session that verifies the server and authenticates every request; the caller closes it."""
    connector = aiohttp.TCPConnector(limit=CONNECTION_LIMIT, ssl=_tls(configuration))
    return aiohttp.ClientSession(
        connector=connector,
        base_url=configuration.host.rstrip("/") + "/",
        headers={"User-Agent": "makini-operator", "Accept": "application/json"},
        middlewares=(*middlewares, _authenticating(configuration)),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
    )


def only_while(check: Callable[[], None], *, reads: bool) -> aiohttp.ClientMiddlewareType:
    """Ask `check`, which raises, before each request is sent, retries included; `reads`: also before a GET."""

    async def ask_first(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if reads or request.method != "GET":
            check()
        return await handler(request)

    return ask_first


def _authenticating(configuration: Configuration) -> aiohttp.ClientMiddlewareType:
    async def authenticate(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        token = await _bearer(configuration)
        if token:
            request.headers["Authorization"] = token
        return await handler(request)

    return authenticate


async def _bearer(configuration: Configuration) -> str | None:
    refresh: _Refreshing | None = configuration.refresh_api_key_hook
    if refresh is not None:
        result = refresh(configuration)
        if hasattr(result, "__await__"):
            await result
    token = configuration.api_key.get("BearerToken") or configuration.api_key.get("authorization")
    if token is None:
        return None
    return token if token[:7].lower() == "bearer " else f"Bearer {token}"


def _tls(configuration: Configuration) -> ssl.SSLContext | bool:
    if not configuration.host.startswith("https:"):
        return True
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

"""How subcommands talk to the cluster: one session, and a line for the user instead of a traceback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from makini_operator.kube.api import KubeApi
from makini_operator.kube.errors import KubeError
from makini_operator.kube.session import ConfigurationError, load_configuration, open_session

_T = TypeVar("_T")


def call(what: Callable[[KubeApi], Awaitable[_T]]) -> _T:
    """Do something with the cluster of KUBECONFIG. Raises `click.ClickException` for whatever goes wrong there."""

    async def connected() -> _T:
        async with open_session(await load_configuration()) as session:
            return await what(KubeApi(session))

    try:
        return asyncio.run(connected())
    except (ConfigurationError, KubeError, OSError) as error:
        raise click.ClickException(str(error)) from None

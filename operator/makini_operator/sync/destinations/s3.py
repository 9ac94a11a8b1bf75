"""Where S3 is and with which keys, as botocore finds them, in the words of the libraries that need them."""

from __future__ import annotations

import os
from typing import Any

from makini_operator.sync.destinations.objects import failed
from makini_operator.sync.errors import BadSettings


class S3:
    """A client of botocore's, and its keys for others.

    Keys of a role end within the hour and a run may take a day, so they are asked for anew each time: botocore renews
    what ends within ten minutes. What is given out is good for about that long.
    """

    def __init__(self) -> None:
        import botocore.session  # noqa: PLC0415

        session = botocore.session.get_session()
        self._found = session.get_credentials()
        if self._found is None:
            raise BadSettings(
                "there are no keys for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                "AWS_SHARED_CREDENTIALS_FILE"
            )
        try:
            self.client = session.create_client("s3", region_name=session.get_config_variable("region") or "us-east-1")
        except ValueError:  # whose text repeats the value
            raise BadSettings(
                "S3 cannot be reached with these settings: AWS_ENDPOINT_URL must be a URL such as "
                "https://s3.example.com, and AWS_REGION the name of a region"
            ) from None
        self._region = self.client.meta.region_name
        self._endpoint = _endpoint()
        self._given: set[str] = set()  # all secrets that were given out; an error may repeat an older one

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may repeat."""
        return tuple(self._given)

    @property
    def options(self) -> dict[str, str]:
        """For the Delta library; raises DestinationFailed when there are no keys any more."""
        keys = self._keys()
        options = {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_SESSION_TOKEN": keys.token,
            "AWS_REGION": self._region,
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_ALLOW_HTTP": "true" if (self._endpoint or "").startswith("http://") else None,
            "aws_conditional_put": "etag",  # two writers of one version must not both win
        }
        return {name: value for name, value in options.items() if value}

    def for_dlt(self) -> Any:
        """For dlt's own files; raises DestinationFailed when there are no keys any more."""
        from dlt.common.configuration.specs import AwsCredentials  # noqa: PLC0415

        keys = self._keys()
        return AwsCredentials(
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
            region_name=self._region,
            endpoint_url=self._endpoint,
        )

    def _keys(self) -> Any:
        try:
            keys = self._found.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001 - whatever the provider of keys raises
            raise failed(error) from None
        self._given.update(filter(None, [keys.secret_key, keys.token]))
        return keys


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")

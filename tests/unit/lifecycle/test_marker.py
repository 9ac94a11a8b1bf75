"""The marker: recognised by whoever has the key, made by nobody else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makini_operator.lifecycle.marker import InstallationKey, Marker, home, read, remote_name, tag

KEY = InstallationKey(b"k" * 32)
OTHER_KEY = InstallationKey(b"o" * 32)
TAG = tag(KEY, namespace="tenant", name="acme", uid="1")
HOME = home(KEY, namespace="tenant", name="acme")
NAME = remote_name(KEY, Marker(TAG, 4, HOME), "Acme")

LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
MARKERS = st.builds(
    Marker,
    tag=st.text(LETTERS, min_size=16, max_size=16),
    amount=st.integers(0, 999_999),
    home=st.text(LETTERS, min_size=8, max_size=8),
)


@given(MARKERS, st.text(max_size=100))
def test_a_marker_can_be_read_back_whatever_the_customer_is_called(marker: Marker, customer: str) -> None:
    assert read(KEY, remote_name(KEY, marker, customer)) == marker


def test_a_name_at_makini_shows_the_customer() -> None:
    assert re.fullmatch(r"mk1\.4\.[a-z2-7]{16}\.[a-z2-7]{8}\.[a-z2-7]{8} Acme", NAME)


@given(MARKERS)
def test_a_marker_of_another_installation_is_not_ours(marker: Marker) -> None:
    assert read(OTHER_KEY, remote_name(KEY, marker, "Acme")) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Acme",
        f"Acme {NAME}",
        f" {NAME}",
        NAME.replace("mk1.", "mk2."),
        NAME.replace("mk1.4.", "mk1.1."),
        NAME.upper(),
        NAME.replace(HOME, home(KEY, namespace="tenant", name="other")),
        NAME.replace(TAG, tag(KEY, namespace="tenant", name="acme", uid="2")),
        NAME.replace(" ", ""),
        re.sub(r"[a-z2-7]{8} ", "aaaaaaaa ", NAME),
        re.sub(r"\.[a-z2-7]{8} ", " ", NAME),
    ],
)
def test_a_name_without_a_marker_or_with_a_forged_one_is_not_ours(name: str) -> None:
    assert read(KEY, name) is None


@given(st.text(max_size=60))
def test_customer_text_cannot_fake_a_marker(text: str) -> None:
    assert read(KEY, text) is None
    marker = Marker(TAG, 4, HOME)
    assert read(KEY, remote_name(KEY, marker, f"{text} {remote_name(OTHER_KEY, Marker(TAG, 9, HOME), text)}")) == marker


@pytest.mark.parametrize(
    "other",
    [
        {"namespace": "tenant", "name": "acme", "uid": "2"},
        {"namespace": "other", "name": "acme", "uid": "1"},
        {"namespace": "tenant", "name": "other", "uid": "1"},
        # the parts are joined unambiguously
        {"namespace": "tenan", "name": "tacme", "uid": "1"},
        {"namespace": "tenant", "name": "acme1", "uid": ""},
    ],
)
def test_another_resource_has_another_tag(other: dict[str, str]) -> None:
    assert tag(KEY, **other) != TAG


def test_a_tag_depends_on_the_installation() -> None:
    assert tag(OTHER_KEY, namespace="tenant", name="acme", uid="1") != TAG


def test_the_key_is_in_no_repr() -> None:
    assert "kkk" not in repr(KEY)

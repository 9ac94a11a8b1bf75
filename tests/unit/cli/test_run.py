"""What `makini-operator run` takes for the image of sync pods."""

import pytest
from click import BadParameter

from makini_operator.cli.run import run
from makini_operator.controllers.settings import Settings

DIGEST = "sha256:" + "0123456789abcdef" * 4
GOOD = [
    "makini-sync",
    "localhost/makini-sync:test",
    "registry.example.com:5000/team/makini-sync:1.0_rc.1-A",
    f"[fd00::1]:5000/makini-sync@{DIGEST}",
    f"10.0.0.1/a__b/c--d/e.f:1.0@{DIGEST}",
]
BAD = [
    " makini-sync",
    "makini sync",
    "makini-sync:test\n",
    "Makini-Sync",
    "makini-sync:",
    "makini-sync:" + "t" * 129,
    "https://registry.example.com/makini-sync",
    "makini-sync@sha256:abc",
    "registry.example.com/",
    "a/../b",
    "--log-level=debug",
    "a/" * 300 + "a",
    "m\u0430kini-sync",
    *(part * (511 // len(part)) + "!" for part in ("a", "a-", "a.", "a/", "a.a/", "-a")),  # quickly, too
]


def sync_image(*arguments: str) -> tuple[str, str]:
    chosen = run.make_context("run", ["--namespace=n", *arguments]).params
    return chosen["sync_image"], chosen["sync_image_pull_policy"]


def test_without_an_image_there_are_no_syncs() -> None:
    assert sync_image() == sync_image("--sync-image=") == ("", "IfNotPresent")
    assert (Settings("n").sync_image, Settings("n").sync_image_pull_policy) == ("", "IfNotPresent")


@pytest.mark.parametrize("image", GOOD)
def test_an_image_is_taken_as_the_kubelet_would(image: str) -> None:
    assert sync_image(f"--sync-image={image}", "--sync-image-pull-policy=Never") == (image, "Never")


@pytest.mark.parametrize("image", BAD)
def test_what_no_kubelet_could_pull_is_refused_at_the_start(image: str) -> None:
    with pytest.raises(BadParameter, match=r"expected an image such as .* found '"):
        sync_image(f"--sync-image={image}")


def test_a_pull_policy_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadParameter, match="'Always', 'IfNotPresent', 'Never'"):
        sync_image("--sync-image-pull-policy=Sometimes")

"""What goes into each image: a lock, what of its packages is left out and why, and which part of the program is in.

What is left out is a list that somebody has read, not what happened not to be imported: a test starts the operator from
the one image, and tests sync to each kind of destination from the other.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

# The typed models of the `kubernetes` package, which make up most of it and are never imported.
_KUBERNETES_MODELS = (
    r"^kubernetes/(aio/)?client/(api|models)/"
    r"(?!(__init__|v1_managed_fields_entry|v1_object_meta|v1_owner_reference)\.py$)\w+\.py$"
)
UNUSED_BY_SYNC = (
    # Sources and headers for whoever compiles against Arrow, and second copies of its libraries.
    r"^pyarrow/(include|src)/|^pyarrow/.*\.(pxi|cmake)$",
    r"^pyarrow/lib\w+\.so(\.\d+\.\d+\.\d+)?$|^pyarrow/_pyarrow_cpp_tests\.",
    # Arrow's server for tables, encrypted Parquet, and file systems: those of S3 are the Delta library's and s3fs here.
    r"^pyarrow/(lib(arrow_|arrow_python_)|_)(flight|parquet_encryption|s3|s3fs|gcsfs|azurefs|hdfs)\.",
    # Descriptions of the 400 services of AWS that are neither S3 nor ways to its keys.
    r"^botocore/data/(?!(s3|sts|sso|sso-oidc|signin)/)[^/]+/",
)

# What only dlt's own command line uses: colours, git, and a package manager's library.
_UNNEEDED_BY_SYNC = frozenset(
    {
        *("gitdb", "gitpython", "smmap", "requirements-parser", "setuptools"),
        *("markdown-it-py", "mdurl", "pygments", "rich", "rich-argparse"),
    }
)


@dataclass(frozen=True)
class Recipe:
    """One image's contents beside Python. Both patterns are searched in paths with `/`, relative to the import path."""

    lock: Path
    leaves_out: re.Pattern[str]
    """Files of packages."""
    program: re.Pattern[str]
    """Files of the package makini_operator that are in it."""
    without: frozenset[str] = frozenset()
    """Packages of the lock that are not in it at all."""


OPERATOR = Recipe(ROOT / "requirements-operator.lock", re.compile(_KUBERNETES_MODELS), re.compile(""))
SYNC = Recipe(
    ROOT / "requirements-sync.lock",
    re.compile("|".join(UNUSED_BY_SYNC)),
    re.compile(
        r"^(__init__\.py|__main__\.py|py\.typed|redaction\.py|cli/(__init__|main|sync|durations|ending|history)\.py|sync/.*)$"
    ),
    _UNNEEDED_BY_SYNC,
)
RECIPES = {"operator": OPERATOR, "sync": SYNC}


def needs_of_sync() -> str:
    """What requirements-sync.lock is made from: the command line's library, and the extra `sync`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = [line for line in project["dependencies"] if re.match(r"click\b", line)]
    return "\n".join([*core, *project["optional-dependencies"]["sync"], ""])

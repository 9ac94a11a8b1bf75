#!/usr/bin/env bash
# Starts a kind cluster where the node of `make node-up` cannot run but a container engine can, and prints what to set.
#
# Prints nothing, and succeeds, where the node can run, where a cluster was named already, and where nothing can be done.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON3:-python3}

[ -z "${MAKINI_NODE_KUBECONFIG:-}" ] && [ "${MAKINI_SKIP_NODE:-}" != 1 ] || exit 0
if (cd "$here/../.." && "$python" -m tests.localnode check >/dev/null 2>&1); then exit 0; fi
for program in docker kind kubectl; do command -v "$program" >/dev/null || exit 0; done
docker info >/dev/null 2>&1 || exit 0
"$here/up.sh" | grep '^MAKINI_'

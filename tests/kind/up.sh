#!/usr/bin/env bash
# A kind cluster with the images that the node tests and the demo need, for a machine that has a container engine.
#
# Prints what to set for `pytest tests/node`; safe to repeat: an existing cluster only gets the newest images.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=${MAKINI_KIND_NAME:-makini}
kubeconfig=$PWD/build/kind.kubeconfig

for program in docker kind kubectl; do
  command -v "$program" >/dev/null || {
    echo "kind: $program is not installed (kind needs a container engine; on Linux as root, \`make node-up\` does not)" >&2
    exit 1
  }
done
docker info >/dev/null 2>&1 || { echo "kind: no container engine answers \`docker info\`: start it" >&2; exit 1; }

mkdir -p build
if ! kind get clusters 2>/dev/null | grep -qx "$name"; then
  kind create cluster --name "$name" --config tests/kind/cluster.yaml --kubeconfig "$kubeconfig" --wait 120s >&2
else
  kind export kubeconfig --name "$name" --kubeconfig "$kubeconfig" >&2
fi

docker build --quiet --target operator --tag localhost/makini-operator:test . >&2
docker build --quiet --target sandbox --tag localhost/makini-sandbox:test . >&2
docker build --quiet --target sync --tag localhost/makini-sync:test . >&2
docker build --quiet --tag localhost/busybox:test - <tests/kind/busybox.Dockerfile >&2
kind load docker-image --name "$name" \
  localhost/makini-operator:test localhost/makini-sandbox:test localhost/makini-sync:test localhost/busybox:test >&2

echo "KUBECONFIG=$kubeconfig"
echo "MAKINI_NODE_KUBECONFIG=$kubeconfig"
gateway=$(docker network inspect kind --format '{{range .IPAM.Config}}{{println .Gateway}}{{end}}' | grep -m1 '\.' || true)
if [ -n "$gateway" ] && [ "$(uname -s)" = Linux ]; then
  echo "MAKINI_NODE_HOST_ADDRESS=$gateway"
fi

"""The Makini operator: connections to Makini, declared in YAML.

Packages, from the outside in (import-linter enforces the order):

* `cli`          the command `makini-operator`
* `controllers`  wiring: kopf handlers, work queue, allocator, executor
* `kube`, `makini`, `manifests`   the two HTTP APIs, and child objects as functions
* `lifecycle`    what to do next for one connection: pure
* `credits`      prices and the credit ledger: pure
* `resources`    what users write and read: pure

`sandbox` is the embedded Makini; it shares nothing with the operator.
"""

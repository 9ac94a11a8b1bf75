"""The sync program against the embedded Makini: the whole way that a user goes on a laptop."""

from pathlib import Path

from tests.harness.sandbox import Sandbox
from tests.sync.program import ORDERS, Program
from tests.sync.reading import LINES, Duck, alive
from tests.sync.reading import ORDERS as TABLE


def test_the_sandboxs_orders_arrive_and_a_disconnect_ends_it(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.start()
    try:
        body = {"name": "Acme", "email": "it@acme.example", "provider": "sap-ecc", "credentials": {"login": "l"}}
        status, made = sandbox.call("POST", "/api/system/connections", body=body)
        assert status < 300, made
        (connection,) = sandbox.connections()
        destination = Duck(tmp_path / "volume", "acme")
        program = Program(tmp_path, sandbox.url, destination.options)
        token = made["data"]["access_token"] if "data" in made else made["access_token"]
        program.token_file.write_text(token)
        outcome = program.run(connection=connection["key"])
        assert outcome.code == 0, outcome.log
        orders = sandbox.call("GET", "/api/erp/purchase-orders?per_page=100", token=token)[1]["data"]
        assert sorted(alive(destination, TABLE)) == sorted(order["key"] for order in orders)
        assert len(alive(destination, LINES)) == sum(len(order["lineItems"]) for order in orders)
        assert sandbox.call("DELETE", f"/api/system/connections/{connection['key']}")[0] < 300
        after = program.run(connection=connection["key"])
        assert (after.code, after.result["reason"]) == (4, "TokenRefused")
        assert len(alive(destination, TABLE)) == len(orders)
        assert ORDERS in destination.state()
    finally:
        sandbox.stop()

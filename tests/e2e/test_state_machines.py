"""State machines that are not the key-value store: what may be composed, and what clients see of it."""

import os
import subprocess

import pytest

import resp
from cluster import BUILD, ROOT

PARTS = BUILD / "tests" / "parts"


@pytest.fixture
def workshop(tmp_path):
    """A binary folder in which nodes can be composed."""
    for name in ("components", "bin"):
        (tmp_path / name).symlink_to((BUILD / name).resolve())
    return tmp_path


def compose(workshop, machine, *choices):
    return subprocess.run(
        [ROOT / "compositions" / "compose.sh", *choices],
        env=os.environ | {"BUILD": str(workshop), "STATE_MACHINE": str(PARTS / machine), "RUST_BACKTRACE": "0"},
        capture_output=True, text=True, timeout=60,
    )


@pytest.mark.parametrize("choices", (
    ("coordinator-node",), ("learner-node",), ("coordinator-node", "guest-tcp", "guest"), ("coordinator-node", "guest-udp", "guest"),
))
def test_a_state_machine_with_a_clock_is_not_composed(workshop, choices):
    """Not even into a node whose network has a clock."""
    done = compose(workshop, "clock-machine.wasm", *choices)
    assert done.returncode != 0
    assert "clock-machine.wasm" in done.stderr
    assert "it imports wasi:clocks/wall-clock@0.2.12; a state machine gets nothing from outside" in done.stderr
    assert not list((workshop / "nodes").glob("*.wasm"))


@pytest.mark.parametrize("deployment, choices, nodes", (
    ("coordinator", {}, [["coordinator-node"]]),
    ("coordinator", {"network": "guest-tcp", "storage": "guest"}, [["coordinator-node", "guest-tcp", "guest"]]),
    ("standalone", {}, [["proposer-node"], ["acceptor-node"], ["learner-node"]]),
))
def test_clients_see_the_machine_that_runs(make_cluster, workshop, deployment, choices, nodes):
    """A machine of two commands: COMMAND tells of them, wherever the client port is, and of none of the key-value store's."""
    for node in nodes:
        done = compose(workshop, "tiny-machine.wasm", *node)
        assert done.returncode == 0, done.stderr
    cluster = make_cluster(deployment, choices=choices, leader_rule="sticky", environment={"SYNOD_NODES": str(workshop / "nodes")})
    leader = cluster.up()
    with cluster.connect(leader) as client:
        assert client.call("ADD", "40") == 40
        assert client.call("ADD", "2") == 42
        assert client.call("SUM") == 42
        with pytest.raises(resp.ReplyError, match="ERR unknown command 'GET'"):  # the port knows what the machine has
            client.call("GET", "key")
        commands = {name.decode() for name in client.call("COMMAND", "LIST")}
        assert {"add", "sum", "command", "ping"} <= commands and not {"get", "set", "incr"} & commands
        whole = {name for name in commands if "|" not in name}  # the list has subcommands, too
        assert client.call("COMMAND", "COUNT") == len(whole) == len(client.call("COMMAND"))
        (add, get) = client.call("COMMAND", "INFO", "add", "get")
        assert add[:2] == [b"add", 2] and get is None
    cluster.wait_settled()
    cluster.stop()

"""State machines that are not the key-value store: what may be composed, and what clients see of it."""

import os
import subprocess

import pytest

import resp
from cluster import BAD_INPUT, BUILD, ROOT, run, wait_until

PARTS = BUILD / "tests" / "parts"


@pytest.fixture
def workshop(tmp_path):
    """A binary folder in which nodes can be composed."""
    for name in ("components", "bin"):
        (tmp_path / name).symlink_to((BUILD / name).resolve())
    return tmp_path


def compose(workshop, machine, *choices, part="STATE_MACHINE"):
    return subprocess.run(
        [ROOT / "compositions" / "compose.sh", *choices],
        env=os.environ | {"BUILD": str(workshop), part: str(PARTS / machine), "RUST_BACKTRACE": "0"},
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


@pytest.mark.parametrize("granularity", ("agents", "node"))
@pytest.mark.parametrize("part", ("STATE_MACHINE", "LEADER_DETECTOR"))
def test_what_is_inside_another_component_is_not_replaced(workshop, granularity, part):
    done = compose(workshop, "tiny-machine.wasm", "coordinator-node", "host-tcp", "host", "guest", "sticky", "synod", granularity,
                   part=part)
    assert done.returncode != 0
    assert f"{part}: with GRANULARITY {granularity} that part is inside a larger component" in done.stderr
    assert not list(workshop.glob("nodes/*"))


def test_a_leader_rule_of_ones_own(make_cluster, workshop):
    """In the place of the rule `sticky`, a component that follows another one: node 3, which is down at first, leads as soon as it is
    up."""
    rule = (BUILD / "components" / "leader-detector-highest.wasm").resolve()
    done = compose(workshop, rule, "coordinator-node", part="LEADER_DETECTOR")
    assert done.returncode == 0, done.stderr
    cluster = make_cluster(leader_rule="sticky", environment={"SYNOD_NODES": str(workshop / "nodes")})
    cluster.init()
    cluster.start(1, 2)
    assert cluster.wait_leader() in (1, 2)
    cluster.start(3)
    wait_until(lambda: cluster.leader() == 3, 20, cluster.describe)
    cluster.stop()


def test_a_node_that_is_not_composed_in_that_way(make_cluster, workshop):
    """Clients' machine is in the nodes made of parts; the error says what would make the other ones."""
    assert compose(workshop, "tiny-machine.wasm", "coordinator-node").returncode == 0
    cluster = make_cluster(choices={"granularity": "node"}, leader_rule="sticky")
    cluster.init()
    done = run("start", "--config", cluster.config_file, "--node", 1, env=os.environ | {"SYNOD_NODES": str(workshop / "nodes")})
    assert done.returncode == BAD_INPUT
    assert "there is no" in done.stderr and "/nodes/node.wasm; compose it: " in done.stderr
    assert "compositions/compose.sh coordinator-node host-tcp host guest sticky synod node" in done.stderr


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

"""Every setting of the reference system has a counterpart: the same name, a documented default, and the effect it promises
(docs/reference-rows.md)."""

import re

import pytest

import resp
from cluster import OK, ROOT, run, wait_until

# As the reference has them. None: what `synod config` says is used.
SETTINGS = {
    "is_event_driven": "true",
    "acceptors_send_learns": None,
    "learners_send_executed": None,
    "prepare_timeout": "100",
    "demo_client": "false",
    "demo_client_requests": None,
    "batch_size": None,
    "tick_micros": "100",
    "exec_interval_ms": "100",
    "retry_interval_ms": "100",
    "learn_max_gap": "50",
    "message_batch_size": "20",
    "client_server_port": "60000",
    "persistent_storage": "true",
    "heartbeats": "true",
    "heartbeat_interval_ms": "100",
    "crashes": "[]",
    "storage_load_snapshots": "true",
    "storage_max_snapshots": "2",
    "storage_flush_state_count": None,
    "storage_flush_state_interval_ms": None,
    "storage_flush_change_count": None,
    "storage_flush_change_interval_ms": None,
    "storage_snapshot_slot_interval": "0",
}
WRITES = 200


def documented():
    """{key: (type, default, range, governed, meaning)} of the settings, as `synod config` prints them."""
    done = run("config")
    own, compat = done.stdout.split("\n## Settings for compatibility")
    assert done.returncode == OK
    assert own in (ROOT / "docs/configuration.md").read_text() and compat in (ROOT / "docs/reference-rows.md").read_text()
    rows = own.split("## Settings")[1] + compat
    return {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| (.+?) \| (.*?) \| (.*?) \| (.*?) \| (.+) \|$", rows, re.MULTILINE)}


def write_some(cluster, count=WRITES, begin=0):
    """SETs `count` keys through the leader, pipelined, and reads them back; starts again when the leader moves."""

    def condition():
        leader = cluster.wait_leader()
        try:
            with cluster.connect(leader) as connection:
                for i in range(begin, begin + count):
                    connection.send(resp.encode("SET", f"key-{i}", f"value-{i}"))
                set_replies = [connection.receive() for _ in range(count)]
                connection.send(b"".join(resp.encode("GET", f"key-{i}") for i in range(begin, begin + count)))
                got = [connection.receive() for _ in range(count)]
        except OSError:
            return False
        if any(isinstance(reply, resp.ReplyError) for reply in set_replies + got):
            return False
        assert set_replies == ["OK"] * count
        assert got == [f"value-{i}".encode() for i in range(begin, begin + count)]
        return True

    wait_until(condition, 60, f"{count} writes")


def test_every_setting_with_its_default(make_cluster):
    rows = documented()
    chosen = {}
    for key, value in SETTINGS.items():
        kind, default, bounds, _, meaning = rows[key]
        assert kind and default and meaning
        assert bounds or kind == "list"
        alias = re.fullmatch(r"see `(\w+)`", default)
        chosen[key] = value or (rows[alias[1]][1] if alias else default)
        if value and not alias and key != "client_server_port":  # which the reference has for all nodes, here they differ
            assert chosen[key] == default, f"the default of {key}"
    assert rows["prepare_timeout_ms"][1] == "100" and rows["durability"][1] == "fsync"
    cluster = make_cluster(settings=chosen)
    checked = run("config", "--config", cluster.config_file)
    assert checked.returncode == OK and checked.stderr == ""
    cluster.up()
    write_some(cluster)
    cluster.wait_settled()
    cluster.stop()


def snapshots(cluster, node):
    """The slots of the snapshots that a node has."""
    return sorted(int(file.name.split("-")[1]) for file in (cluster.node_folder(node) / "snapshots").glob("snapshot-*[0-9]"))


def test_snapshots_as_the_reference_names_them(make_cluster):
    """Taken after so many slots, so many are kept, and a start begins with the newest one, or with none."""
    cluster = make_cluster(settings={"storage_snapshot_slot_interval": 20, "storage_max_snapshots": 3, "batch_size": 1})
    cluster.up()
    write_some(cluster)
    cluster.wait_settled()
    wait_until(lambda: all(len(snapshots(cluster, node)) == 3 for node in cluster.nodes), 30, "three snapshots each")
    for node in cluster.nodes:
        slots = snapshots(cluster, node)
        assert slots[-1] > WRITES // 2 and len({slot % 20 for slot in slots}) == 1
    cluster.stop()
    cluster.start(1, 2)
    cluster.wait_leader()
    write_some(cluster, count=10, begin=WRITES)
    cluster.settings["storage_load_snapshots"] = False
    cluster.write_config()
    cluster.start(3)
    cluster.wait_settled()
    cluster.stop()
    assert all("snapshot" not in cluster.log(node) for node in cluster.nodes)


@pytest.mark.parametrize("deployment", ["coordinator", "standalone"])
def test_one_message_at_a_time(make_cluster, deployment):
    """is_event_driven: false is slow, and right: also when the leader dies."""
    cluster = make_cluster(deployment, settings={"is_event_driven": False})
    leader = cluster.up()
    write_some(cluster)
    cluster.wait_settled()
    cluster.kill(leader)
    write_some(cluster, begin=WRITES)
    cluster.start()
    cluster.wait_settled()
    cluster.stop()


def test_demo_client(make_cluster):
    """demo_client: true: one client a cluster sends its requests once there is a leader, and reports."""
    cluster = make_cluster(settings={"demo_client": True, "demo_client_requests": 500})
    cluster.up()
    reports = wait_until(lambda: [server for server in cluster.servers if "Throughput" in server.log()], 60, "a report")
    assert [server.nodes for server in reports] == [[1]]
    assert "demo client: 500 requests to cluster 'test'" in reports[0].log()
    assert re.search(r"^ *Count +500$", reports[0].log(), re.MULTILINE)
    assert re.search(r"^ *Errors 0, unknown 0,", reports[0].log(), re.MULTILINE)
    assert cluster.info(cluster.wait_leader())["commands_executed"] >= 500
    cluster.stop()
    assert all("demo client" not in server.log() for server in cluster.servers if server.nodes != [1])


def test_demo_client_ends_with_its_node(make_cluster):
    """A client that is not done prints what it has, and does not outlive the process that started it."""
    cluster = make_cluster(settings={"demo_client": True, "demo_client_requests": 1_000_000_000})
    cluster.up()
    leader = cluster.wait_leader()
    wait_until(lambda: cluster.info(leader)["commands_executed"] > 1000, 30, "some requests")
    cluster.stop(1)
    log = cluster.log(1)
    assert "1000000000 requests to cluster 'test', stopped before all were answered" in log
    assert int(re.search(r"^ *Count +(\d+)$", log, re.MULTILINE)[1]) > 1000

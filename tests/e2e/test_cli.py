"""The command itself: help, exit codes, and what each verb says."""

import json
import os
import re
import subprocess

import pytest

from cluster import BAD_DATA, BAD_INPUT, CHECK_FAILED, OK, ROOT, SYNOD, TROUBLE, Cluster, run, wait_until

VERBS = ["init", "start", "status", "config", "journal", "components", "demo", "bench", "version"]


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster("coordinator")
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.close()


def one_line(text):
    assert text.count("\n") == 1 and text.endswith("\n"), f"not one line: {text!r}"
    return text


# ---- help ----


def test_help():
    done = run("--help")
    assert done.returncode == OK and done.stderr == ""
    for verb in VERBS:
        assert re.search(rf"^  {verb} +\w", done.stdout, re.MULTILINE), f"{verb} is missing"
    assert "exit codes" in done.stdout
    assert run("help").stdout == run("-h").stdout == done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_verb(verb):
    done = run(verb, "--help")
    assert done.returncode == OK and done.stderr == ""
    assert done.stdout.startswith(f"synod {verb}")
    assert "examples:" in done.stdout and f"\n  synod {verb}" in done.stdout
    assert "exit codes:" in done.stdout
    assert "(null)" not in done.stdout
    assert run("help", verb).stdout == run(verb, "-h").stdout == done.stdout


@pytest.mark.parametrize("arguments, said", [
    ([], "no verb given"),
    (["frobnicate"], "unknown verb 'frobnicate'"),
    (["status"], "missing --config"),
    (["status", "--frobnicate"], "unknown option --frobnicate"),
    (["status", "--config"], "no value after --config"),
    (["start", "--config", "examples/coordinator.yaml"], "give either --node or --group"),
    (["start", "--config", "examples/coordinator.yaml", "--node", "64"], "'64' is not a whole number in 1..63"),
    (["start", "--config", "examples/coordinator.yaml", "--node", "9"], "there is no node 9"),
    (["start", "--config", "examples/shared.yaml", "--group", "4"], "there is no group 4"),
    (["init", "--config", "examples/coordinator.yaml"], "give either --node or --all"),
    (["init", "--config", "examples/coordinator.yaml", "--node", "9"], "there is no node 9"),
    (["init", "--config", "nowhere.yaml", "--all"], "nowhere.yaml: No such file or directory"),
    (["bench"], "give either --config or --address"),
    (["bench", "--address", "nonsense"], "'nonsense' is not host:port"),
    (["bench", "--address", "127.0.0.1:1", "--mode", "oneshot", "--pipeline", "2"], "--pipeline must be 1"),
    (["bench", "--address", "127.0.0.1:1", "--check"], "--check looks at what --command incr has added to"),
    (["bench", "--address", "127.0.0.1:1", "--sessions", "--protocol", "etcd-http"], "--sessions and --check are there over RESP only"),
    (["bench", "--address", "127.0.0.1:1", "--sessions", "--pipeline", "1025"], "--pipeline must be at most 1024"),
    (["demo", "--deployment", "circle"], "'circle' is not one of: coordinator, standalone, shared"),
    (["demo", "--requests", "0"], "'0' is not a whole number"),
    (["version", "now"], "unexpected now"),
    (["components", "nowhere.wasm"], "nowhere.wasm"),
])
def test_wrong_command_line(arguments, said):
    done = run(*arguments, cwd=ROOT)
    assert done.returncode == BAD_INPUT
    assert said in one_line(done.stderr) and done.stdout == ""


# ---- init and start ----


def test_init_twice(make_cluster):
    cluster = make_cluster()
    done = run("init", "--config", cluster.config_file, "--node", 1)
    assert done.returncode == OK and f"formatted {cluster.node_folder(1)} for node 1" in done.stdout
    before = (cluster.node_folder(1) / "identity").read_bytes()
    done = run("init", "--config", cluster.config_file, "--node", 1)
    assert done.returncode == BAD_DATA and "already formatted, for node 1" in one_line(done.stderr)
    assert (cluster.node_folder(1) / "identity").read_bytes() == before


def test_init_on_a_folder_that_is_not_empty(make_cluster):
    cluster = make_cluster()
    cluster.node_folder(1).mkdir(parents=True)
    (cluster.node_folder(1) / "thesis.txt").write_text("precious")
    done = run("init", "--config", cluster.config_file, "--node", 1)
    assert done.returncode == BAD_DATA and str(cluster.node_folder(1)) in one_line(done.stderr)
    assert (cluster.node_folder(1) / "thesis.txt").read_text() == "precious"


def start_fails(cluster, node, code):
    """Starts a node that must end by itself. Returns its lines of error, as JSON."""
    cluster.start(node)
    server = cluster.server_of(node)
    assert server.wait() == code, server.log_tail()
    lines = [json.loads(line) for line in server.log().splitlines()]
    return [line for line in lines if line["level"] == "error"]


def test_start_without_init(make_cluster):
    cluster = make_cluster()
    (error,) = start_fails(cluster, 1, BAD_DATA)
    assert "node-1 is not formatted" in error["message"] and "synod init" in error["message"] and error["node"] == 1
    assert not cluster.node_folder(1).exists(), "start must not make it"
    cluster.node_folder(2).mkdir(parents=True)
    (error,) = start_fails(cluster, 2, BAD_DATA)
    assert "node-2 is not formatted" in error["message"]
    assert list(cluster.node_folder(2).iterdir()) == [], "start must leave it alone"


def test_start_twice(cluster):
    done = run("start", "--config", cluster.config_file, "--node", 1)
    assert done.returncode == BAD_DATA
    (error,) = [line for line in map(json.loads, done.stderr.splitlines()) if line["level"] == "error"]
    assert f"already in use by process {cluster.server_of(1).process.pid}" in error["message"]
    cluster.check_alive()


def test_start_with_the_folder_of_another(make_cluster):
    cluster = make_cluster()
    cluster.init()
    cluster.node_folder(1).rename(cluster.data / "away")
    cluster.node_folder(2).rename(cluster.node_folder(1))
    (error,) = start_fails(cluster, 1, BAD_DATA)
    assert "belongs to node 2 of cluster 'test', not to node 1 of cluster 'test'" in error["message"]


def test_start_with_the_folder_of_another_cluster(make_cluster):
    cluster = make_cluster()
    cluster.init()
    cluster.name = "other"
    cluster.write_config()
    (error,) = start_fails(cluster, 1, BAD_DATA)
    assert "belongs to node 1 of cluster 'test', not to node 1 of cluster 'other'" in error["message"]


def test_memory_cannot_come_back(make_cluster):
    """What `durability: memory` lost counts as a lost disk."""
    cluster = make_cluster(settings={"durability": "memory"})
    leader = cluster.up()
    with cluster.connect(leader) as client:
        assert client.call("SET", "a", "b") == "OK"
    assert "durability: memory" in cluster.log(1)
    cluster.kill(1)
    (error,) = start_fails(cluster, 1, BAD_DATA)
    assert "must not vote" in error["message"]


def test_graceful_stop(make_cluster):
    cluster = make_cluster()
    leader = cluster.up()
    with cluster.connect(leader) as client:
        assert client.call("SET", "a", "b") == "OK"
        cluster.stop()
        assert client.is_closed_by_server()
    cluster.start()
    with cluster.connect(cluster.wait_leader(settled=True)) as client:
        assert client.call("GET", "a") == b"b"
    assert cluster.info(1)["incarnation"] == 2
    cluster.stop()


# ---- status ----


def test_status(cluster):
    leader = cluster.wait_leader()
    with cluster.connect(leader) as client:
        client.call("SET", "a", "b")
    executed = cluster.wait_settled()
    done = run("status", "--config", cluster.config_file)
    assert done.returncode == OK and done.stderr == ""
    titles, *rows = [line.split() for line in done.stdout.replace("STATE HASH", "STATE-HASH").splitlines()]
    table = [dict(zip(titles, row)) for row in rows]
    assert [row["NODE"] for row in table] == ["1", "2", "3"]
    assert {row["STATUS"] for row in table} == {"up"} and {row["LEADER"] for row in table} == {str(leader)}
    assert [row["NODE"] for row in table if row["PROPOSER"] == "leading"] == [str(leader)]
    assert {row["EXECUTED"] for row in table} == {str(executed)}
    assert len({row["STATE-HASH"] for row in table}) == 1 and len({row["BALLOT"] for row in table}) == 1


def test_status_json(cluster):
    done = run("status", "--config", cluster.config_file, "--json")
    assert done.returncode == OK
    said = json.loads(done.stdout)
    assert said["cluster"] == "test" and [node["node"] for node in said["nodes"]] == [1, 2, 3]
    for node in said["nodes"]:
        info = cluster.info(node["node"])
        assert node["status"] == "up" and node["leader"] == info["leader"] and node["state_hash"] == info["state_hash"]
    done = run("status", "--config", cluster.config_file, "--json", "--node", 2)
    assert [node["node"] for node in json.loads(done.stdout)["nodes"]] == [2]


def test_status_of_a_node_that_is_down(make_cluster):
    cluster = make_cluster()
    leader = cluster.up()
    victim = next(node for node in cluster.nodes if node != leader)
    cluster.kill(victim)
    done = run("status", "--config", cluster.config_file)
    assert done.returncode == TROUBLE
    assert re.search(rf"^{victim} +coordinator +unreachable", done.stdout, re.MULTILINE)
    assert f"node {victim} at 127.0.0.1 port {cluster.nodes[victim].client_port}: Connection refused" in done.stderr
    assert len(re.findall(r"^\d +coordinator +up", done.stdout, re.MULTILINE)) == 2


def test_status_standalone_names_roles(make_cluster):
    cluster = make_cluster("standalone")
    cluster.up()
    done = run("status", "--config", cluster.config_file)
    assert done.returncode == OK
    assert re.findall(r"^\d +(\w+)", done.stdout, re.MULTILINE) == ["learner"] * 3 + ["acceptor"] * 3 + ["proposer"] * 3


# ---- config, components, version ----


@pytest.mark.parametrize("name", ["coordinator", "standalone", "shared"])
def test_examples_are_sound(name):
    done = run("config", "--config", f"examples/{name}.yaml", cwd=ROOT)
    assert done.returncode == OK and f"cluster '{name}'" in done.stdout


def test_config_lists_what_the_documentation_lists():
    rows = [line for line in run("config").stdout.splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    documented = "".join((ROOT / "docs" / name).read_text() for name in ["configuration.md", "reference-rows.md"])
    assert [row for row in rows if row not in documented] == []


def test_components(tmp_path):
    done = run("components", env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)})
    assert done.returncode == OK
    assert list(tmp_path.iterdir()) == [], "nothing was compiled"
    for name in ("proposer", "acceptor", "learner", "kv-store", "failure-detector", "leader-detector-sticky", "leader-detector-highest",
                 "proposer-agent", "acceptor-agent", "learner-agent", "coordinator", "runner", "serializer"):
        head = rf"^\S+/components/{name}\.wasm\n  \d+ bytes, sha256 [0-9a-f]{{64}}\n"
        entry = re.search(head + r"  imports\n((?:    .*\n)*)  exports\n((?:    .*\n)*)", done.stdout, re.MULTILINE)
        assert entry, f"{name} is missing or looks otherwise"
        assert "wasi" not in entry[1], f"{name} imports more than parts may: {entry[1]}"
        assert "synod:paxos/" in entry[2], f"{name} exports nothing of ours"
    for name in ("coordinator-node", "proposer-node", "acceptor-node", "learner-node"):
        assert f"/nodes/{name}.wasm\n" in done.stdout
    agents = ["whole-acceptor-agent", "whole-learner-agent", "whole-proposer-agent"]
    for name, parts in (
        ("coordinator-node", ["acceptor", "acceptor-agent", "coordinator", "failure-detector", "kv-store", "leader-detector-sticky",
                              "learner", "learner-agent", "proposer", "proposer-agent", "runner", "serializer"]),
        ("coordinator-node-agents", ["coordinator", "runner", "serializer", *agents]),
        ("node", ["whole-node"]),
    ):
        made_of = re.search(rf"/nodes/{name}\.wasm\n  .*\n  made of\n((?:    .*\n)+)", done.stdout)[1]
        assert sorted(made_of.split()) == parts
    assert "a component that is not in" not in done.stdout
    node = re.search(r"^(\S+/nodes/coordinator-node\.wasm)$", done.stdout, re.MULTILINE)[1]
    one = run("components", "--all", node)
    assert one.returncode == OK and "synod:paxos/runner" in one.stdout and "      turn\n" in one.stdout


def test_version():
    done = run("version")
    version = (ROOT / "VERSION").read_text().splitlines()[0]
    assert done.returncode == OK
    assert re.fullmatch(rf"synod {re.escape(version)}\nwasmtime 48\.\d+\.\d+\nbuild .+\n", done.stdout)
    assert run("--version").stdout == done.stdout


# ---- bench ----


def test_bench(cluster):
    done = run("bench", "--config", cluster.config_file, "--requests", 20000, "--connections", 50, "--processes", 2)
    assert done.returncode == OK, done.stderr
    for name in ("Count +20000", "Min", "Max", "Mean", "Median", "P95", "P99", "P99.9", "Throughput"):
        assert re.search(f"^ *{name}", done.stdout, re.MULTILINE), f"{name} is missing in\n{done.stdout}"
    cluster.wait_settled()


BENCHES = [
    "--pipeline 16",
    "--mode oneshot --requests 500",
    "--command mixed --keyspace 100",
    "--command incr",
    "--command incr --keyspace 7 --check",
    "--command incr --keyspace 20 --sessions --pipeline 16",
    "--command mixed --sessions --mode oneshot --requests 500",
    "--command get",
    "--value-size 10000 --requests 500",
]


@pytest.mark.parametrize("more", BENCHES)
def test_bench_kinds(cluster, more):
    with cluster.connect(cluster.wait_leader()) as client:
        client.call("FLUSHALL")  # what another kind has set need not be a number
    done = run("bench", "--config", cluster.config_file, "--requests", 5000, "--connections", 10, "--json", *more.split())
    assert done.returncode == OK, done.stderr
    json.loads(done.stdout)


def test_bench_checks_counters(cluster):
    """What another client has added is no answer."""
    with cluster.connect(cluster.wait_leader()) as client:
        client.call("FLUSHALL")
        bench = subprocess.Popen([SYNOD, "bench", "--config", cluster.config_file, "--requests", "20000", "--command", "incr",
                                  "--keyspace", "7", "--sessions", "--quiet"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        wait_until(lambda: int(client.call("GET", "key:000000000006") or 0) > 10, 20, "some requests executed")
        client.call("INCRBY", "key:000000000003", 7)
        said = bench.communicate(timeout=60)[1]
    assert bench.returncode == CHECK_FAILED
    assert "the counters grew by 20007, and 20000 requests were answered" in said


def test_bench_follows_the_redirect(cluster):
    follower = next(node for node in cluster.nodes.values() if node.id != cluster.wait_leader())
    done = run("bench", "--address", f"127.0.0.1:{follower.client_port}", "--requests", 1000, "--connections", 5, "--quiet")
    assert done.returncode == OK, done.stderr


def test_log_is_json_lines(cluster):
    wait_until(lambda: "ready after" in cluster.log(1), 5, "the line that says it is ready")
    for line in cluster.log(1).splitlines():
        assert {"time", "level", "node", "part", "message"} <= set(json.loads(line))

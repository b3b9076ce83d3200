"""Data folders that were put back from an older copy, or that run twice: the copy ends with exit code 3 and says what it is; the others go
on, and no answered write is lost."""

import shutil

import pytest

from cluster import BAD_DATA, run, wait_until
from history import Load


def messages(cluster, node):
    return cluster.server_of(node).log()


@pytest.mark.parametrize("native, choices", [(True, {}), (True, {"network": "host-udp"}), (True, {"network": "grpc"}),
                                             (False, {}), (False, {"network": "guest-tcp", "storage": "guest"})],
                         ids=["native", "udp", "grpc", "components", "guest"])  # fmt: skip
def test_an_older_copy_is_put_back(make_cluster, native, choices):
    cluster = make_cluster("coordinator", native=native, choices=choices)
    leader = cluster.up()
    victim = next(node for node in cluster.nodes if node != leader)
    copy = cluster.folder / "copy"
    with Load(cluster.client_ports(), clients=2) as load:
        load.wait_answers(20)
        cluster.stop(victim)
        shutil.copytree(cluster.node_folder(victim), copy)
        cluster.start(victim)
        cluster.wait_caught_up(victim)
        load.wait_answers(20)
        cluster.stop(victim)
        cluster.kill_all()  # what the others know of it outlives them
        shutil.rmtree(cluster.node_folder(victim))
        shutil.copytree(copy, cluster.node_folder(victim))
        cluster.start()
        code = cluster.server_of(victim).wait(30)
        assert code == BAD_DATA, messages(cluster, victim)
        assert "is an older copy, or is used twice" in messages(cluster, victim)
        others = [node for node in cluster.nodes if node != victim]
        for node in others:
            wait_until(lambda: f"node {victim} in incarnation" in messages(cluster, node), 10, "a line of those who refuse")
        # It stays so, though by the count of its boots its next lives would come after those that are known.
        for _ in range(3):
            done = run("start", *cluster.server_of(victim).arguments)
            assert done.returncode == BAD_DATA and "older copy" in done.stderr + done.stdout
        load.wait_answers(50)
        cluster.check_alive(*others)
    cluster.server_of(victim).process = None
    load.read_back(cluster.nodes[cluster.wait_leader()].client_port)
    load.judge()

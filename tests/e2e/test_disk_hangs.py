"""The leader's disk hangs while its network works: no sync returns for some seconds, and heartbeats go on. It steps down, another node
leads, clients are served, and nothing is lost. When its disk is back, it follows and does not fight for its place."""

import time

import pytest

import hang
from cluster import wait_until
from history import Load

HANGS_S = 3.0
LED_WITHIN_S = 1.5  # by another node: dead_timeout_ms is 1000
CALM_S = 3.0


def until(moment, condition):
    """Looks all the time up to `moment` that the condition holds."""
    while time.monotonic() < moment:
        assert condition()
        time.sleep(0.02)


@pytest.mark.parametrize("native, idle", [(True, False), (True, True), (False, False)], ids=["native", "native, idle before", "components"])
def test_a_leader_whose_disk_hangs_steps_down(make_cluster, tmp_path, native, idle):
    cluster = make_cluster("coordinator", native=native, environment={"LD_PRELOAD": str(hang.build(tmp_path))})
    hangs = {node: tmp_path / f"hang-{node}" for node in cluster.nodes}
    for node, file in hangs.items():
        cluster.server_of(node).environment = cluster.server_of(node).environment | {"SYNOD_HANG_SYNC": str(file)}
    old = cluster.up()
    if idle:  # a disk that nobody writes to is not noticed to hang
        hangs[old].touch()
        until(time.monotonic() + 2, lambda: cluster.leader() == old)
    with Load(cluster.client_ports()) as load:
        if not idle:
            load.wait_answers(500)
        hung_at, hung_ns = time.monotonic(), time.monotonic_ns()
        hangs[old].touch()
        new = wait_until(lambda: cluster.leader(but=[old]), 10, "another leader")
        led_s = time.monotonic() - hung_at
        again_s = load.wait_answers(100, since=time.monotonic_ns())
        print(f"node {new} led {led_s:.3f} s after the disk of node {old} hung; answered again {again_s:.3f} s later")
        assert led_s < LED_WITHIN_S
        until(hung_at + HANGS_S, lambda: cluster.leader(but=[old]) == new)
        served = len(load.answered_after(hung_ns))
        hangs[old].unlink()
        until(time.monotonic() + CALM_S, lambda: cluster.leader() == new)
        cluster.wait_caught_up(old)
        load.wait_answers(300)
    print(f"{served} answers while it hung; {load.outcomes(hung_ns)}")
    assert served > 300
    load.read_back(cluster.nodes[cluster.wait_leader(settled=True)].client_port)
    cluster.wait_settled()
    load.judge()
    cluster.stop()

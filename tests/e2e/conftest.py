import pytest

from cluster import Cluster


@pytest.fixture
def make_cluster():
    """Makes clusters, and takes down what is left of them when the test is over, however it ended."""
    clusters = []

    def make(*arguments, **more):
        clusters.append(Cluster(*arguments, **more))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of each node's log."""
    report = yield
    if report.failed and call.when == "call":
        for cluster in Cluster.not_closed:
            for server in cluster.servers:
                report.sections.append((f"end of the log of {server.name}", server.log_tail()))
    return report

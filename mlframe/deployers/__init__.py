"""Ways to put a version to work."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_deployers() -> list[Component]:
    """Offer the built-in deployers."""
    return [
        Component(
            "batch",
            "mlframe.deployers.batch:BatchDeployer",
            "Scores files or tables of any size, part by part; a stopped run goes on, each row once",
        ),
        Component(
            "container",
            "mlframe.deployers.container:ContainerDeployer",
            "Dockerfiles, Compose file and Kubernetes manifests: server, training, operation, Prometheus and Grafana",
        ),
        Component(
            "http",
            "mlframe.deployers.http:HttpDeployer",
            "A prediction server: several processes behind one port, hot switch of versions, log of predictions",
        ),
        Component(
            "package",
            "mlframe.deployers.package:PackageDeployer",
            "An installable wheel for mlframe.load, bundle inside",
        ),
        Component(
            "systemd",
            "mlframe.deployers.systemd:SystemdDeployer",
            "Units for a machine without containers: the server and the operating process, with rules and a dashboard",
        ),
    ]

"""The manifests of a service, as kustomize puts them together."""

import json
import os
import re
import shlex
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests import containers
from tests.containers import (
    container,
    docker,
    get,
    image,
    inspect,
    network,
    postgres,
    require_docker,
    run,
)
from tests.linters import lint
from tests.project import PRODUCTION, Project
from tests.services import Postgres, find, until
from tools import matrix
from tools.render import Answers, options, pairwise, render, write

OVERLAYS = ("production", "staging")
# The oldest release that this holds to, and the newest that the schemas know.
VERSIONS = ("1.32", kubernetes_validate.latest_version())
LARGEST = {
    "server": "uvicorn",
    "task_queue": "rabbitmq",
    "use_elasticsearch": True,
    "static_files": "nginx",
    "error_tracking": "bugsnag",
}
SERVICES: dict[str, dict[str, Any]] = {
    "default": {},
    "largest": LARGEST,
    "daphne": {
        "server": "daphne",
        "task_queue": "database",
        "use_redis": False,
        "error_tracking": "sentry",
    },
    "uwsgi": {"server": "uwsgi", "task_queue": "redis", "static_files": "s3", "use_dbbackup": True},
}
# What a pod may mount by the restricted profile.
VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret"),
}


class Manifests:
    """What kubectl would apply."""

    def __init__(self, answers: Answers, folder: Path, overlay: str = "production") -> None:
        self.answers = {**answers, "use_kubernetes": True}
        self.folder = folder
        write(self.answers, folder)
        self.text = build(folder / "deploy/kubernetes/overlays" / overlay)
        self.objects: list[dict[str, Any]] = list(yaml.safe_load_all(self.text))

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the objects of some kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object."""
        (found,) = (each for each in self.of(kind) if each["metadata"]["name"] == name)
        return found

    def pods(self) -> dict[str, dict[str, Any]]:
        """Return the specification of each pod by the name of what makes it."""
        return {
            each["metadata"]["name"]: each["spec"]["template"]["spec"]
            for each in [*self.of("Deployment", "Job"), *self.scheduled()]
        }

    def scheduled(self) -> list[dict[str, Any]]:
        """Return the Jobs that a CronJob would make, under its name."""
        return [
            {**each["spec"]["jobTemplate"], "metadata": each["metadata"]}
            for each in self.of("CronJob")
        ]

    def settings(self) -> dict[str, str]:
        """Return the variables that are no secrets."""
        (found,) = (
            each for each in self.of("ConfigMap") if each["metadata"]["name"].startswith("settings")
        )
        data: dict[str, str] = found["data"]
        return data

    def secrets(self) -> dict[str, str]:
        """Return what the example of a Secret holds."""
        example = (self.folder / "deploy/kubernetes/secret.example.yaml").read_text()
        data: dict[str, str] = yaml.safe_load(example)["stringData"]
        return data


def build(folder: Path) -> str:
    """Return what kustomize makes of a folder."""
    kubectl = find("kubectl", "kubectl 1.27 or newer")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def containers_of(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all containers of a pod, those that come first included."""
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.fixture(scope="module", params=SERVICES)
def manifests(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Manifests:
    """Return the manifests of a service."""
    return Manifests(SERVICES[request.param], tmp_path_factory.mktemp("manifests"))


def validate(manifests: Manifests) -> None:
    """Raise unless every object is what its schema says, and nothing more."""
    assert manifests.objects
    for each in manifests.objects:
        for version in VERSIONS:
            kubernetes_validate.validate(each, version, strict=True)


def test_manifests_hold_to_the_schema(manifests: Manifests) -> None:
    """Every object is right by the strict schemas of the oldest and the newest release (D6)."""
    validate(manifests)


@pytest.mark.slow
@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("answers", pairwise(), ids=matrix.name)
def test_manifests_of_every_pair_hold_to_the_schema(
    answers: Answers, overlay: str, tmp_path: Path
) -> None:
    """Kustomize builds every overlay without a warning, and the schemas accept it (D6)."""
    validate(Manifests(answers, tmp_path, overlay))


def test_pods_keep_to_the_restricted_profile(manifests: Manifests) -> None:
    """Pods run as a numeric user, without privileges, and cannot write to their image (D6)."""
    for pod in manifests.pods().values():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostIPC", "hostNetwork", "hostPID"} & pod.keys()
        assert {*VOLUMES, "name"} >= {key for volume in pod["volumes"] for key in volume}
        for each in containers_of(pod):
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert each["resources"].keys() == {"limits", "requests"}
            assert not any("hostPort" in port for port in each.get("ports", []))
    (namespace,) = manifests.of("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.slow
def test_scanner_finds_nothing(tmp_path: Path) -> None:
    """Checkov finds just what checkov.yaml leaves out, each with its reason (D6, D10)."""
    (tmp_path / "all").mkdir()
    for name, answers in SERVICES.items():
        manifests = Manifests(answers, tmp_path / name)
        (tmp_path / "all" / f"{name}.yaml").write_text(manifests.text)
    configuration = (tmp_path / "default/deploy/kubernetes/checkov.yaml").read_text()

    output = lint(
        tmp_path,
        *("checkov", "--compact", "--quiet", "--framework=kubernetes", "--directory=all"),
        environment={"LOG_LEVEL": "CRITICAL"},
    )

    explained = re.findall(r"(?:  # .+\n)+  - (CKV\w+)", configuration)
    assert set(re.findall(r"Check: (CKV\w+)", output)) == set(explained)
    assert len(explained) == configuration.count("- CKV")


def test_what_is_named_is_there(manifests: Manifests) -> None:
    """Selectors, accounts, mounts and keys of the Secret lead to something (D6)."""
    labels = [
        each["spec"]["template"]["metadata"]["labels"] for each in manifests.of("Deployment", "Job")
    ]
    accounts = {each["metadata"]["name"] for each in manifests.of("ServiceAccount")}
    configured = {each["metadata"]["name"] for each in manifests.of("ConfigMap")}
    files = {
        value.removeprefix("/secrets/")
        for name, value in manifests.settings().items()
        if name.endswith("_FILE")
    }

    selectors = [
        each["spec"]["selector"].get("matchLabels", each["spec"]["selector"])
        for each in manifests.of("Deployment", "PodDisruptionBudget", "Service")
    ]
    selectors += [
        each["spec"]["podSelector"]["matchLabels"] for each in manifests.of("NetworkPolicy")
    ]
    for selector in selectors:
        assert any(selector.items() <= each.items() for each in labels)
    assert files >= {"SENTRY_DSN", "BUGSNAG_API_KEY"} & set(documented(manifests))
    for pod in manifests.pods().values():
        volumes = {volume["name"] for volume in pod["volumes"]}
        named = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
        named |= {
            source["configMapRef"]["name"]
            for each in containers_of(pod)
            for source in each.get("envFrom", [])
        }
        assert pod["serviceAccountName"] in accounts
        assert named <= configured
        for each in containers_of(pod):
            assert {mount["name"] for mount in each["volumeMounts"]} <= volumes
    assert manifests.of("HorizontalPodAutoscaler")[0]["spec"]["scaleTargetRef"]["name"] == "web"
    assert manifests.secrets().keys() == files


def documented(manifests: Manifests) -> list[str]:
    """Return the variables that the service knows."""
    return re.findall(r"(?m)^\| `(\w+)` \|", (manifests.folder / "README.md").read_text())


def test_overlays_name_a_tag_as_releases_are_tagged(manifests: Manifests) -> None:
    """What runs at first has a tag of the form that the pipeline pushes (D6, D7)."""
    tags = re.findall(r"(?m)^ +image: \S*example-service\S*?(?::(\S+))?$", manifests.text)

    assert set(tags) == {"v0.1.0"}


def test_a_rollout_takes_nobody_away(manifests: Manifests) -> None:
    """New pods come before old ones go, these pause first, and all have the time to end (H9)."""
    web = manifests.one("Deployment", "web")
    front = manifests.pods()["web"]["containers"][-1]
    pauses = {
        each["name"]: each["lifecycle"]["preStop"]["sleep"]["seconds"]
        for each in manifests.pods()["web"]["containers"]
    }

    assert web["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert pauses[front["name"]] >= 10
    assert pauses["service"] >= pauses[front["name"]]
    if manifests.answers.get("server") == "daphne":
        assert pauses["service"] - 10 >= 30
        assert pauses["service"] < web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    else:
        graceful = pauses["service"] + 25
        assert graceful < web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def test_probes_ask_the_right_question(manifests: Manifests) -> None:
    """Only readiness looks at dependencies, and the start has the time it may take (H5, H6)."""
    (service, *_) = manifests.pods()["web"]["containers"]
    startup = service["startupProbe"]

    paths = {
        name: service[f"{name}Probe"]["httpGet"]["path"]
        for name in ("liveness", "readiness", "startup")
    }
    assert paths == {
        "liveness": "/__lbheartbeat__",
        "readiness": "/health",
        "startup": "/__lbheartbeat__",
    }
    assert service["readinessProbe"]["timeoutSeconds"] > 2.5
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 30 + 15
    for name, pod in manifests.pods().items():
        waits = "migrated" in {each["name"] for each in pod.get("initContainers", [])}
        assert waits == (name in {"web", "worker"})


def test_prometheus_reaches_the_service_itself(manifests: Manifests) -> None:
    """It is led to the service's own port, which is open, and its job may be told (O3, D6)."""
    pods = manifests.one("Deployment", "web")["spec"]["template"]
    (allowed,) = manifests.one("NetworkPolicy", "web")["spec"]["ingress"]
    alerts = (manifests.folder / "deploy/prometheus/alerts.yaml").read_text()
    readme = (manifests.folder / "README.md").read_text()

    (service, *_) = pods["spec"]["containers"]
    (port,) = service["ports"]
    (rule,) = yaml.safe_load(re.findall(r"(?m)^```yaml\n([^`]+)^```$", readme)[0])
    overlays = (manifests.folder / "deploy/kubernetes/overlays" / name for name in OVERLAYS)
    production, staging = (
        re.fullmatch(rule["regex"], re.findall(r"(?m)^  namespace: (.+)$", build(overlay))[0])
        for overlay in overlays
    )

    assert service["name"] == "service"
    assert pods["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    assert port["name"] in {each["port"] for each in allowed["ports"]}
    assert rule["source_labels"] == ["__meta_kubernetes_namespace"]
    assert production
    assert staging
    for job in (production[1], staging[1]):
        assert all(re.fullmatch(each, job) for each in re.findall(r'job=~"(.+?)"', alerts))
    assert re.findall(r'job="(.+?)"', alerts) == [production[1]]


def test_connections_fit_into_a_database_as_it_comes(manifests: Manifests) -> None:
    """At the most, during a rollout, everything stays below 97 connections (D6, P3)."""
    most = manifests.of("HorizontalPodAutoscaler")[0]["spec"]["maxReplicas"] + 1
    number = manifests.settings().get("WEB_CONCURRENCY", 2)
    processes = 1 if manifests.answers.get("server") == "daphne" else int(number)
    readme = (manifests.folder / "README.md").read_text()

    each = connections(manifests, processes)
    workers = working(manifests)
    migrating = 2

    replicas = most * (each + processes)
    assert replicas + workers + migrating <= 100 - 3
    times = "\N{MULTIPLICATION SIGN}"
    total = replicas + workers + migrating + 3
    others = f" + 3 {times} {workers // 3} + 5" if workers else " + 5"
    assert f": {most} {times} {each + processes}{others} = {total} connections" in readme


def working(manifests: Manifests) -> int:
    """Return how many connections the workers have at the most, during a rollout."""
    if "worker" not in manifests.pods():
        return 0
    spec = manifests.one("Deployment", "worker")["spec"]
    arguments = spec["template"]["spec"]["containers"][0]["args"]
    # One that takes its tasks from the database needs another to show that it lives.
    each = int(arguments[-1]) if "--concurrency" in arguments else 2
    return (spec["replicas"] + spec["strategy"]["rollingUpdate"]["maxSurge"]) * each


def connections(manifests: Manifests, processes: int) -> int:
    """Return how many connections a replica keeps, by the service's own configuration."""
    if manifests.answers.get("server", "gunicorn") in {"gunicorn", "uwsgi"}:
        name = "uwsgi.ini" if manifests.answers.get("server") == "uwsgi" else "gunicorn.conf.py"
        text = (manifests.folder / "config" / name).read_text()
        return processes * int(re.search(r"(?m)^threads = (\d+)$", text)[1])
    return processes * int(manifests.settings().get("DATABASE_POOL_SIZE", 8))


def variables(manifests: Manifests, folder: Path, secrets: dict[str, str]) -> dict[str, str]:
    """Return the variables of a pod, with the files of its Secret in a folder."""
    folder.mkdir()
    for name, value in secrets.items():
        (folder / name).write_text(value)
    return {
        name: value.replace("/secrets/", f"{folder}/")
        for name, value in manifests.settings().items()
    }


@pytest.mark.slow
def test_the_settings_are_all_that_production_needs(manifests: Manifests, tmp_path: Path) -> None:
    """With ConfigMap and Secret the service has every variable, and refuses examples (S3, S10)."""
    project = Project(manifests.answers, manifests.folder)
    broker = "redis://redis/1" if manifests.answers.get("task_queue") == "redis" else "amqp://mq"
    values = {**containers.PRODUCTION, "CELERY_BROKER_URL": broker}
    filled = {name: values.get(name, "") for name in manifests.secrets()}
    check = ("check", "--deploy", "--fail-level", "WARNING")

    done = project.manage(*check, variables=variables(manifests, tmp_path / "filled", filled))
    refused = project.manage(
        *check,
        variables=variables(manifests, tmp_path / "example", manifests.secrets()),
        check=False,
    )

    assert "no issues" in done.stdout
    named = set(re.findall(r"(?m)^  (\w+) still holds the placeholder", refused.stdout))
    assert named == {
        name
        for name, value in manifests.secrets().items()
        if "change-me" in value and name != "AWS_CREDENTIALS"
    }


@pytest.mark.slow
def test_pods_wait_for_the_migrations(tmp_path: Path, postgres: Postgres) -> None:
    """What comes before a server fails with a list until the Job is done (D6)."""
    manifests = Manifests({}, tmp_path / "service")
    project = Project(manifests.answers, manifests.folder)
    (before,) = manifests.pods()["web"]["initContainers"]
    (job,) = manifests.pods()["migrate"]["containers"]
    environment = {
        **PRODUCTION,
        "DATABASE_URL": postgres.database(),
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }

    def ends(each: dict[str, Any]) -> tuple[int, str]:
        own = {variable["name"]: variable["value"] for variable in each.get("env", [])}
        entry = [str(project.folder / "docker-entrypoint.sh"), *each["args"]]
        process = project.start({**environment, **own}, command=entry)
        return process.wait(60), process.output

    first = ends(before)
    migrated = ends(job)
    second = ends(before)

    assert first[0] == 1
    assert "users.0001_initial" in first[1]
    assert (migrated[0], second[0]) == (0, 0)


class Pod:
    """The containers of a pod, as Docker runs them by its manifest."""

    def __init__(self, manifests: Manifests, stack: ExitStack, folder: Path) -> None:
        self.manifests = manifests
        self.stack = stack
        self.folder = folder
        self.spec = manifests.pods()["web"]
        self.names: dict[str, str] = {}

    def start(self, name: str, place: str, tag: str, *options: str) -> None:
        """Start a container in a network."""
        (spec,) = (each for each in containers_of(self.spec) if each["name"] == name)
        mounts = [self.mount(each) for each in spec["volumeMounts"]]
        confined = (f"--user={self.spec['securityContext']['runAsUser']}:10001", "--read-only")
        confined += ("--cap-drop=ALL", "--security-opt=no-new-privileges", f"--network={place}")
        started = container(
            tag,
            *spec.get("args", []),
            options=(*confined, *mounts, *options),
            environment=self.manifests.settings() if "envFrom" in spec else None,
        )
        self.names[name] = self.stack.enter_context(started)

    def mount(self, mount: dict[str, Any]) -> str:
        """Return the option that mounts a volume."""
        (volume,) = (each for each in self.spec["volumes"] if each["name"] == mount["name"])
        source = self.folder / mount["name"]
        if "configMap" in volume:
            source /= mount["subPath"]
        mode = ":ro" if mount.get("readOnly") else ""
        return f"--volume={source}:{mount['mountPath']}{mode}"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_pod_with_nginx_serves(tmp_path: Path) -> None:
    """Confined as the manifests say, nginx serves files and the service what it asks (S7, D6)."""
    require_docker()
    manifests = Manifests({"static_files": "nginx", "use_redis": False}, tmp_path / "service")
    secrets = {
        "SECRET_KEY": PRODUCTION["SECRET_KEY"],
        "DATABASE_URL": "postgres://postgres:secret@postgres:5432/postgres",
        "EMAIL_HOST_PASSWORD": "",
    }
    with ExitStack() as stack:
        net = stack.enter_context(network())
        stack.enter_context(postgres(net))
        tag = stack.enter_context(image(manifests.answers, tmp_path / "image"))
        pod = Pod(manifests, stack, tmp_path / "volumes")
        for name in ("nginx", "nginx-tmp", "secrets", "static", "tmp"):
            (tmp_path / "volumes" / name).mkdir(parents=True)
            # An emptyDir belongs to root, too, and lets others in.
            (tmp_path / "volumes" / name).chmod(0o777)
        for name, value in secrets.items():
            (tmp_path / "volumes/secrets" / name).write_text(value)
        (config,) = (each for each in manifests.of("ConfigMap") if "nginx.conf" in each["data"])
        (tmp_path / "volumes/nginx/nginx.conf").write_text(config["data"]["nginx.conf"])
        (alias,) = pod.spec["hostAliases"]
        hosts = [f"--add-host={name}:{alias['ip']}" for name in alias["hostnames"]]

        pod.start("static", net, tag)
        copied = docker("wait", pod.names["static"], timeout=60)
        pod.start("service", net, tag, *hosts)
        service = pod.names["service"]
        pod.start("nginx", f"container:{service}", "nginxinc/nginx-unprivileged:stable-alpine")
        until(lambda: status(service, "/health") == 200, 60, "the pod")
        (style,) = (tmp_path / "volumes/static/admin/css").glob("base.*.css")
        file = status(service, f"/static/admin/css/{style.name}")
        by_address = status(service, "/admin/login/")

    assert copied == "0"
    assert file == 200
    assert by_address == 400


def status(name: str, path: str) -> int:
    """Return the status with which nginx answers a path, or 0 while it does not."""
    try:
        return get(name, path, "--env=PORT=8080")[0]
    except AssertionError:
        assert inspect("container", name)["State"]["Running"], run("logs", name).stdout
        return 0


def test_the_job_of_a_backup_becomes_one_that_restores(tmp_path: Path) -> None:
    """What README puts between the commands changes what it runs, and nothing else (D8)."""
    manifests = Manifests({"use_dbbackup": True}, tmp_path)
    (job,) = manifests.scheduled()
    (change,) = re.findall(r"\| (sed '.+?') \|", (tmp_path / "README.md").read_text())

    done = subprocess.run(
        shlex.split(change), input=json.dumps(job, indent=4), capture_output=True, text=True
    )

    (container,) = job["spec"]["template"]["spec"]["containers"]
    container["args"] = ["python", "manage.py", "restore"]
    # Another attempt would find what the first has left behind.
    job["spec"]["backoffLimit"] = 0
    assert json.loads(done.stdout) == job


KUBECTL = """#!/bin/sh
echo "$1 $2" >> calls
case $1 in get) echo "$READY" ;; esac
"""


@pytest.mark.parametrize("ready", ["", "0", "1"])
def test_a_release_does_not_end_the_migrations_of_another(tmp_path: Path, ready: str) -> None:
    """Make looks whether they run before it removes their Job, and waits for its own (D6)."""
    write({"use_kubernetes": True}, tmp_path)
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["make", "deploy", "OVERLAY=staging"],
        cwd=tmp_path,
        env={"PATH": path, "READY": ready},
        capture_output=True,
        text=True,
    )

    calls = (tmp_path / "calls").read_text().splitlines()
    assert "kubectl logs --namespace example-service-staging --follow job/migrate" in done.stdout
    if ready == "1":
        assert (done.returncode, calls) == (2, ["get job"])
        assert "still migrates" in done.stdout
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert calls[1:4] == ["delete job", "apply --kustomize", "wait job"]
        assert calls[-1] == "rollout status"


def test_new_pods_may_wait_for_as_long_as_migrations_take(manifests: Manifests) -> None:
    """A rollout is no failure while the Job has time left (D6)."""
    most = manifests.one("Job", "migrate")["spec"]["activeDeadlineSeconds"]

    for each in manifests.of("Deployment"):
        before = each["spec"]["template"]["spec"].get("initContainers", [])
        if "migrated" in {container["name"] for container in before}:
            assert each["spec"]["progressDeadlineSeconds"] > most


def test_unused_manifests_leave_no_trace() -> None:
    """Without the option nothing of it is rendered (T7)."""
    for server in options()["server"]:
        paths = render({"server": server, "static_files": "nginx", "task_queue": "database"})

        assert [path for path in paths if "kubernetes" in path or "kustom" in path] == []

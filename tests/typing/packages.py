"""
The packages of other distributions. Never run; mypy and pyright find a name that is not there, and a wrong argument.
"""

from __future__ import annotations

import httpx

import remora_admin
import remora_balancers
import remora_http
import remora_prometheus

remora_http.through(lambda: httpx.MockTransport(lambda request: httpx.Response(200)))
remora_http.through(httpx.AsyncHTTPTransport, name="mine")
remora_http.through(httpx.AsyncClient)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
print(remora_admin.serving_admin_app)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
print(remora_balancers.Balancer)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
print(remora_http.wsgi)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
print(remora_prometheus.Collector)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

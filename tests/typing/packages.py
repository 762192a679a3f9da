"""
The packages of other distributions. Never run; mypy and pyright find a name that is not there.
"""

from __future__ import annotations

import remora_admin
import remora_balancers
import remora_http
import remora_prometheus

print(remora_admin.serving_admin_app)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
print(remora_balancers.Balancer)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
print(remora_http.wsgi)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
print(remora_prometheus.Collector)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

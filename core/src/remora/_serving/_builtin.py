"""
The services that every served plugin answers by itself: grpc.health.v1.Health and remora.v1.Plugin.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from remora._describe import DESCRIBE_METHOD, PLUGIN_SERVICE, PROTOCOL_VERSIONS, common_version
from remora.errors import Code, PluginError
from remora.types import Reply, Status
from remora.wire import HEALTH_METHOD, HEALTH_SERVICE, decode_health_request, encode_health

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora._methods import Method, ServiceInfo
    from remora.protocols import Codec
    from remora.types import Call, MethodInfo, PluginInfo

_log = logging.getLogger(__name__)

_PROTO = "application/proto"
_JSON = "application/json"
_MOST = 10


class Builtin:
    """
    Answers calls for the health and the description of the other services of a plugin.

    Attributes:
        is_draining: Whether the health service reports that no new calls are wanted.
    """

    def __init__(self, services: Sequence[tuple[ServiceInfo, Sequence[Method]]], *, json: Codec) -> None:
        self.is_draining = False
        self._services = services
        self._json = json

    def answers(self, service: str) -> bool:
        """
        Whether a service is one of the built-in ones.
        """
        return service in (HEALTH_SERVICE, PLUGIN_SERVICE)

    def answer(self, call: Call) -> Reply:
        """
        The reply to a call of a built-in service.

        Raises:
            PluginError: There is no such method, or the caller supports no version of the description known here.
        """
        if (call.service, call.method) == (HEALTH_SERVICE, HEALTH_METHOD):
            return self._health(call)
        if (call.service, call.method) == (PLUGIN_SERVICE, DESCRIBE_METHOD):
            self._agree_on_version(call)
            return Reply(payload=self._json.encode(self.describe()), content_type=_JSON)
        raise PluginError(f"there is no method {call.name}", code=Code.UNIMPLEMENTED)

    def describe(self) -> PluginInfo:
        """
        The description of all services together; the first one speaks for the plugin.
        """
        from remora.types import PluginInfo  # needed only when a host asks for a description

        first = self._services[0][0]
        return PluginInfo(
            name=first.name,
            version=first.version,
            description=first.description,
            author=first.author,
            capabilities=first.capabilities,
            metadata=first.metadata,
            methods=tuple(_method_info(info, method) for info, methods in self._services for method in methods),
            protocol_versions=PROTOCOL_VERSIONS,
        )

    def _health(self, call: Call) -> Reply:
        """
        The answer of the health service: for the whole plugin, or for one of its services by name.
        """
        is_json = call.content_type.partition(";")[0].strip().lower() == _JSON
        asked = self._asked_in_json(call) if is_json else decode_health_request(call)
        if asked and asked not in {info.name for info, _ in self._services}:
            raise PluginError(f"there is no service {asked!r}", code=Code.NOT_FOUND)
        if is_json:
            word = "NOT_SERVING" if self.is_draining else "SERVING"
            return Reply(payload=self._json.encode({"status": word}), content_type=_JSON)
        return Reply(
            payload=encode_health(Status.UNHEALTHY if self.is_draining else Status.HEALTHY), content_type=_PROTO
        )

    def _agree_on_version(self, call: Call) -> None:
        try:
            theirs = self._json.decode(call.payload or b"{}", dict[str, tuple[int, ...]]).get("protocol_versions", ())
        except ValueError:
            return  # a request in another form gets the version that there is
        if common_version(theirs) is None:
            ours = ", ".join(map(str, PROTOCOL_VERSIONS))
            message = (
                f"this plugin speaks version {ours} of {PLUGIN_SERVICE}, the host {', '.join(map(str, theirs[:_MOST]))}"
            )
            _log.info("refused a host: %s", message)
            raise PluginError(message, code=Code.FAILED_PRECONDITION)

    def _asked_in_json(self, call: Call) -> str:
        try:
            request = self._json.decode(call.payload or b"{}", dict[str, str])
        except ValueError as error:
            raise PluginError(f"the request of {call.name} is wrong: {error}", code=Code.INVALID_ARGUMENT) from error
        return request.get("service", "")


def _method_info(info: ServiceInfo, method: Method) -> MethodInfo:
    from remora._schema import json_schema
    from remora.types import MethodInfo

    return MethodInfo(
        service=info.name,
        name=method.name,
        description=method.description,
        idempotent=method.idempotent,
        request=json_schema(method.request),
        response=json_schema(method.response),
    )

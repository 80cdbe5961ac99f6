"""Envoy accepts its configuration, which has a fitting route for each method of the contract."""

import re
import subprocess
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor
from pecia.v1 import admin_service_pb2, prompt_service_pb2, registry_service_pb2
from pecia_service.settings import SETTINGS, Settings
from support.certificates import Authority
from support.deploy import Document, read_yaml
from support.envoy import CONFIGURATION, PROGRAM, connection_manager, routes, write_configuration

(ENVOY,) = read_yaml(CONFIGURATION)
METHODS: list[MethodDescriptor] = [
    method
    for file in (registry_service_pb2, prompt_service_pb2, admin_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
INSIDE = {"RedactAuditRecord", "PruneAuditRecords", "EraseTemplate", "ListTemplateErasures"}
MOVES = {"SetLabel", "RollBackLabel", "DeleteLabel"}
DEFAULTS = Settings.load({})


def routes_of(method: MethodDescriptor) -> list[Document]:
    """Return the routes that a method's path matches; Envoy's regular expressions match whole paths."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    return [route for route in routes(ENVOY) if re.fullmatch(route["match"]["safe_regex"]["regex"], path)]


def seconds(text: str) -> float:
    """Read a duration."""
    return float(text.removesuffix("s"))


@pytest.mark.parametrize("change", ["", "no_such_field: 1\n"], ids=["as it is", "with an unknown field"])
def test_envoy_accepts_the_configuration(tmp_path: Path, change: str) -> None:
    """Envoy itself validates it, types and files and all; and would see an unknown field."""
    path = write_configuration(tmp_path, Authority())
    path.write_text(path.read_text(encoding="utf-8") + change, encoding="utf-8")
    command = [PROGRAM, "--mode", "validate", "--config-path", path]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (change == "") == (run.returncode == 0), run.stderr
    assert [] == [line for line in run.stderr.splitlines() if "[warning]" in line and "deprecated" in line]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_each_method_has_one_route_or_none_on_purpose(method: MethodDescriptor) -> None:
    """A method that is added to the contract has to be put somewhere."""
    assert (0 if method.name in INSIDE else 1) == len(routes_of(method))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_only_what_may_be_done_twice_is_retried(method: MethodDescriptor) -> None:
    """A stream and a move of a label are sent again only if no server saw them."""
    never_seen = {"connect-failure", "refused-stream"}
    repeatable = never_seen | {"reset-before-request", "unavailable"}
    streaming = method.client_streaming or method.server_streaming
    expected = never_seen if streaming or method.name in MOVES else repeatable
    for route in routes_of(method):
        assert expected == set(route["route"]["retry_policy"]["retry_on"].split(","))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_only_streams_are_without_a_bound(method: MethodDescriptor) -> None:
    """Other calls get a little more than the server's own default deadline, and theirs if they have one."""
    for route in routes_of(method):
        bound = route["route"].get("max_stream_duration")
        assert (method.client_streaming or method.server_streaming) == (bound is None)
        assert "0s" == route["route"]["timeout"]
        if bound is not None:
            assert seconds(bound["max_stream_duration"]) > DEFAULTS.default_deadline


def test_silence_on_a_stream_is_borne_as_long_as_the_server_bears_it() -> None:
    """Else Envoy would end a stream that waits for its client's next payload."""
    assert seconds(connection_manager(ENVOY)["stream_idle_timeout"]) >= DEFAULTS.default_stream_deadline


def test_pings_are_no_more_often_than_the_server_allows() -> None:
    """Else the server would disconnect Envoy."""
    (cluster,) = ENVOY["static_resources"]["clusters"]
    (options,) = cluster["typed_extension_protocol_options"].values()
    keepalive = options["explicit_http_config"]["http2_protocol_options"]["connection_keepalive"]
    assert seconds(keepalive["interval"]) >= DEFAULTS.keepalive_min_ping


def test_the_access_log_has_no_headers_but_harmless_ones() -> None:
    """The path and the request id: no key, cookie, payload or prompt."""
    (log,) = connection_manager(ENVOY)["access_log"]
    values = log["typed_config"]["log_format"]["json_format"].values()
    headers = {name for value in values for name in re.findall(r"%(?:REQ|RESP|TRAILER)\((.*?)\)", value)}
    assert {":PATH", "X-REQUEST-ID"} == headers


def test_its_comments_name_settings() -> None:
    """Whoever compares the two finds them."""
    named = set(re.findall(r"PECIA_[A-Z_]+", CONFIGURATION.read_text(encoding="utf-8")))
    assert named <= {setting.env for setting in SETTINGS}

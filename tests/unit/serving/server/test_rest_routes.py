import pytest

from serving.server.errors import ServingError
from serving.server.manager import Wanted
from serving.server.rest_routes import route


@pytest.mark.parametrize(
    ("method", "path", "verb", "wanted"),
    [
        ("POST", "/v1/models/m:predict", "predict", Wanted("m")),
        ("POST", "/V1/Models/M:PreDict", "predict", Wanted("M")),
        ("POST", "/v1/models/m/versions/12:classify", "classify", Wanted("m", 12)),
        ("POST", "/v1/models/m/labels/a%20b:regress", "regress", Wanted("m", None, "a b")),
        ("POST", "/v1/models/a%2Fb%3Ac:predict", "predict", Wanted("a/b:c")),
        ("GET", "/v1/models/m", "status", Wanted("m")),
        ("GET", "/v1/models/m/versions/1", "status", Wanted("m", 1)),
        ("GET", "/v1/models/m/labels/stable/metadata", "metadata", Wanted("m", None, "stable")),
        ("GET", "/v1/models/m?x=1", "status", Wanted("m?x=1")),
        ("GET", "/v1/models/..", "status", Wanted("..")),
    ],
)
def test_a_path_when_known_then_is_routed(method, path, verb, wanted):
    assert route(method, path.encode()) == (verb, wanted)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/m:predict"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m:predict?x=1"),
        ("POST", "/v1/models/m:explain"),
        ("POST", "/v1/models/:predict"),
        ("POST", "/v1/models:predict"),
        ("PUT", "/v1/models/m:predict"),
        ("GET", "/v1/"),
        ("GET", "/v1/models/m/versions/x"),
        ("GET", "/v1/models/m/versions/1/labels/a"),
        ("GET", "/v1/models/m/../../../etc/passwd"),
    ],
)
def test_a_path_when_no_route_under_v1_then_is_malformed(method, path):
    with pytest.raises(ServingError) as caught:
        route(method, path.encode())
    assert caught.value.message == f"Malformed request: {method} {path}"
    assert caught.value.http_status == 400


@pytest.mark.parametrize("version", ["9223372036854775808", "9" * 10_000])
def test_a_version_when_beyond_64_bits_then_is_refused(version):
    with pytest.raises(ServingError, match="Failed to convert version: 9"):
        route("GET", f"/v1/models/m/versions/{version}".encode())


def test_a_model_when_it_has_no_name_then_that_is_said():
    with pytest.raises(ServingError, match="Missing model name"):
        route("GET", b"/v1/models")


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models/m", "/metrics", "/v1models/m"])
def test_a_path_when_outside_v1_then_is_none(path):
    assert route("GET", path.encode()) is None

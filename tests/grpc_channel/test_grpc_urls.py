"""The URL of a request, given the target of its channel."""

from __future__ import annotations

import pytest

from multitrack.tape.interceptors.grpc.grpc_call import method_url


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("us-central1-aiplatform.googleapis.com:443", "us-central1-aiplatform.googleapis.com"),
        ("us-central1-aiplatform.googleapis.com", "us-central1-aiplatform.googleapis.com"),
        ("DNS:///API.example.com:443", "api.example.com"),
        ("dns:///api.example.com:8443", "api.example.com:8443"),
        ("dns://8.8.8.8/api.example.com:443", "api.example.com"),
        ("dns:api.example.com:443", "api.example.com"),
        ("passthrough:///api.example.com:443", "api.example.com"),
        ("google-c2p:///api.example.com", "api.example.com"),
        ("localhost:50051", "localhost:50051"),
        ("ipv4:127.0.0.1:50051", "127.0.0.1:50051"),
        ("ipv6:[::1]:50051", "[::1]:50051"),
        ("[::1]:443", "[::1]"),
        ("[fe80::443]", "[fe80::443]"),
        ("unix:/run/talk.sock", "%2Frun%2Ftalk.sock"),
        ("unix:///run/talk.sock", "%2Frun%2Ftalk.sock"),
        ("unix-abstract:talk", "talk"),
    ],
)
def test_the_url_has_the_host_of_the_target(target, host):
    assert method_url(target, "/pkg.Service/Method") == f"grpc://{host}/pkg.Service/Method"

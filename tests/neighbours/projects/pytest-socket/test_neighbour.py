"""pytest-socket blocks what the tape does not see."""

import socket

import pytest
from app import ask
from pytest_socket import SocketBlockedError


@pytest.mark.cassette
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_allowed_hosts():
    assert "weather" in ask()


@pytest.mark.disable_socket
def test_blocked_socket():
    with pytest.raises(SocketBlockedError):
        socket.socket()

import socket
import threading

import pytest
from recorded_tape import RecordedCassette


@pytest.fixture
def recorded(tmp_path):
    """A cassette that exchanges are recorded to and replayed from."""
    return RecordedCassette(tmp_path / "tape.yaml")


@pytest.fixture
def serve():
    """Return a function that starts a server which sends one response, in bytes, to every request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answers = []

        def answer_each():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    received = b""
                    while b"\r\n\r\n" not in received:
                        received += connection.recv(65536)
                    connection.sendall(answers[-1])

        threading.Thread(target=answer_each, daemon=True).start()

        def start(answer):
            answers.append(answer)
            return f"http://127.0.0.1:{listener.getsockname()[1]}/"

        yield start
        listener.shutdown(socket.SHUT_RDWR)

"""Contexts for TLS that are created while a cassette replays load their authorities later, and trust the same ones."""

import asyncio
import datetime
import gc
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import httpx
import httpx2
import pytest
import trustme

from multitrack import use_cassette

SECOND = datetime.timedelta(seconds=1)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # a client that refuses the certificate

    @property
    def url(self):
        return f"https://localhost:{self.server_port}/"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def client_authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def servers(starts_server, authority, client_authority):
    """Servers by their certificate."""
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificates = {
        "good": authority.issue_cert("localhost"),
        "unknown": trustme.CA().issue_cert("localhost"),
        "expired": authority.issue_cert("localhost", not_before=yesterday - SECOND, not_after=yesterday),
        "other name": authority.issue_cert("other.test"),
        "client": authority.issue_cert("localhost"),
    }
    started = {}
    for name, certificate in certificates.items():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        if name == "client":
            client_authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        server = started[name] = Server(("127.0.0.1", 0), Handler)
        # each connection makes its handshake in its own thread
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield {name: server.url for name, server in started.items()}
    for server in started.values():
        server.shutdown()
        server.server_close()


@pytest.fixture
def bundle(authority, tmp_path):
    """The file of an authority, which this process has loaded once."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    with replaying(tmp_path):
        ssl.create_default_context(cafile=str(path))
    return str(path)


def replaying(folder):
    return use_cassette(folder / "none.yaml", mode="replay")


def is_deferred(context):
    return type(context) is not ssl.SSLContext


def get_with_httpx(context, url):
    with httpx.Client(verify=context) as client:
        return client.get(url).text


def get_with_httpx2(context, url):
    with httpx2.Client(verify=context) as client:
        return client.get(url).text


def get_with_aiohttp(context, url):
    aiohttp = pytest.importorskip("aiohttp")

    async def get():
        connector = aiohttp.TCPConnector(ssl=context, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
            return await response.text()

    return asyncio.run(get())


def get_with_asyncio(context, url):
    async def get():
        reader, writer = await asyncio.open_connection("localhost", int(url.split(":")[2].strip("/")), ssl=context)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.partition(b"\r\n\r\n")[2].decode()

    return asyncio.run(get())


CLIENTS = [get_with_httpx, get_with_httpx2, get_with_aiohttp, get_with_asyncio]


@pytest.mark.parametrize("get", CLIENTS)
class TestLaterUse:
    """A context that was created while a cassette replayed is used live after that."""

    def test_it_accepts_a_good_certificate(self, get, bundle, servers, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context(cafile=bundle)
        assert is_deferred(context)
        assert get(context, servers["good"]) == "ok"

    @pytest.mark.parametrize("server", ["unknown", "expired", "other name"])
    def test_it_refuses_a_bad_certificate(self, get, server, bundle, servers, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context(cafile=bundle)
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            get(context, servers[server])


def test_it_sends_a_client_certificate(bundle, servers, client_authority, tmp_path):
    with replaying(tmp_path):
        context = ssl.create_default_context(cafile=bundle)
        client_authority.issue_cert("client@example.org").configure_cert(context)
    assert get_with_httpx(context, servers["client"]) == "ok"


def test_a_self_signed_certificate_is_refused(bundle, starts_server, tmp_path):
    own = trustme.CA()
    with replaying(tmp_path):
        context = ssl.create_default_context(cafile=bundle)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    chain = tmp_path / "own.pem"
    chain.write_bytes(own.private_key_pem.bytes() + own.cert_pem.bytes())
    server.load_cert_chain(chain)
    assert shake_hands(context, server) == "self-signed certificate"


def test_an_authority_that_was_added_later_is_trusted(bundle, servers, tmp_path):
    other = trustme.CA()
    with replaying(tmp_path):
        context = ssl.create_default_context(cafile=bundle)
    other.configure_trust(context)
    assert shake_hands(context, server_context(other)) is None
    assert get_with_httpx(context, servers["good"]) == "ok"


def server_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def shake_hands(client, server):
    """Make a handshake in memory. Returns why the client refuses the certificate, or None."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    return None


class TestFiles:
    def test_a_missing_file_raises_where_it_is_passed(self, tmp_path):
        with replaying(tmp_path), pytest.raises(FileNotFoundError):
            ssl.create_default_context(cafile=str(tmp_path / "missing.pem"))

    def test_a_damaged_file_raises_where_it_is_passed(self, tmp_path):
        (tmp_path / "damaged.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        for _ in range(2):
            with replaying(tmp_path), pytest.raises(ssl.SSLError):
                ssl.create_default_context(cafile=str(tmp_path / "damaged.pem"))

    def test_a_file_that_was_damaged_since_raises_where_it_is_passed(self, bundle, tmp_path):
        Path(bundle).write_text("damaged")
        with replaying(tmp_path), pytest.raises(ssl.SSLError):
            ssl.create_default_context(cafile=bundle)

    @pytest.mark.parametrize("change", [Path.unlink, lambda path: trustme.CA().cert_pem.write_to_path(path)])
    def test_a_later_change_does_not_matter(self, change, bundle, authority, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context(cafile=bundle)
        change(Path(bundle))
        assert shake_hands(context, server_context(authority)) is None

    def test_a_file_that_replaced_another_one_is_not_trusted_by_older_contexts(self, bundle, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context(cafile=bundle)
        other = trustme.CA()
        other.cert_pem.write_to_path(bundle)
        assert shake_hands(context, server_context(other)) == "unable to get local issuer certificate"

    def test_an_error_while_loading_is_raised_again(self, bundle, authority, tmp_path, monkeypatch):
        with replaying(tmp_path):
            context = ssl.create_default_context(cafile=bundle)
        with monkeypatch.context() as patched:
            Path(bundle).unlink()
            patched.setattr("tempfile.tempdir", str(tmp_path / "missing"))
            for _ in range(2):
                with pytest.raises(FileNotFoundError):
                    shake_hands(context, server_context(authority))
        assert shake_hands(context, server_context(authority)) is None


class TestDefaultPaths:
    """``ssl.create_default_context()`` reads the variables SSL_CERT_FILE and SSL_CERT_DIR."""

    def create(self, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context()
        assert is_deferred(context)
        return context

    def test_the_file_is_trusted(self, bundle, authority, tmp_path, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", bundle)
        assert shake_hands(self.create(tmp_path), server_context(authority)) is None

    def test_a_variable_that_is_set_later_has_no_effect(self, bundle, authority, tmp_path, monkeypatch):
        other = trustme.CA()
        other.cert_pem.write_to_path(tmp_path / "other.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
        context = self.create(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", bundle)
        assert shake_hands(context, server_context(authority)) == "unable to get local issuer certificate"
        assert shake_hands(context, server_context(other)) is None

    def test_a_later_change_of_the_file_has_no_effect(self, bundle, authority, tmp_path, monkeypatch):
        other = trustme.CA()
        other.cert_pem.write_to_path(tmp_path / "changed.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "changed.pem"))
        context = self.create(tmp_path)
        shutil.copy(bundle, tmp_path / "changed.pem")
        assert shake_hands(context, server_context(authority)) == "unable to get local issuer certificate"
        assert shake_hands(context, server_context(other)) is None

    def test_a_pipe_is_read_only_once(self, bundle, authority, tmp_path, monkeypatch):
        reading, writing = os.pipe()
        os.write(writing, Path(bundle).read_bytes())
        os.close(writing)
        monkeypatch.setenv("SSL_CERT_FILE", f"/dev/fd/{reading}")
        with replaying(tmp_path):
            context = ssl.create_default_context()
        assert shake_hands(context, server_context(authority)) is None
        os.close(reading)

    def test_a_missing_file_is_ignored(self, authority, tmp_path, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
        with replaying(tmp_path):
            context = ssl.create_default_context()
        authority.cert_pem.write_to_path(tmp_path / "missing.pem")
        assert context.get_ca_certs() == []

    def test_a_damaged_file_is_ignored(self, bundle, authority, tmp_path, monkeypatch):
        (tmp_path / "damaged.pem").write_text("damaged")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "damaged.pem"))
        context = self.create(tmp_path)
        assert context.get_ca_certs() == []
        context.load_verify_locations(bundle)
        assert shake_hands(context, server_context(authority)) is None


class TestReading:
    """A context loads its certificates when they are read."""

    def test_the_certificates_are_listed(self, bundle, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context(cafile=bundle)
            assert len(context.get_ca_certs()) == 1
        assert not is_deferred(context)

    def test_the_certificates_are_counted(self, bundle, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context(cafile=bundle)
            assert context.cert_store_stats()["x509_ca"] == 1

    def test_the_context_looks_like_any_other(self, bundle, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context(cafile=bundle)
        assert isinstance(context, ssl.SSLContext)
        assert repr(context).startswith("<ssl.SSLContext object at ")

    def test_the_context_is_freed(self, bundle, tmp_path):
        with replaying(tmp_path):
            context = weakref.ref(ssl.create_default_context(cafile=bundle))
        gc.collect()
        assert context() is None


class TestOtherContexts:
    def test_servers_load_at_once(self, bundle, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=bundle)
        assert not is_deferred(context)

    def test_subclasses_load_at_once(self, bundle, tmp_path):
        class Own(ssl.SSLContext):
            def load_verify_locations(self, *args, **kwargs):
                self.calls = [*getattr(self, "calls", ()), args]
                super().load_verify_locations(*args, **kwargs)

        with replaying(tmp_path):
            context = Own(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(bundle)
        assert type(context) is Own
        assert context.calls == [(bundle,)]

    def test_truststore_accepts_and_refuses(self, bundle, servers, tmp_path, monkeypatch):
        truststore = pytest.importorskip("truststore")
        monkeypatch.setenv("SSL_CERT_FILE", bundle)
        with replaying(tmp_path):
            context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(bundle)
        assert get_with_httpx(context, servers["good"]) == "ok"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            get_with_httpx(context, servers["unknown"])

    def test_contexts_share_nothing(self, bundle, tmp_path):
        other = trustme.CA()
        with replaying(tmp_path):
            first, second = (ssl.create_default_context(cafile=bundle) for _ in range(2))
        other.configure_trust(first)
        assert len(first.get_ca_certs()) == 2
        assert len(second.get_ca_certs()) == 1


class TestConcurrency:
    def test_threads_wait_for_the_certificates(self, bundle, authority, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context(cafile=bundle)
        server, results = server_context(authority), []
        threads = [threading.Thread(target=lambda: results.append(shake_hands(context, server))) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [None] * 16

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_a_forked_process_verifies(self, bundle, authority, tmp_path):
        with replaying(tmp_path):
            context = ssl.create_default_context(cafile=bundle)
        good, bad = server_context(authority), server_context(trustme.CA())
        read_end, write_end = os.pipe()
        if os.fork() == 0:
            os.write(write_end, repr((shake_hands(context, good), shake_hands(context, bad))).encode())
            os._exit(0)
        os.close(write_end)
        os.wait()
        with open(read_end, "rb") as file:
            assert file.read() == b"(None, 'unable to get local issuer certificate')"

    @pytest.mark.slow
    def test_a_subprocess_is_not_affected(self, bundle, tmp_path):
        program = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
        with replaying(tmp_path):
            environment = {**os.environ, "SSL_CERT_FILE": bundle}
            printed = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        assert printed.stdout == b"1\n"


class TestModes:
    def is_patched(self):
        return "load_verify_locations" in vars(ssl.SSLContext)

    def test_nothing_is_patched_outside_of_a_replay(self):
        assert not self.is_patched()

    def test_a_replay_patches_ssl(self, tmp_path):
        with replaying(tmp_path):
            assert self.is_patched()

    @pytest.mark.parametrize("mode", ["record", "record-missing", "live"])
    def test_a_run_that_may_go_live_patches_nothing(self, mode, tmp_path):
        with use_cassette(tmp_path / "new.yaml", mode=mode):
            assert not self.is_patched()


def test_creating_a_client_is_fast(tmp_path):
    with replaying(tmp_path):
        ssl.create_default_context(cafile=certifi.where())
        start = time.process_time()
        for _ in range(10):
            ssl.create_default_context(cafile=certifi.where())
        taken = time.process_time() - start
    # a real load takes 200 ms or more
    assert taken < 0.05

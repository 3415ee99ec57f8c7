"""Replace the threads and sockets of the standard library before anything else is imported."""

from gevent import monkey

monkey.patch_all()

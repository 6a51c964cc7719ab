"""A forward proxy for tests: it makes the tunnels it is asked for (CONNECT)."""

import contextlib
import http.server
import socket
import threading


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


class Tunnel(http.server.BaseHTTPRequestHandler):
    """Answers CONNECT; what else a proxy does is up to its heirs."""

    def target(self) -> tuple[str, int]:
        """Where the tunnel leads to: to what it is asked for."""
        host, _, port = self.path.rpartition(":")
        return host, int(port)

    def do_CONNECT(self) -> None:
        with socket.create_connection(self.target()) as further:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(further, self.connection), daemon=True)
            back.start()
            _pump(self.connection, further)
            back.join()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

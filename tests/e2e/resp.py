"""A bare client of the Redis protocol (version 2, and what version 3 has beside it here): what was sent, what came back, and nothing that the test does not see."""

import socket


class ReplyError(Exception):
    """An error reply. `code` is its first word: MOVED, CLUSTERDOWN, BUSY, UNKNOWN, ERR, ..."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text
        self.code = text.split(" ", 1)[0]


class Closed(ConnectionError):
    """The other side closed the connection."""


def encode(*arguments):
    """A command as bytes."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if isinstance(argument, int):
            argument = str(argument)
        if isinstance(argument, str):
            argument = argument.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(parts)


class Connection:
    """One connection. After an OSError or Closed it is of no use any more: replies could belong to other commands."""

    def __init__(self, port, host="127.0.0.1", timeout_s=5.0):
        self.socket = socket.create_connection((host, port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next reply; an error reply is returned, not raised."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ReplyError(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind == b"_":
            return None
        if kind == b"%":
            return [self.receive() for _ in range(2 * int(rest))]
        if kind == b"$":
            return None if int(rest) < 0 else self._bytes(int(rest))
        if kind == b"*":
            return None if int(rest) < 0 else [self.receive() for _ in range(int(rest))]
        raise ValueError(f"no reply begins like this: {line!r}")

    def command(self, *arguments):
        """Sends a command and returns its reply; an error reply is returned, not raised."""
        self.send(encode(*arguments))
        return self.receive()

    def call(self, *arguments):
        """Sends a command and returns its reply; an error reply is raised."""
        reply = self.command(*arguments)
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def is_closed_by_server(self):
        """Waits until the server closes the connection, swallowing what it says before."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed("the server closed the connection")
        self.buffer += data

    def _line(self):
        while (end := self.buffer.find(b"\r\n")) < 0:
            self._more()
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return line

    def _bytes(self, count):
        while len(self.buffer) < count + 2:
            self._more()
        data = bytes(self.buffer[:count])
        del self.buffer[: count + 2]
        return data

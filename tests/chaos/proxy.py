# SPDX-License-Identifier: AGPL-3.0-or-later
"""proxy.py - a TCP proxy that can cut, tear, stall and refuse: between the programs and their servers.

Runs as a process of its own (`python3 proxy.py LISTENERS`, a JSON list of [name, host, port, target host,
target port]) and takes one JSON command a line on its standard input, answering each with one line:

  ["cut", NAMES]      resets every connection of these listeners           -> how many
  ["tear", NAMES]     the next data of each is delivered half, then reset  -> number armed
  ["answer", NAMES]   the next answer of the server is dropped, then reset -> number armed
  ["disarm", NAMES]   none of these any more                               -> how many there are
  ["torn"]            resets by tear and answer so far                     -> how many
  ["stall", NAMES]    nothing moves any more, new connections too          -> connections held
  ["waiting", NAMES]  connections with data that is not passed on          -> how many
  ["go", NAMES]       moves again                                          -> how many
  ["refuse", NAMES]   stops listening and resets                           -> how many were reset
  ["listen", NAMES]   listens again                                        -> 0
  ["count"]           connections open now                                 -> how many
"""
import array
import asyncio
import fcntl
import json
import socket
import struct
import subprocess
import sys
import termios
import threading

RESET = struct.pack("ii", 1, 0)


class Side(asyncio.Protocol):
    """One end of a connection; `peer` is the other."""

    def __init__(self, link, from_server):
        self.link, self.from_server = link, from_server
        self.transport, self.peer, self.full, self.early = None, None, False, b""

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link.sides.append(self)
        if not self.peer:
            asyncio.ensure_future(self.link.connect(self))
            return
        self.peer.peer = self
        transport.write(self.peer.early)
        self.link.flow()

    def data_received(self, data):
        link = self.link
        if not self.peer:  # the client was faster than the connection to the server
            self.early += data
            return
        if link.armed == "tear" or link.armed == "answer" and self.from_server:
            if link.armed == "tear" and len(data) > 1:
                self.peer.transport.write(data[: len(data) // 2])
            link.proxy.torn += 1
            link.reset(soon=link.armed == "tear")
            return
        self.peer.transport.write(data)

    def eof_received(self):
        return False

    def connection_lost(self, _):
        for side in self.link.sides:
            if side.transport and not side.transport.is_closing():
                side.transport.close()
        self.link.proxy.links.discard(self.link)

    def pause_writing(self):
        self.full = True
        self.link.flow()

    def resume_writing(self):
        self.full = False
        self.link.flow()


class Link:
    """A connection through the proxy."""

    def __init__(self, proxy, name, target):
        self.proxy, self.name, self.target = proxy, name, target
        self.sides, self.armed = [], None
        proxy.links.add(self)

    async def connect(self, client):
        def server():
            side = Side(self, True)
            side.peer = client
            return side

        try:
            await asyncio.get_running_loop().create_connection(server, *self.target)
        except OSError:
            self.reset()

    def stalled(self):
        return self.name in self.proxy.stalled

    def flow(self):
        if len(self.sides) < 2:
            return
        for side in self.sides:
            if side.transport.is_closing():
                continue
            if self.stalled() or side.peer.full:
                side.transport.pause_reading()
            else:
                side.transport.resume_reading()

    def waiting(self):
        """Bytes that came and were not passed on."""
        total = 0
        for side in self.sides:
            size = array.array("i", [0])
            try:
                fcntl.ioctl(side.transport.get_extra_info("socket").fileno(), termios.FIONREAD, size)
            except OSError:
                continue
            total += size[0]
        return total

    def reset(self, soon=False):
        self.armed = None
        for side in self.sides:
            if side.transport.is_closing():
                continue
            if soon:
                side.transport.close()  # what was written before still goes out
                continue
            side.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            side.transport.abort()


class Proxy:
    def __init__(self, listeners):
        self.where = {name: ((host, port), (to, to_port)) for name, host, port, to, to_port in listeners}
        self.links, self.stalled, self.listening, self.torn = set(), set(), {}, 0

    async def listen(self, name):
        (host, port), target = self.where[name]
        self.listening[name] = await asyncio.get_running_loop().create_server(
            lambda: Side(Link(self, name, target), False), host, port, backlog=200)

    async def do(self, command, names=()):
        links = [link for link in self.links if link.name in names and len(link.sides) == 2]
        if command in ("cut", "refuse"):
            for name in names if command == "refuse" else ():
                self.listening[name].close()
            for link in links:
                link.reset()
            return len(links)
        if command in ("tear", "answer", "disarm"):
            for link in links:
                link.armed = command if command != "disarm" else None
            return len(links)
        if command == "torn":
            return self.torn
        if command == "listen":
            for name in names:
                await self.listen(name)
            return 0
        if command == "count":
            return len(self.links)
        if command == "waiting":
            return sum(link.waiting() > 0 for link in links)
        self.stalled = self.stalled | set(names) if command == "stall" else self.stalled - set(names)
        for link in links:
            link.flow()
        return len(links)

    async def run(self):
        for name in self.where:
            await self.listen(name)
        print("ready", flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            print(json.dumps(await self.do(*json.loads(line))), flush=True)


class Control:
    """The proxy's process, from the side of the test."""

    def __init__(self, listeners, log):
        self.lock = threading.Lock()
        self.process = subprocess.Popen([sys.executable, __file__, json.dumps(listeners)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the proxy did not start")

    def __call__(self, command, names=()):
        with self.lock:
            self.process.stdin.write(json.dumps([command, list(names)]) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


if __name__ == "__main__":
    asyncio.run(Proxy(json.loads(sys.argv[1])).run())

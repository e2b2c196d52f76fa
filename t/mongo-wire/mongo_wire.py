#!/usr/bin/python3
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

"""A stand-in for a MongoDB replica set of one: OP_MSG over TCP in front of
mongo_engine.py, with the faults of mongo_faults.py.  README.md beside it says
what it cannot prove.

usage: mongo_wire.py [--port N] [--standalone] [--transaction-seconds S]

Prints one line when it listens: its port and the control port.
"""

import argparse
import os
import socket
import socketserver
import struct
import sys
import threading
import time

import bson
from bson.codec_options import CodecOptions

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from mongo_engine import Engine, Failure          # noqa: E402
from mongo_faults import Faults                   # noqa: E402


OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
MESSAGE_MAX = 48000000
OPTIONS = CodecOptions(tz_aware=False)


class Closed(Exception):
    pass


def decode_message(body):
    flags = struct.unpack_from("<I", body)[0]
    end = len(body) - (4 if flags & 1 else 0)
    at, command, lists = 4, None, {}
    while at < end:
        kind = body[at]
        at += 1
        size = struct.unpack_from("<i", body, at)[0]
        if kind == 0:
            command = bson.decode(body[at:at + size], OPTIONS)
        else:
            zero = body.index(b"\0", at + 4)
            lists[body[at + 4:zero].decode()] \
                = bson.decode_all(body[zero + 1:at + size], OPTIONS)
        at += size
    command.update(lists)
    return flags, command


class Connection(socketserver.BaseRequestHandler):
    def take(self, size):
        data = bytearray()
        while len(data) < size:
            part = self.request.recv(min(size - len(data), 1 << 20))
            if not part:
                raise Closed
            data += part
        return bytes(data)

    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                self.serve_one()
        except (Closed, OSError):
            pass

    def serve_one(self):
        size, request, _, code = struct.unpack("<iiii", self.take(16))
        if size < 16 or size > MESSAGE_MAX:
            raise Closed
        body = self.take(size - 16)
        if code == OP_QUERY:
            self.answer_query(request, body)
        elif code == OP_MSG:
            self.answer_message(request, body)
        else:
            raise Closed

    def answer_query(self, request, body):
        """The first handshake of older drivers."""
        at = body.index(b"\0", 4) + 9
        size = struct.unpack_from("<i", body, at)[0]
        reply = self.run(bson.decode(body[at:at + size], OPTIONS))
        body = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(reply)
        self.request.sendall(struct.pack("<iiii", 16 + len(body), 1, request,
                                         OP_REPLY) + body)

    def answer_message(self, request, body):
        flags, command = decode_message(body)
        rule = self.server.faults.find(command)
        fault = rule["fault"] if rule else None
        if fault == "reset-before":
            self.reset()
        if fault == "cursor-lost":
            self.server.engine.cursors.clear()
        if fault == "error":
            reply = self.failed(rule)
        else:
            reply = self.run(command)
        if fault == "slow":
            time.sleep(rule["ms"] / 1000.0)
        elif fault == "stall":
            time.sleep(rule.get("ms", 3600000) / 1000.0)
            raise Closed
        elif fault == "reset-after":
            self.reset()
        elif fault == "concern":
            reply["writeConcernError"] = {
                "code": rule.get("code", 64),
                "errmsg": rule.get("text", "waiting for replication timed "
                                   "out")}
        elif fault == "stray":
            reply = {"ok": 1.0, "msg": "hello"}
        elif fault == "error-after":
            reply = self.failed(rule)
        if not flags & 2:
            self.send(request, reply, fault)

    def run(self, command):
        engine = self.server.engine
        try:
            name = next(iter(command))
            if not engine.primary and name.lower() not in ("hello",
                                                           "ismaster"):
                raise Failure(10107, "not primary")
            return engine.run(command)
        except Failure as failure:
            return failure.answer()
        except Exception as error:                # noqa: B902
            return Failure(2, repr(error)).answer()

    @staticmethod
    def failed(rule):
        return Failure(rule["code"], rule.get("text", "a fault by script"),
                       rule.get("labels", ())).answer()

    def send(self, request, reply, fault):
        body = struct.pack("<I", 0) + b"\0" + bson.encode(reply)
        size = 16 + len(body)
        if fault == "oversized":
            size = 0x7fffffff
        data = struct.pack("<iiii", size, 1, request, OP_MSG) + body
        if fault == "half":
            self.request.sendall(data[:len(data) // 2])
            raise Closed
        self.request.sendall(data)

    def reset(self):
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack("ii", 1, 0))
        self.request.close()
        raise Closed


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--standalone", action="store_true")
    parser.add_argument("--transaction-seconds", type=float, default=5.0)
    options = parser.parse_args()
    server = Server(("127.0.0.1", options.port), Connection)
    host = "127.0.0.1:%d" % server.server_address[1]
    server.engine = Engine(host, "" if options.standalone else "mesh",
                           options.transaction_seconds)
    server.faults = Faults(server.engine)
    control = server.faults.serve("127.0.0.1")
    print(server.server_address[1], control, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        while sys.stdin.read(1):      # ends with whoever started it
            pass
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()

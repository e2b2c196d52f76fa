# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

"""Faults on the wire, as a script: each rule names a command and what goes
wrong with it.  Rules come over the control port, one JSON object a line:

    {"fault": "slow", "command": "find", "ms": 300, "skip": 2, "times": 1}

command: of the wire ("*": any but hello and ping; default); collection: of
the command; skip: so many go well first; times: so many meet it (0: all).

    slow           the answer comes ms late
    stall          no answer at all, the connection stays
    half           half of the answer, then the end of the connection
    reset-before   RST, the command was not run
    reset-after    the command was run, RST instead of its answer
    error          the command was not run; code, text, labels of the answer
    concern        it was run; the answer has a writeConcernError (code, text)
    error-after    it was run; then as error
    cursor-lost    all cursors are gone before it
    oversized      a header that promises 2 GB
    stray          a good answer, to another command

Other lines: {"clear": 1} forgets all rules; {"primary": false} steps down
until {"primary": true}; {"stats": 1} answers the counts of commands, of
faults, and of reads and writes that asked for less than a majority.  Every line is answered by one line of JSON.
"""

import json
import socketserver
import threading


class Faults:
    def __init__(self, engine):
        self.engine = engine
        self.lock = threading.Lock()
        self.rules = []
        self.met = 0

    def find(self, command):
        """The rule that this command meets, or None."""
        name = next(iter(command))
        with self.lock:
            for rule in self.rules:
                if not self.match(rule, name, command):
                    continue
                if rule.get("skip", 0) > 0:
                    rule["skip"] -= 1
                    continue
                if rule["times"] == 1:
                    self.rules.remove(rule)
                elif rule["times"] > 1:
                    rule["times"] -= 1
                self.met += 1
                return rule
        return None

    @staticmethod
    def match(rule, name, command):
        wanted = rule.get("command", "*")
        if wanted == "*":
            if name.lower() in ("hello", "ismaster", "ping"):
                return False
        elif wanted != name:
            return False
        collection = rule.get("collection")
        return collection is None or command[name] == collection

    def control(self, line):
        wish = json.loads(line)
        if "fault" in wish:
            wish.setdefault("times", 1)
            with self.lock:
                self.rules.append(wish)
        elif "clear" in wish:
            with self.lock:
                self.rules = []
        elif "primary" in wish:
            self.engine.primary = bool(wish["primary"])
        elif "stats" in wish:
            return {"commands": self.engine.counts, "faults": self.met,
                    "rules": len(self.rules), "weak": self.engine.weak}
        else:
            return {"error": "not understood"}
        return {"ok": 1}

    def serve(self, host):
        faults = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                for line in self.rfile:
                    try:
                        reply = faults.control(line)
                    except (ValueError, KeyError) as error:
                        reply = {"error": str(error)}
                    self.wfile.write(json.dumps(reply).encode() + b"\n")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        server = Server((host, 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

"""Documents in memory with versions, and the commands on them.

What a filter, a sort and an update mean is mongomock's business, which is
nobody's of this project; what is ours is the rest of a replica set of one:
snapshots, transactions that meet (WriteConflict) or are undone, sessions,
retryable writes, unique indexes, cursors.  An unknown command answers 59.

One lock around everything: a command is atomic, as a document write of the
real server is.  Nothing is on disk, nothing is replicated.
"""

import bisect
import threading
import time

import bson
import mongomock
from mongomock.filtering import filter_applies, resolve_sort_key


TRANSIENT = "TransientTransactionError"
UNKNOWN_COMMIT = "UnknownTransactionCommitResult"

CODES = {
    2: "BadValue", 11: "UserDataInconsistent", 24: "LockTimeout",
    26: "NamespaceNotFound", 43: "CursorNotFound", 48: "NamespaceExists",
    50: "MaxTimeMSExpired", 59: "CommandNotFound", 64: "WriteConcernFailed",
    91: "ShutdownInProgress", 112: "WriteConflict",
    189: "PrimarySteppedDown", 239: "SnapshotTooOld", 225: "TransactionTooOld",
    251: "NoSuchTransaction", 256: "TransactionCommitted",
    263: "OperationNotSupportedInTransaction", 10107: "NotWritablePrimary",
    11000: "DuplicateKey", 11602: "InterruptedDueToReplStateChange",
    14031: "OutOfDiskSpace",
}


class Failure(Exception):
    """An answer with ok: 0."""

    def __init__(self, code, text, labels=()):
        super().__init__(text)
        self.code = code
        self.labels = labels

    def answer(self):
        reply = {"ok": 0.0, "code": self.code, "errmsg": str(self),
                 "codeName": CODES.get(self.code, "Location%d" % self.code)}
        if self.labels:
            reply["errorLabels"] = list(self.labels)
        return reply


class Duplicate(Exception):
    """A unique index has the value already."""


class Record:
    """One _id: committed versions, oldest first, and one pending."""

    __slots__ = ("versions", "owner", "pending")

    def __init__(self):
        self.versions = []            # (time of the commit, document or None)
        self.owner = None             # transaction that has written
        self.pending = None

    def last(self):
        return self.versions[-1][1] if self.versions else None

    def seen(self, transaction):
        if transaction is None:
            return self.last()
        if self.owner is transaction:
            return self.pending
        for at, document in reversed(self.versions):
            if at <= transaction.start:
                return document
        return None


class Transaction:
    def __init__(self, number, start):
        self.number = number
        self.start = start
        self.state = "active"
        self.written = {}             # (collection, _id): record
        self.deadline = None


class Moment:
    """What a snapshot session reads: no transaction, a time."""

    def __init__(self, start):
        self.start = start


class Session:
    def __init__(self):
        self.transaction = None
        self.retryable = (None, None)  # number of the last, its answer


class Collection:
    def __init__(self):
        self.records = {}
        self.ids = []                 # strings, sorted
        self.others = []              # _ids of another type
        self.indexes = {}             # name: (field, unique, sparse)
        self.values = {}              # field: {value: set of _ids}

    def record(self, key):
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = Record()
            if isinstance(key, str):
                bisect.insort(self.ids, key)
            else:
                self.others.append(key)
        return record

    def forget(self, key):
        del self.records[key]
        if isinstance(key, str):
            del self.ids[bisect.bisect_left(self.ids, key)]
        else:
            self.others.remove(key)

    def index(self, document):
        for field, values in self.values.items():
            if field in document:
                values.setdefault(document[field],
                                  set()).add(document["_id"])

    def candidates(self, query):
        """_ids that may match, in order of _id where they are strings."""
        clause = query.get("_id")
        if clause is not None:
            found = self.candidates_by_id(clause)
            if found is not None:
                return found
        for field, values in self.values.items():
            clause = query.get(field)
            if clause is None:
                continue
            if not isinstance(clause, dict):
                return sorted(values.get(clause, ()), key=str)
            if list(clause) == ["$in"]:
                found = set()
                for value in clause["$in"]:
                    found |= values.get(value, set())
                return sorted(found, key=str)
        return self.ids + self.others

    def candidates_by_id(self, clause):
        if not isinstance(clause, dict):
            return [clause] if clause in self.records else []
        if "$in" in clause:
            return sorted({key for key in clause["$in"]
                           if key in self.records}, key=str)
        low = clause.get("$gte", clause.get("$gt"))
        high = clause.get("$lt", clause.get("$lte"))
        if not isinstance(low or high, str):
            return None
        first = bisect.bisect_left(self.ids, low) if low else 0
        last = bisect.bisect_right(self.ids, high) if high else len(self.ids)
        return self.ids[first:last]


class Engine:
    snapshot_seconds = 300.0          # as the real server's default

    def __init__(self, host, set_name, transaction_seconds=5.0):
        self.host = host
        self.set_name = set_name      # empty: a standalone server
        self.transaction_seconds = transaction_seconds
        self.lock = threading.Condition()
        self.clock = 1
        self.collections = {}         # (database, name): Collection
        self.sessions = {}
        self.cursors = {}
        self.next_cursor = 1000
        self.primary = True
        self.counts = {}              # of commands, for tests
        self.weak = 0                 # reads or writes of less than a majority
        self.pins = {}                # time of a snapshot: until when it holds
        self.scratch = mongomock.MongoClient().scratch

    # Entry.

    def run(self, command):
        name = next(iter(command))
        self.counts[name] = self.counts.get(name, 0) + 1
        method = getattr(self, "run_" + name.lower(), None)
        if method is None:
            raise Failure(59, "no such command: '%s'" % name)
        with self.lock:
            self.reap()
            transaction = self.enter(name, command)
            self.check_concerns(name, command, transaction)
            if transaction is not None:
                return self.run_inside(method, command, transaction)
            return self.run_retryable(name, method, command)

    def check_concerns(self, name, command, transaction):
        """A transaction has them at its ends only; elsewhere the adapter is
        to ask for a majority."""
        read = command.get("readConcern", {}).get("level")
        write = command.get("writeConcern", {})
        ends = name in ("commitTransaction", "abortTransaction")
        strong = write.get("w") == "majority" and bool(write.get("j"))
        if transaction is not None:
            if "readConcern" in command \
                    and not command.get("startTransaction"):
                raise Failure(72, "readConcern inside a transaction")
            if "writeConcern" in command and not ends:
                raise Failure(72, "writeConcern inside a transaction")
            self.weak += command.get("startTransaction", False) \
                and read != "snapshot"
            self.weak += name == "commitTransaction" and not strong
        elif name in ("find", "aggregate"):
            self.weak += read not in ("majority", "snapshot")
        elif name in ("insert", "update", "delete", "findAndModify"):
            self.weak += not strong

    def run_inside(self, method, command, transaction):
        try:
            reply = method(command, transaction)
        except Failure as failure:
            if TRANSIENT in failure.labels:
                self.abort(transaction)
            raise
        if "writeErrors" in reply:
            self.abort(transaction)
        return reply

    def run_retryable(self, name, method, command):
        number = command.get("txnNumber")
        if number is None or name not in ("insert", "update", "delete",
                                          "findAndModify"):
            return method(command, None)
        session = self.session(command)
        if session.retryable[0] == number:
            return session.retryable[1]
        reply = method(command, None)
        session.retryable = (number, reply)
        return reply

    def session(self, command):
        return self.sessions.setdefault(str(command["lsid"]["id"]),
                                        Session())

    # Transactions.

    def enter(self, name, command):
        """The transaction that the command runs in, or None."""
        if command.get("autocommit") is not False:
            return None
        session = self.session(command)
        number = command["txnNumber"]
        current = session.transaction
        if command.get("startTransaction"):
            if name in ("create", "createIndexes", "drop"):
                raise Failure(263, "not in a transaction: " + name)
            if current is not None and current.number >= number:
                raise Failure(225, "the transaction number is not new")
            if current is not None and current.state == "active":
                self.abort(current)
            current = session.transaction = Transaction(number, self.clock)
            current.deadline = time.monotonic() + self.transaction_seconds
            return current
        if current is None or current.number != number \
                or current.state == "aborted":
            raise Failure(251, "the transaction %d has been aborted or is "
                          "not known" % number, (TRANSIENT,))
        if current.state == "committed" and name != "commitTransaction":
            raise Failure(256, "the transaction has been committed")
        return current

    def reap(self):
        now = time.monotonic()
        for session in self.sessions.values():
            current = session.transaction
            if current is not None and current.state == "active" \
                    and current.deadline < now:
                self.abort(current)

    def abort(self, transaction):
        if transaction.state != "active":
            return
        transaction.state = "aborted"
        for (collection, key), record in transaction.written.items():
            record.owner = record.pending = None
            if not record.versions:
                collection.forget(key)
        transaction.written = {}
        self.lock.notify_all()

    def commit(self, transaction):
        self.clock += 1
        for (collection, key), record in transaction.written.items():
            self.settle(collection, key, record, record.pending)
        transaction.written = {}
        transaction.state = "committed"
        self.lock.notify_all()

    def oldest(self):
        """The time that somebody may still read at."""
        for at in [at for at, until in self.pins.items()
                   if until < time.monotonic()]:
            del self.pins[at]
        starts = [s.transaction.start for s in self.sessions.values()
                  if s.transaction is not None
                  and s.transaction.state == "active"]
        return min(starts + list(self.pins) + [self.clock])

    def settle(self, collection, key, record, document):
        record.versions.append((self.clock, document))
        record.owner = record.pending = None
        oldest = self.oldest()
        while len(record.versions) > 1 and record.versions[1][0] <= oldest:
            del record.versions[0]
        if len(record.versions) == 1 and document is None \
                and record.versions[0][0] <= oldest:
            collection.forget(key)

    def run_committransaction(self, command, transaction):
        if transaction is None:
            raise Failure(2, "commitTransaction outside a transaction")
        if transaction.state == "active":
            self.commit(transaction)
        return {"ok": 1.0}

    def run_aborttransaction(self, command, transaction):
        if transaction is None:
            raise Failure(2, "abortTransaction outside a transaction")
        self.abort(transaction)
        return {"ok": 1.0}

    # Writes of one document.

    def write(self, collection, key, document, transaction):
        record = collection.record(key)
        self.claim(collection, key, record, transaction)
        if document is not None:
            self.check_unique(collection, key, document, transaction)
            collection.index(document)
        if transaction is None:
            self.clock += 1
            self.settle(collection, key, record, document)
            return
        record.owner = transaction
        record.pending = document
        transaction.written[(collection, key)] = record

    def claim(self, collection, key, record, transaction):
        if transaction is None:
            until = time.monotonic() + 5.0
            while record.owner is not None:
                self.lock.wait(0.1)
                self.reap()
                if time.monotonic() > until:
                    raise Failure(24, "a transaction holds the document")
            if key not in collection.records:
                record.versions = []
                collection.records[key] = record
                if isinstance(key, str):
                    bisect.insort(collection.ids, key)
                else:
                    collection.others.append(key)
            return
        if record.owner not in (None, transaction):
            self.conflict()
        if record.owner is None and record.versions \
                and record.versions[-1][0] > transaction.start:
            self.conflict()

    @staticmethod
    def conflict():
        raise Failure(112, "WriteConflict error: this operation conflicted "
                      "with another operation", (TRANSIENT,))

    def check_unique(self, collection, key, document, transaction):
        for name, (field, unique, sparse) in collection.indexes.items():
            if not unique or (sparse and field not in document):
                continue
            value = document.get(field)
            for other in collection.values[field].get(value, ()):
                record = collection.records.get(other)
                if other == key or record is None:
                    continue
                mine = record.owner is transaction
                for held in ((record.pending,) if mine and transaction
                             else (record.last(), record.pending)):
                    if held is None or held.get(field) != value:
                        continue
                    if record.owner is not None and not mine:
                        self.conflict()
                    raise Duplicate("E11000 duplicate key error index: %s"
                                    % name)

    # Commands.

    def collection(self, command, make=True):
        at = (command["$db"], command[next(iter(command))])
        found = self.collections.get(at)
        if found is None:
            found = Collection()
            if make:
                self.collections[at] = found
        return found

    def hello(self):
        reply = {"helloOk": True, "maxBsonObjectSize": 16777216,
                 "maxMessageSizeBytes": 48000000, "minWireVersion": 0,
                 "maxWriteBatchSize": 100000, "maxWireVersion": 13,
                 "logicalSessionTimeoutMinutes": 30, "readOnly": False,
                 "isWritablePrimary": self.primary,
                 "ismaster": self.primary, "ok": 1.0}
        if self.set_name:
            reply.update(setName=self.set_name, hosts=[self.host],
                         me=self.host, setVersion=1,
                         secondary=not self.primary)
            if self.primary:
                reply.update(primary=self.host,
                             electionId=bson.ObjectId("7fffffff" + "0" * 15
                                                      + "1"))
        return reply

    def run_hello(self, command, transaction):
        return self.hello()

    run_ismaster = run_hello

    def run_ping(self, command, transaction):
        return {"ok": 1.0}

    def run_endsessions(self, command, transaction):
        for lsid in command["endSessions"]:
            session = self.sessions.pop(str(lsid["id"]), None)
            if session is not None and session.transaction is not None:
                self.abort(session.transaction)
        return {"ok": 1.0}

    def run_buildinfo(self, command, transaction):
        return {"version": "5.0.0", "versionArray": [5, 0, 0, 0], "ok": 1.0}

    def run_listdatabases(self, command, transaction):
        names = sorted({database for database, _ in self.collections})
        return {"databases": [{"name": name} for name in names], "ok": 1.0}

    def run_create(self, command, transaction):
        at = (command["$db"], command["create"])
        if at in self.collections:
            raise Failure(48, "Collection already exists")
        self.collections[at] = Collection()
        return {"ok": 1.0}

    def run_drop(self, command, transaction):
        if self.collections.pop((command["$db"], command["drop"]),
                                None) is None:
            raise Failure(26, "ns not found")
        return {"ok": 1.0}

    def run_dropdatabase(self, command, transaction):
        for at in [at for at in self.collections if at[0] == command["$db"]]:
            del self.collections[at]
        return {"ok": 1.0}

    def run_createindexes(self, command, transaction):
        collection = self.collection(command)
        for index in command["indexes"]:
            if len(index["key"]) != 1:
                raise Failure(2, "indexes of one field only")
            for option in index:
                if option not in ("key", "name", "unique", "sparse", "v"):
                    raise Failure(2, "unknown option of an index: " + option)
            field = next(iter(index["key"]))
            collection.indexes[index["name"]] = (
                field, bool(index.get("unique")), bool(index.get("sparse")))
            if field not in collection.values:
                collection.values[field] = {}
                for record in collection.records.values():
                    for _, document in record.versions:
                        if document is not None:
                            collection.index(document)
        return {"ok": 1.0}

    def match(self, collection, query, transaction):
        for key in collection.candidates(query):
            record = collection.records.get(key)
            document = record.seen(transaction) if record else None
            if document is not None and filter_applies(query, document):
                yield key, document

    def run_insert(self, command, transaction):
        collection = self.collection(command)
        n, errors = 0, []
        for i, document in enumerate(command["documents"]):
            key = document.setdefault("_id", bson.ObjectId())
            try:
                record = collection.records.get(key)
                if record is not None and record.seen(transaction):
                    raise Duplicate("E11000 duplicate key error index: _id_")
                self.write(collection, key, document, transaction)
                n += 1
            except Duplicate as duplicate:
                errors.append({"index": i, "code": 11000,
                               "errmsg": str(duplicate)})
                if command.get("ordered", True):
                    break
        reply = {"n": n, "ok": 1.0}
        if errors:
            reply["writeErrors"] = errors
        return reply

    def run_update(self, command, transaction):
        collection = self.collection(command)
        n, changed, made, errors = 0, 0, [], []
        for i, update in enumerate(command["updates"]):
            try:
                matched, upserted = self.update(collection, update,
                                                transaction)
                n += matched or (upserted is not None)
                changed += matched
                if upserted is not None:
                    made.append({"index": i, "_id": upserted})
            except Duplicate as duplicate:
                errors.append({"index": i, "code": 11000,
                               "errmsg": str(duplicate)})
                if command.get("ordered", True):
                    break
        reply = {"n": n, "nModified": changed, "ok": 1.0}
        if made:
            reply["upserted"] = made
        if errors:
            reply["writeErrors"] = errors
        return reply

    def update(self, collection, update, transaction):
        query = update["q"]
        found = list(self.match(collection, query, transaction))
        if not update.get("multi"):
            found = found[:1]
        for key, document in found:
            self.write(collection, key, self.changed(document, update["u"]),
                       transaction)
        if found or not update.get("upsert"):
            return len(found), None
        document = self.changed(None, update["u"], query)
        self.write(collection, document["_id"], document, transaction)
        return 0, document["_id"]

    def changed(self, document, update, query=None):
        """What an update makes of a document, by mongomock."""
        if not any(field.startswith("$") for field in update):
            result = {"_id": document["_id"] if document
                      else query.get("_id", bson.ObjectId())}
            result.update(update)
            return result
        scratch = self.scratch.one
        scratch.delete_many({})
        if document is not None:
            scratch.insert_one(dict(document))
            scratch.update_one({"_id": document["_id"]}, update)
        else:
            scratch.update_one(query, update, upsert=True)
        return scratch.find_one()

    def run_delete(self, command, transaction):
        collection = self.collection(command)
        n = 0
        for one in command["deletes"]:
            found = list(self.match(collection, one["q"], transaction))
            for key, _ in found[:1] if one.get("limit") == 1 else found:
                self.write(collection, key, None, transaction)
                n += 1
        return {"n": n, "ok": 1.0}

    def run_findandmodify(self, command, transaction):
        collection = self.collection(command)
        found = list(self.match(collection, command.get("query", {}),
                                transaction))[:1]
        before = found[0][1] if found else None
        after = None
        if command.get("remove"):
            if found:
                self.write(collection, found[0][0], None, transaction)
        elif found or command.get("upsert"):
            after = self.changed(before, command["update"],
                                 command.get("query", {}))
            try:
                self.write(collection, after["_id"], after, transaction)
            except Duplicate as duplicate:
                raise Failure(11000, str(duplicate))
        last = {"n": int(bool(found or after)),
                "updatedExisting": bool(found and after)}
        return {"value": after if command.get("new") else before,
                "lastErrorObject": last, "ok": 1.0}

    def moment(self, command):
        """Of a read in a snapshot session: when, and that it says so."""
        concern = command.get("readConcern", {})
        if concern.get("level") != "snapshot":
            return None
        at = concern.get("atClusterTime")
        if at is None:
            start = self.clock
        elif at.inc in self.pins:
            start = at.inc
        else:
            raise Failure(239, "the snapshot is too old")
        self.pins[start] = time.monotonic() + self.snapshot_seconds
        return Moment(start)

    def run_find(self, command, transaction):
        collection = self.collection(command, make=False)
        moment = None
        if transaction is None:
            transaction = moment = self.moment(command)
        rows = [document for _, document
                in self.match(collection, command.get("filter", {}),
                              transaction)]
        for field, order in reversed(list(command.get("sort", {}).items())):
            rows.sort(key=lambda d, f=field: resolve_sort_key(f, d),
                      reverse=order < 0)
        rows = rows[command.get("skip", 0):]
        if command.get("limit"):
            rows = rows[:abs(command["limit"])]
        rows = [self.project(row, command.get("projection"))
                for row in rows]
        first, rest = self.batch(rows, command.get("batchSize", 101))
        cursor = 0
        if rest and not command.get("singleBatch"):
            cursor = self.next_cursor
            self.next_cursor += 1
            self.cursors[cursor] = rest
        reply = {"firstBatch": first, "id": bson.Int64(cursor),
                 "ns": "%s.%s" % (command["$db"], command["find"])}
        if moment is not None:
            reply["atClusterTime"] = bson.Timestamp(1, moment.start)
        return {"cursor": reply, "ok": 1.0}

    @staticmethod
    def batch(rows, size):
        """An answer holds that many documents, and 16 MB of them."""
        room = 16000000
        for n, row in enumerate(rows[:size]):
            room -= sum(len(value) for value in row.values()
                        if isinstance(value, bytes))
            if room < 0 and n:
                return rows[:n], rows[n:]
        return rows[:size], rows[size:]

    @staticmethod
    def project(row, projection):
        if not projection:
            return row
        if any(projection[field] for field in projection if field != "_id"):
            return {field: row[field] for field in row
                    if projection.get(field, field == "_id")}
        return {field: row[field] for field in row
                if projection.get(field, 1)}

    def run_getmore(self, command, transaction):
        cursor = command["getMore"]
        rest = self.cursors.get(cursor)
        if rest is None:
            raise Failure(43, "cursor id %d not found" % cursor)
        rows, rest = self.batch(rest, command.get("batchSize", 101))
        self.cursors[cursor] = rest
        if not rest:
            del self.cursors[cursor]
        return {"cursor": {"nextBatch": rows,
                           "id": bson.Int64(cursor if rest else 0),
                           "ns": "%s.%s" % (command["$db"],
                                            command["collection"])},
                "ok": 1.0}

    def run_killcursors(self, command, transaction):
        for cursor in command["cursors"]:
            self.cursors.pop(cursor, None)
        return {"cursorsKilled": command["cursors"], "ok": 1.0}

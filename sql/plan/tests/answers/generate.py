#!/usr/bin/env python3
"""Asks a PostgreSQL 15 what each statement of the .sql files beside this script means, and writes the answers into .txt files.

usage: generate.py PORT      (user postgres, trusted, on 127.0.0.1; its database postgres gets the tables of setup.sql in schema public)

One statement a line. The answer is what Parse and Describe say: `ok` with types of parameters and names and types of columns, or the SQLSTATE and
the position. Rows of the queries in ../meaning are asked for too. Statements that PostgreSQL does not analyse before it runs them (changes of the schema, COPY) are run, and rolled back.
"""
import pathlib, re, socket, struct, sys

HERE = pathlib.Path(__file__).parent


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        body = struct.pack("!i", 196608) + b"user\0postgres\0database\0postgres\0\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.until_ready()

    def read(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise SystemExit("the server hung up")
            data += part
        return data

    def message(self):
        kind = self.read(1)
        return kind, self.read(struct.unpack("!i", self.read(4))[0] - 4)

    def until_ready(self):
        messages = []
        while True:
            kind, body = self.message()
            if kind == b"G":
                self.send(b"f", b"none\0")
            if kind == b"Z":
                return messages
            messages.append((kind, body))

    def send(self, kind, body):
        self.socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def simple(self, text):
        self.send(b"Q", text.encode() + b"\0")
        return self.until_ready()

    def describe(self, text):
        self.send(b"P", b"\0" + text.encode() + b"\0\0\0")
        self.send(b"D", b"S\0")
        self.send(b"S", b"")
        return self.until_ready()


def failure(messages):
    for kind, body in messages:
        if kind == b"E":
            fields = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
            return f"{fields[b'C']} {fields.get(b'P', '-')} {fields[b'M']}"
    return None


RUN = re.compile(r"(create|alter|drop|truncate|copy|prepare|explain|set|show|begin|vacuum)\b", re.I)


def answer(connection, statement):
    if RUN.match(statement):
        connection.simple("begin")
        failed = failure(connection.simple(statement))
        connection.simple("rollback")
        connection.simple("deallocate all")
        # We end every COPY FROM STDIN ourselves.
        return "ok" if failed is None or failed.startswith("57014") else failed
    messages = connection.describe(statement)
    failed = failure(messages)
    if failed:
        return failed
    parameters, columns = [], []
    for kind, body in messages:
        if kind == b"t":
            count = struct.unpack("!h", body[:2])[0]
            parameters = struct.unpack(f"!{count}i", body[2:])
        if kind == b"T":
            at = 2
            for _ in range(struct.unpack("!h", body[:2])[0]):
                end = body.index(b"\0", at)
                name = body[at:end].decode()
                _, _, oid, _, modifier, _ = struct.unpack("!ihihih", body[end + 1:end + 19])
                columns.append(f"{name}:{oid}" + (f"/{modifier}" if modifier >= 0 else ""))
                at = end + 19
    return "ok" + "".join(f" ${oid}" for oid in parameters) + "".join(f" {one}" for one in columns)


def rows(connection, query):
    lines = []
    for kind, body in connection.simple(query):
        if kind == b"E":
            raise SystemExit(f"{query}: {body}")
        if kind == b"D":
            at, fields = 2, []
            for _ in range(struct.unpack("!h", body[:2])[0]):
                length = struct.unpack("!i", body[at:at + 4])[0]
                fields.append("~" if length < 0 else body[at + 4:at + 4 + length].decode())
                at += 4 + max(length, 0)
            lines.append("|".join(fields))
    return "\n".join(lines)


def prepare(connection, folder):
    lines = (folder / "setup.sql").read_text().splitlines()
    for line in lines:
        name = re.match(r"create (table|sequence|index|schema) (\w+)", line)
        if name:
            connection.simple(f"drop {name[1]} if exists {name[2]} cascade")
    for line in lines:
        failed = failure(connection.simple(line))
        if failed:
            raise SystemExit(f"{line}: {failed}")


def main():
    connection = Connection(int(sys.argv[1]))
    meaning = HERE.parent / "meaning"
    prepare(connection, meaning)
    answers = [rows(connection, line) for line in (meaning / "queries.sql").read_text().splitlines()]
    (meaning / "queries.txt").write_text("\n;\n".join(answers) + "\n")
    prepare(connection, HERE)
    for path in sorted(HERE.glob("*.sql")):
        if path.name == "setup.sql":
            continue
        lines = [line.split(" --! ")[0] for line in path.read_text().splitlines()]
        answers = [answer(connection, line) for line in lines]
        path.with_suffix(".txt").write_text("\n".join(answers) + "\n")


main()

"""What programs do with psycopg 3: every way to run a statement, and the types there and back. Usage: check.py HOST PORT"""

import datetime as dt
import decimal
import sys
import threading
import uuid

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

DSN = f"host={sys.argv[1]} port={sys.argv[2]} user=ringfence dbname=ringfence"


def connect(**more):
    return psycopg.connect(DSN, **more)


def types_round_trip():
    zone = dt.timezone.utc
    values = {
        "bool": True,
        "int2": -32768,
        "int4": 2147483647,
        "int8": -9223372036854775808,
        "float4": 1.5,
        "float8": 0.1,
        "numeric": decimal.Decimal("12345678901234567890.000100"),
        "text": "häßlich ✓ 'quoted' \\ back",
        "varchar": "",
        "bytea": bytes(range(256)),
        "date": dt.date(2024, 2, 29),
        "timestamp": dt.datetime(1999, 12, 31, 23, 59, 59, 999999),
        "timestamptz": dt.datetime(2024, 7, 1, 12, 0, tzinfo=zone),
        "interval": dt.timedelta(days=3, seconds=5, microseconds=7),
        "uuid": uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
    }
    with connect(autocommit=True) as conn:
        columns = ", ".join(f"c_{name} {name}" for name in values)
        conn.execute(f"CREATE TABLE all_types (id int PRIMARY KEY, {columns})")
        marks = ", ".join(["%s"] * (len(values) + 1))
        binary_marks = ", ".join(["%b"] * (len(values) + 1))
        conn.execute(f"INSERT INTO all_types VALUES ({marks})", [1, *values.values()])
        conn.execute(f"INSERT INTO all_types VALUES ({binary_marks})", [2, *values.values()])
        conn.execute(f"INSERT INTO all_types VALUES ({marks})", [3] + [None] * len(values))
        for binary in (False, True):
            for key in (1, 2, 3):
                cursor = conn.cursor(binary=binary, row_factory=dict_row)
                row = cursor.execute("SELECT * FROM all_types WHERE id = %s", [key]).fetchone()
                for name, value in values.items():
                    expected = None if key == 3 else value
                    assert row[f"c_{name}"] == expected, (binary, key, name, row[f"c_{name}"])
            # The same through analytics.
            cursor = conn.cursor(binary=binary, row_factory=dict_row)
            row = cursor.execute("SELECT * FROM all_types ORDER BY id LIMIT 1").fetchone()
            for name, value in values.items():
                assert row[f"c_{name}"] == value, (binary, "analytics", name)


def prepared_and_many():
    with connect() as conn:
        conn.execute("CREATE TABLE many (id int PRIMARY KEY, v text)")
        conn.commit()
        with conn.cursor() as cursor:
            cursor.executemany("INSERT INTO many VALUES (%s, %s)", [(i, f"row {i}") for i in range(500)])
            assert cursor.rowcount == 500
        conn.commit()
        with conn.cursor() as cursor:
            query = "INSERT INTO many VALUES (%s, %s) RETURNING id"
            cursor.executemany(query, [(i, "x") for i in range(500, 510)], returning=True)
            found = []
            while True:
                found.append(cursor.fetchone()[0])
                if not cursor.nextset():
                    break
            assert found == list(range(500, 510)), found
        conn.commit()
        for key in range(50):
            row = conn.execute("SELECT v FROM many WHERE id = %s", [key], prepare=True).fetchone()
            assert row == (f"row {key}",)
        # The plan of a prepared statement follows the table.
        conn.execute("ALTER TABLE many ADD COLUMN n int DEFAULT 7")
        conn.commit()
        assert conn.execute("SELECT v, n FROM many WHERE id = %s", [3], prepare=True).fetchone() == ("row 3", 7)
        conn.rollback()
        name = sql.Identifier("many")
        count = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(name)).fetchone()[0]
        assert count == 510
        assert [column.name for column in conn.execute("SELECT id, v FROM many LIMIT 0").description] == ["id", "v"]


def pipelines():
    with connect(autocommit=True) as conn:
        conn.execute("CREATE TABLE piped (id int PRIMARY KEY)")
        with conn.pipeline() as pipeline:
            cursors = [conn.execute("INSERT INTO piped VALUES (%s) RETURNING id", [i]) for i in range(100)]
            pipeline.sync()
            assert [cursor.fetchone()[0] for cursor in cursors] == list(range(100))
        try:
            with conn.pipeline():
                conn.execute("INSERT INTO piped VALUES (1000)")
                conn.execute("INSERT INTO piped VALUES (1)")
                conn.execute("INSERT INTO piped VALUES (1001)")
            raise AssertionError("the key is taken")
        except errors.UniqueViolation:
            pass
        # What came before the sync is one transaction.
        assert conn.execute("SELECT count(*) FROM piped").fetchone() == (100,)
        with conn.pipeline():
            with conn.transaction():
                conn.execute("INSERT INTO piped VALUES (2000)")
                conn.execute("INSERT INTO piped VALUES (2001)")
        assert conn.execute("SELECT count(*) FROM piped WHERE id >= 2000").fetchone() == (2,)


def copies():
    with connect() as conn:
        conn.execute("CREATE TABLE copied (id int PRIMARY KEY, v text, n numeric, d bytea)")
        rows = [(i, f"tab\t newline\n {i}" if i % 2 else None, decimal.Decimal(i) / 8, bytes([i % 256])) for i in range(5000)]
        with conn.cursor() as cursor:
            with cursor.copy("COPY copied FROM STDIN") as copy:
                for row in rows[:2500]:
                    copy.write_row(row)
            with cursor.copy("COPY copied FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["int4", "text", "numeric", "bytea"])
                for row in rows[2500:]:
                    copy.write_row(row)
        conn.commit()
        with conn.cursor() as cursor:
            with cursor.copy("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT") as copy:
                copy.set_types(["int4", "text", "numeric", "bytea"])
                assert list(copy.rows()) == rows
            with cursor.copy("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
                copy.set_types(["int4", "text", "numeric", "bytea"])
                assert list(copy.rows()) == rows
            with cursor.copy("COPY (SELECT * FROM copied WHERE false) TO STDOUT (FORMAT binary)") as copy:
                assert list(copy.rows()) == []
        conn.rollback()
        try:
            with conn.cursor().copy("COPY copied FROM STDIN") as copy:
                copy.write_row((9000, "x", 1, b""))
                raise RuntimeError("the program changes its mind")
        except RuntimeError:
            conn.rollback()
        assert conn.execute("SELECT count(*) FROM copied").fetchone() == (5000,)


def transactions():
    with connect(autocommit=True) as conn:
        conn.execute("CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL CHECK (balance >= 0))")
        conn.execute("INSERT INTO account VALUES (1, 100), (2, 100)")
        try:
            with conn.transaction():
                conn.execute("UPDATE account SET balance = balance + 50 WHERE id = 1")
                conn.execute("UPDATE account SET balance = balance - 150 WHERE id = 2")
            raise AssertionError("the check holds")
        except errors.CheckViolation:
            pass
        assert conn.execute("SELECT sum(balance) FROM account").fetchone() == (200,)
    with connect() as conn:
        conn.execute("INSERT INTO account VALUES (3, 0)")
        conn.rollback()
        assert conn.execute("SELECT count(*) FROM account").fetchone() == (2,)
        try:
            conn.execute("SELECT 1/0")
            raise AssertionError("zero divides nothing")
        except errors.DivisionByZero:
            pass
        try:
            conn.execute("SELECT 1")
            raise AssertionError("the block has failed")
        except errors.InFailedSqlTransaction:
            conn.rollback()

    retried = [0]
    lock = threading.Lock()

    def work():
        with connect() as conn:
            for _ in range(25):
                while True:
                    try:
                        seen = conn.execute("SELECT balance FROM account WHERE id = 1").fetchone()[0]
                        conn.execute("UPDATE account SET balance = %s WHERE id = 1", [seen + 1])
                        conn.commit()
                        break
                    except errors.SerializationFailure:
                        conn.rollback()
                        with lock:
                            retried[0] += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connect() as conn:
        assert conn.execute("SELECT balance FROM account WHERE id = 1").fetchone() == (200,)
        # A table of this transaction's own, read back by analytics.
        conn.execute("CREATE TABLE fresh (x int)")
        conn.execute("INSERT INTO fresh VALUES (1), (2)")
        assert conn.execute("SELECT count(*), sum(x) FROM fresh").fetchone() == (2, 3)
        conn.rollback()
    print(f"{retried[0]} transactions were tried again")


for check in (types_round_trip, prepared_and_many, pipelines, copies, transactions):
    check()
    print("passed:", check.__name__)

#!/usr/bin/env python3
"""Asks a PostgreSQL 15 (locale C, encoding UTF8) for the answers of the queries in the .sql files beside this script and writes them into .txt files.

usage: generate.py PSQL-CONNECTION-STRING      (a superuser; schema public of that database is dropped and made again)

Tables are those of schema.sql; rows come from NAME.rows, columns separated by `|`, NULL written so. One query a line. An answer is `ok`, then the rows,
each after a tab; or the SQLSTATE.
"""
import pathlib, re, subprocess, sys

HERE = pathlib.Path(__file__).parent
OPTIONS = "set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set intervalstyle = 'postgres'; set bytea_output = 'hex'; set extra_float_digits = 1;"


def psql(connection, text):
    command = ["psql", connection, "-X", "-q", "-A", "-t", "-F", "|", "-P", "null=NULL", "-v", "VERBOSITY=sqlstate", "-f", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True)


def main():
    connection = sys.argv[1]
    setup = ["drop schema public cascade; create schema public;", (HERE / "schema.sql").read_text()]
    for rows in sorted(HERE.glob("*.rows")):
        setup.append(f"copy {rows.stem} from stdin with (delimiter '|', null 'NULL');")
        setup.append(rows.read_text().replace("\\", "\\\\") + "\\.")
    done = psql(connection, "\\set ON_ERROR_STOP on\n" + "\n".join(setup) + "\n")
    if done.returncode:
        sys.exit(done.stderr)
    for queries in sorted(HERE.glob("*.sql")):
        if queries.name == "schema.sql":
            continue
        answers = []
        for query in queries.read_text().splitlines():
            query = query.split(" --!")[0]
            if not query or query.startswith("--"):
                continue
            done = psql(connection, OPTIONS + "\n" + query + ";\n")
            error = re.search(r"ERROR:\s+(\w{5})", done.stderr)
            if error:
                answers.append(error.group(1))
            else:
                answers.append("ok")
                answers.extend("\t" + row for row in done.stdout.splitlines())
        (HERE / (queries.stem + ".txt")).write_text("\n".join(answers) + "\n")


main()

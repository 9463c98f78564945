#!/usr/bin/env python3
"""Asks a PostgreSQL 15 server (UTC, C.UTF-8, defaults else) and writes its answers to tests/answers/*.txt, which tests/answers.rs compares with ours.

usage: answers.py PSQL-ARGUMENTS...

A line is `kind TAB name TAB argument... TAB answer`. An argument is `type:text`, `\\N` for NULL, `unknown:text` for an untyped literal; the rows of an
aggregate are separated by 0x1f, `\\E` is no row. An answer is `=type:text` or `!SQLSTATE message`. Backslash, tab and line end are escaped.
"""
import itertools, pathlib, random, re, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parents[1]
TABLE = (HERE.parent / "src/registry/function_table.rs").read_text()
NAMES = {"Bool": "boolean", "Int2": "smallint", "Int4": "integer", "Int8": "bigint", "Float4": "real", "Float8": "double precision", "Numeric": "numeric",
         "Text": "text", "Varchar": "character varying", "Bpchar": "character", "Bytea": "bytea", "Date": "date", "Timestamp": "timestamp without time zone",
         "Timestamptz": "timestamp with time zone", "Interval": "interval", "Uuid": "uuid", "Oid": "oid", "Name": "name", "Char": '"char"',
         "TextArray": "text[]", "Int2Array": "smallint[]", "Int4Array": "integer[]", "Int8Array": "bigint[]", "OidArray": "oid[]"}
CAST = {"character": "bpchar"}
EDGES = {
    "boolean": ["t", "f"],
    "smallint": ["0", "1", "-1", "7", "32767", "-32768"],
    "integer": ["0", "1", "-1", "7", "46341", "2147483647", "-2147483648"],
    "bigint": ["0", "1", "-1", "7", "3037000500", "9223372036854775807", "-9223372036854775808"],
    "real": ["0", "-0", "1.5", "-2.25", "3.4028235e38", "1e-38", "0.1", "16777217", "NaN", "Infinity", "-Infinity"],
    "double precision": ["0", "-0", "1", "0.1", "-2.5", "1e300", "1e-300", "5e-324", "1e15", "123456789.125", "NaN", "Infinity", "-Infinity"],
    "numeric": ["0", "0.00", "1", "-1.5", "2.00", "0.001", "10", "99999.9999", "-0.00000000000000000001", "3.14159265358979323846",
                "123456789012345678901234567890.123456789", "1e-30", "7e40", "NaN", "Infinity", "-Infinity"],
    "text": ["", "a", "abc", "ABC def", "äöü€", "%b_", " x ", "12", "x'y\\"],
    "character varying": ["", "abc", "Zeta "],
    "character": ["", "ab ", "ab", "Z"],
    "bytea": ["\\x", "\\x00", "\\x616263", "\\xff5c27"],
    "date": ["2000-01-01", "2024-02-29", "1999-12-31", "0044-03-15 BC", "infinity", "-infinity", "4714-11-24 BC", "5874897-12-31", "1582-10-15"],
    "timestamp without time zone": ["2000-01-01 00:00:00", "2024-02-29 23:59:59.999999", "1969-07-20 20:17:40.5", "0044-03-15 12:00:00 BC", "infinity",
                                    "-infinity", "294276-12-31 23:59:59.999999", "4714-11-24 00:00:00 BC", "2023-12-31 12:34:56.789"],
    "timestamp with time zone": ["2000-01-01 00:00:00+00", "2024-02-29 23:59:59.999999+00", "1969-07-20 20:17:40.5+02", "infinity", "-infinity",
                                 "294276-12-31 23:59:59.999999+00", "2023-12-31 12:34:56.789-08"],
    "interval": ["0", "1 day", "-1 day", "1 mon", "1 year 2 mons 3 days 04:05:06.789", "-1 year +40 days -100:00:00.000001", "30 days", "24:00:00",
                 "178956970 years", "-5 mons 14 days"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "oid": ["0", "1", "4294967295"],
    "name": ["", "abc", "Zeta"],
    '"char"': ["", "a", "Z"],
    "text[]": ["{}", "{a}", "{a,b,NULL}", '{"x y","",abc}'],
    "smallint[]": ["{}", "{1,2}"],
    "integer[]": ["{}", "{1}", "{3,2,1}", "{1,NULL,2}"],
    "bigint[]": ["{}", "{1,2}"],
    "oid[]": ["{}", "{1,2}"],
}

def query(lines):
    done = subprocess.run(["psql", "-X", *sys.argv[1:], "-qAt", "-v", "ON_ERROR_STOP=1", "-f", "-"], input="\n".join(lines), check=True, capture_output=True, text=True)
    return done.stdout.split("\n")[:-1]

def literal(text):
    return "E'" + text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\t", "\\t") + "'"

def escape(text):
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")

def shown(argument):
    kind, text = argument
    return f"{kind}:" + ("\\N" if text is None else escape(text))

def sql(argument):
    kind, text = argument
    if kind == "unknown":
        return "NULL" if text is None else literal(text)
    return ("NULL" if text is None else literal(text)) + "::" + CAST.get(kind, kind)

SETUP = r"""
set client_min_messages = error;
create or replace function pg_temp.try(expression text) returns text language plpgsql as $$
declare answer text;
begin
    execute 'select ''='' || pg_typeof(v)::text || '':'' || case when v is null then ''\N'' else replace(replace(replace(format(''%s'', v), ''\'', ''\\''), E''\t'', ''\t''), E''\n'', ''\n'') end from (select ' || expression || ' as v offset 0) s' into answer;
    return answer;
exception when others then
    return '!' || sqlstate || ' ' || replace(replace(replace(sqlerrm, '\', '\\'), E'\t', '\t'), E'\n', '\n');
end $$;
"""

def write(name, cases):
    """cases: (kind, name, arguments, expression)"""
    unique, seen = [], set()
    for case in cases:
        key = (case[0], case[1], tuple(map(shown, case[2])) if case[0] != "agg" else tuple(case[2]))
        if key not in seen:
            seen.add(key)
            unique.append(case)
    answers = query([SETUP] + ["select pg_temp.try(" + literal(case[3]) + ");" for case in unique])
    if len(answers) != len(unique):
        for case in unique:
            one = query([SETUP, "select pg_temp.try(" + literal(case[3]) + ");"])
            if len(one) != 1:
                raise SystemExit(f"{case}: {one}")
    with open(HERE / "answers" / f"{name}.txt", "w") as out:
        for case, answer in zip(unique, answers):
            arguments = [shown(argument) if not isinstance(argument, str) else argument for argument in case[2]]
            out.write("\t".join([case[0], case[1], *arguments, answer]) + "\n")
    print(name, len(unique))

def pick(random_source, pools, most):
    everything = 1
    for pool in pools:
        everything *= len(pool)
    if everything <= most:
        return list(itertools.product(*pools))
    return [tuple(random_source.choice(pool) for pool in pools) for _ in range(most)]

def operators():
    source = random.Random(1)
    oids = "(" + ",".join(str(oid) for oid in OIDS) + ")"
    rows = query([f"select oprname || E'\\x1f' || case when oprleft=0 then '' else oprleft::regtype::text end || E'\\x1f' || oprright::regtype::text "
                  f"from pg_operator where oprnamespace=11 and oprresult<>0 and oprright in {oids} and (oprleft=0 or oprleft in {oids}) order by oprname, oid"])
    cases = []
    for row in rows:
        symbol, left, right = row.split("\x1f")
        if right not in EDGES or left and left not in EDGES or symbol in ("~", "~*", "!~", "!~*", "@@", "@@@", "<->") and "text" == right or symbol.startswith("~<") or symbol.startswith("~>") or symbol in ("~~", "!~~", "~~*", "!~~*") and False:
            continue
        arithmetic = symbol in "+-*/%^&|#" or symbol in ("||/", "|/", "@", "<<", ">>")
        pools = [EDGES[side] for side in (left, right) if side]
        for values in pick(source, pools, 150 if arithmetic else 14):
            arguments = [(side, value) for side, value in zip([side for side in (left, right) if side], values)]
            expression = f"{sql(arguments[0])} {symbol} {sql(arguments[1])}" if left else f"{symbol} ({sql(arguments[0])})"
            cases.append(("op", symbol, arguments, expression))
    write("operators", cases)

OIDS = [16, 21, 23, 20, 700, 701, 1700, 25, 1042, 17, 1082, 1114, 1184, 1186, 2950, 26, 19, 18, 1009, 1005, 1007, 1016, 1028]

SKIPPED = re.compile(r"catalog::|regex_functions::|now|clock|random|uuid\"|_today|current|statement_timestamp|overlaps|localtimestamp|array_element|array_slice|vector|hash")

def functions():
    source = random.Random(2)
    special = {"encode": ["hex", "base64", "escape", "HEX", "nope"], "decode": ["hex", "base64", "escape"]}
    fields = ["microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century", "millennium",
              "julian", "isoyear", "dow", "isodow", "doy", "epoch", "timezone", "timezone_hour", "nope", "Year"]
    zones = ["UTC", "+03", "-05:30", "EST", "utc+2", "nope"]
    cases = []
    operator_functions = {int(oid) for oid in query(["select oprcode::oid from pg_operator where oprcode <> 0"])}
    for row in re.finditer(r'f\((\d+), "([^"]+)", &\[([^\]]*)\], (true|false), .*, (\S+)\),', TABLE):
        oid, name, types, variadic, target = row.groups()
        if int(oid) in operator_functions or re.search(r"(larger|smaller)$|cmp", name) or int(oid) >= 16000 or SKIPPED.search(target) or SKIPPED.search(name + '"'):
            continue
        types = re.findall(r"E\(T::(\w+)\)|(Any\w*)", types)
        pools = []
        for position, (exact, polymorphic) in enumerate(types):
            kind = NAMES.get(exact, "integer[]" if polymorphic == "AnyArray" else "integer")
            if exact and exact not in NAMES:
                break
            pool = [(kind, value) for value in EDGES[kind]]
            if position == 0 and name in ("extract", "date_part", "date_trunc"):
                pool = [(kind, value) for value in fields]
            elif name == "timezone" and position == 0 and kind == "text" or name == "date_trunc" and position == 2:
                pool = [(kind, value) for value in zones]
            elif position == 1 and name in special:
                pool = [(kind, value) for value in special[name]]
            elif kind == "integer" and (name in ("repeat", "lpad", "rpad", "round", "trunc", "chr", "left", "right", "substr", "substring", "split_part", "overlay", "get_byte", "set_byte", "get_bit", "set_bit", "trim_array") or name.startswith("make_") or name.startswith("regexp")):
                pool = [(kind, value) for value in ["0", "1", "2", "3", "-1", "12", "59"]]
            elif kind == "bigint" and name in ("factorial", "get_bit", "set_bit"):
                pool = [(kind, value) for value in ["0", "1", "5", "20", "-1"]]
            elif kind == "numeric" and name in ("exp", "power", "pow") :
                pool = [(kind, value) for value in EDGES[kind] if len(value) < 25] + [(kind, value) for value in ["12.5", "-3", "0.5", "100", "-20.25"]]
            elif kind == "double precision" and name.startswith("make_"):
                pool = [(kind, value) for value in ["0", "30.5", "59.999999", "60", "61", "-1", "NaN"]]
            pools.append(pool)
        else:
            call = "format" if name == "format" else name
            if name in ("extract", "overlay", "position", "substring", "timezone", "char", "bpchar", "timestamp", "timestamptz", "interval", "numeric", "date", "name", "varchar", "time", "bool", "bit", "like", "notlike", "float4", "float8", "int2", "int4", "int8", "text", "oid"):
                call = f'"{name}"'
            most = 60 if name in ("extract", "date_part", "date_trunc", "power", "round", "div", "mod", "age", "make_timestamp", "width_bucket") else 24
            for values in pick(source, pools, most):
                cases.append(("fn", name, list(values), f"{call}({', '.join(map(sql, values))})"))
            if 0 < len(pools) < 4:
                nulls = [(kind[0][0], None) for kind in pools]
                cases.append(("fn", name, nulls, f"{call}({', '.join(map(sql, nulls))})"))
    write("functions", cases)

def casts():
    cases = []
    kinds = [kind for kind in EDGES]
    targets = kinds + ["varchar(3)", "char(4)", "numeric(5,2)", "numeric(3,-2)", "numeric(38,10)", "timestamp(0)", "timestamptz(3)", "interval(2)"]
    for source in kinds:
        for target in targets:
            for value in EDGES[source]:
                argument = (source, value)
                cases.append(("cast", target, [argument], f"{sql(argument)}::{CAST.get(target, target)}"))
    write("casts", cases)

INPUTS = {
    "boolean": ["true", "t", "TR", "yes", "y", "on", "of", "off", "o", "1", "0", "no", "n", " f ", "", "tru e", "2", "truee"],
    "smallint": [" 12 ", "+5", "-32768", "32768", "1.5", "", "0x10", "1e3", "--1", "99999999999999999999999", "-", "1 2", "007", "a"],
    "integer": ["2147483648", "-2147483648", "12abc", "  -0 "],
    "bigint": ["9223372036854775808", "-9223372036854775808", "1_000"],
    "real": ["1e39", "1e-50", "inf", "-inf", "nan", "+Infinity", "infinit", "1e", ".5", "5.", ".", "0x1p3", "1e38", " 2 ", "16777216.5"],
    "double precision": ["1e309", "1e-400", "4.9e-324", "2.2250738585072011e-308", "1e23", "9007199254740993", "0.1e1", "1d", "NaN ", "infinity", "123456789012345678", "1e22", "5e22", "1e-5", "0.00012345", "8.41e21", "2.4e-44"],
    "numeric": ["1e10", "1e-10", ".5", "5.", ".", "1.2.3", "1e", "1e+", "nan", "inf", "-Infinity", "+inf", " 12.50 ", "1e131071", "1e131072", "1e-16383", "1e-16384", "00012.3400", "1e400000000000", "-0", "-0.00", "1 2", "", "0e5", "1.5e3", "1500e-3", "123e-2", "0.000e-3"],
    "bytea": ["\\x6", "\\x6g", "\\x61 62", "abc", "a\\\\b", "\\141", "\\400", "\\1", "\\", "äö"],
    "uuid": ["A0EEBC999C0B4EF8BB6D6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "", "a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc999-c0b-4ef8-bb6d-6bb9bd380a11", " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "oid": ["-1", "4294967296", "abc", "12 "],
    "date": ["1999-01-08", "January 8, 1999", "1/8/1999", "1/18/1999", "18/1/1999", "01/02/03", "1999-Jan-08", "Jan-08-1999", "08-Jan-1999", "99-Jan-08", "08-Jan-99", "Jan-08-99",
             "19990108", "990108", "1999.008", "J2451187", "January 8, 99 BC", "2024-02-30", "2023-02-29", "2024-13-01", "2024-00-10", "epoch", "infinity", "-infinity", "0000-01-01",
             "10000-01-01", "5874898-01-01", "2024-1-1", "2024 Jan 5", "5 Jan 2024", "Jan 5 2024", "Mon Jan 5 2024", "2024-02-29 10:11:12", "2024-02-29T10:11:12Z", "", "abc", "2024-02-29 x", "4714-11-23 BC", "2024/02/29", "1-1-1", "12-31-69", "12-31-70", "2024-W01-1", "20240229", "99999999"],
    "timestamp without time zone": ["2024-02-29 10:11:12", "2024-02-29T10:11:12.123456789", "2024-02-29 10:11", "2024-02-29 10:11:12 PM", "2024-02-29 13:00 PM", "2024-02-29 12:00 AM", "2024-02-29 24:00:00", "2024-02-29 24:00:01", "2024-02-29 25:00", "2024-02-29 23:59:60", "2024-02-29 23:60", "20240229T101112", "20240229 101112", "2024-02-29 101112.5",
             "Thu Feb 29 10:11:12 2024", "Feb 29 2024 10:11:12", "2024-02-29 10:11:12+02", "2024-02-29 10:11:12 UTC", "epoch", "infinity", "-infinity", "294277-01-01", "4714-11-23 23:59:59 BC", "2024-02-29 10:11:12 BC", "2024-02-29 ", " 2024-02-29", "2024-02-29 10:11:12.9999999", "10:11:12", "2024-02-29 10:11:12 foo", "2024-060 10:00", "Feb 29 10:11:12 PST 2024", "2024-02-29 10:11:12 America/New_Yorc", "1999-12-31 23:59:59.9999995", "invalid", "now now", "2024-02-29 allballs"],
    "timestamp with time zone": ["2024-02-29 10:11:12+02", "2024-02-29 10:11:12-05:30", "2024-02-29 10:11:12 +0530", "2024-02-29 10:11:12Z", "2024-02-29 10:11:12 EST", "2024-02-29 10:11:12 PDT", "2024-02-29T10:11:12.5+00:00", "2024-02-29 10:11:12+16", "2024-02-29 10:11:12+15:59:59", "2024-02-29 10:11:12 UTC+3", "2024-02-29 10:11:12", "2024-02-29 10:11:12 -3", "Thu Feb 29 10:11:12 2024 PST", "infinity", "2024-02-29 10:11:12+2:3", "20240229T101112+0100", "2024-02-29 10:11:12.345 am", "epoch"],
    "interval": ["1", "1.5", "1 day", "1 days 2 hours", "1.5 days", "1.5 months", "1.5 years", "1.25 weeks", "@ 1 minute ago", "1-2", "-1-2", "1-2 3 4:5:6", "3 4:05:06", "3 04:05", "04:05:06.789", "-04:05:06", "4:05.5", "P1Y2M3DT4H5M6S", "P1Y2M3D", "PT1.5S", "P-1Y", "P1W", "P", "PT", "1 year ago", "1 mon -1 day", "1 foo", "", "abc", "1 day 1 day", "1h 30m", "2 decades", "1 century 1 millennium", "999999999999 years", "2147483647 days", "2147483648 days", "9223372036854775807 us", "1 us", "1 ms", "0.000001", "0.0000005", "0.5 us", "1 day 25:00", "00:60:00", "1:2:3:4", "-1 day 02:03", "+1 day -02:03", "1 year 2", "1 mon 1.5", "infinity", "1 d 2 h 3 m 4 s", "- 1 day", "1 week 3 days", "0.1 year", "0.7 mon", "-0.5 mon", "1e3 s"],
    "integer[]": ["{1,2}", "{ 1 , 2 }", "{}", "{1,}", "{,1}", "1", "{1", "{1}x", "{NULL,null}", '{"1"}', "{a}", "{1 2}", ""],
    "text[]": ['{a b, "c,d" ,"e\\"f",\\{g}', "{NULL,\"NULL\"}", '{""}', "{a}b}", '{"a"b}', "{ }"],
}

def inputs():
    cases = []
    for kind, texts in INPUTS.items():
        for text in texts:
            argument = ("unknown", text)
            cases.append(("cast", kind, [argument], f"{literal(text)}::{CAST.get(kind, kind)}"))
    write("inputs", cases)

def resolution():
    """Which operator, and what type, for every pair of types; the values do not matter."""
    kinds = [kind for kind in EDGES if not kind.endswith("[]")] + ["unknown", "integer[]", "text[]"]
    cases = []
    for symbol in ["+", "-", "*", "/", "%", "||", "=", "<", "~~", "&", "^", "~"]:
        for left, right in itertools.product(kinds, kinds):
            arguments = [(left, None), (right, None)]
            cases.append(("op", symbol, arguments, f"{sql(arguments[0])} {symbol} {sql(arguments[1])}"))
    for name in ["abs", "length", "upper", "round", "sqrt", "date_trunc", "to_hex", "concat", "substr", "mod", "greatest_", "lower", "floor", "sign", "power", "age", "md5", "char_length", "position", "text", "float8", "date", "nope"]:
        for count in (1, 2):
            for types in itertools.product(kinds, repeat=count):
                if count == 2 and name not in ("round", "substr", "mod", "power", "age", "date_trunc", "position"):
                    continue
                arguments = [(kind, None) for kind in types]
                call = f'"{name}"' if name in ("position", "text", "float8", "date") else name
                cases.append(("fn", name, arguments, f"{call}({', '.join(map(sql, arguments))})"))
    write("resolution", cases)

def aggregates():
    source = random.Random(3)
    cases = []
    names = ["count", "sum", "avg", "min", "max", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp", "bool_and", "bool_or", "every",
             "bit_and", "bit_or", "bit_xor", "array_agg"]
    for name in names:
        for kind in EDGES:
            if kind.endswith("[]") or name == "array_agg" and kind not in ("integer", "text", "bigint", "smallint", "oid"):
                continue
            for size in (0, 1, 2, 3, 5, 8):
                for _ in range(1 if size < 2 else 2):
                    pool = [value for value in EDGES[kind] if size < 5 or "nf" not in value and "NaN" not in value]
                    rows = [source.choice(pool + [None]) for _ in range(size)]
                    if kind in ("real", "double precision") and name in ("sum", "avg") or name.startswith(("std", "var")):
                        rows = [row for row in rows if row is None or len(row) < 16]
                    values = ", ".join(f"({'NULL' if row is None else literal(row)}::{CAST.get(kind, kind)})" for row in rows)
                    inner = f"(values {values}) t(x)" if rows else f"(select NULL::{CAST.get(kind, kind)} x where false) t"
                    argument = f"{kind}:" + ("\x1f".join("\\N" if row is None else escape(row) for row in rows) if rows else "\\E")
                    cases.append(("agg", name, [argument], f"(select {name}(x) from {inner})" if rows else f"(select {name}(x) from {inner})"))
    pairs = [("1", "2"), ("2.5", "-1"), ("3", "4.25"), (None, "1"), ("7", "8"), ("-1", "0.5"), ("1e10", "3")]
    for name in ["corr", "covar_pop", "covar_samp", "regr_count", "regr_sxx", "regr_syy", "regr_sxy", "regr_avgx", "regr_avgy", "regr_r2", "regr_slope", "regr_intercept"]:
        for size in (0, 1, 2, 4, 7):
            rows = pairs[:size]
            cell = lambda value: "NULL::float8" if value is None else f"{literal(value)}::float8"
            values = ", ".join(f"({cell(y)}, {cell(x)})" for y, x in rows)
            inner = f"(values {values}) t(y, x)" if rows else "(select 1::float8 y, 1::float8 x where false) t"
            arguments = ["double precision:" + ("\x1f".join("\\N" if row[side] is None else row[side] for row in rows) or "\\E") for side in (0, 1)]
            cases.append(("agg", name, arguments, f"(select {name}(y, x) from {inner})"))
    write("aggregates", cases)

def numerics():
    """Seeded arithmetic of numbers of all lengths."""
    source = random.Random(4)
    def number(digits, scale):
        text = "".join(source.choice("0123456789") if source.random() < 0.8 else source.choice("09") for _ in range(source.randint(1, digits)))
        fraction = "".join(source.choice("0123456789") for _ in range(source.randint(0, scale)))
        return source.choice(["", "-"]) + text + ("." + fraction if fraction else "")
    cases = []
    for _ in range(250):
        a, b = ("numeric", number(40, 30)), ("numeric", number(30, 20))
        for symbol in ("+", "-", "*", "/", "%"):
            cases.append(("op", symbol, [a, b], f"{sql(a)} {symbol} {sql(b)}"))
        cases.append(("fn", "div", [a, b], f"div({sql(a)}, {sql(b)})"))
        scale = ("integer", str(source.randint(-12, 12)))
        cases.append(("fn", "round", [a, scale], f"round({sql(a)}, {sql(scale)})"))
        cases.append(("fn", "trunc", [a, scale], f"trunc({sql(a)}, {sql(scale)})"))
    for _ in range(150):
        a = ("numeric", number(20, 15).lstrip("-"))
        for name in ("sqrt", "ln", "log"):
            cases.append(("fn", name, [a], f"{name}({sql(a)})"))
        small = ("numeric", number(2, 12))
        cases.append(("fn", "exp", [small], f"exp({sql(small)})"))
        base, exponent = ("numeric", number(3, 6).lstrip("-")), ("numeric", number(1, 6))
        cases.append(("fn", "power", [base, exponent], f"power({sql(base)}, {sql(exponent)})"))
        whole = ("numeric", str(source.randint(-30, 60)))
        signed = ("numeric", number(4, 5))
        cases.append(("fn", "power", [signed, whole], f"power({sql(signed)}, {sql(whole)})"))
        cases.append(("fn", "log", [("numeric", "2.5"), a], f"log(2.5::numeric, {sql(a)})"))
    for text in ("1e-100", "1.0000000001", "0.99999999999999999999", "1.1", "0.9", "1e100", "12345e50", "1.5e-10"):
        value = ("numeric", text)
        for name in ("ln", "log", "sqrt", "exp"):
            if name != "exp" or len(text) < 8 and "e" not in text:
                cases.append(("fn", name, [value], f"{name}({sql(value)})"))
    for text in ("5999", "6001", "-5999", "-6001", "2302.5850929940456840179914547", "-230.5"):
        cases.append(("fn", "exp", [("numeric", text)], f"exp({literal(text)}::numeric)"))
    write("numerics", cases)

def floats():
    source = random.Random(5)
    cases = []
    for _ in range(400):
        value = ("double precision", repr(source.uniform(-20, 20) * 10 ** source.randint(-3, 2)))
        positive = ("double precision", repr(abs(float(value[1])) + 1e-9))
        for name in ("exp", "sin", "cos", "tan", "atan", "cbrt", "tanh", "sinh", "asinh"):
            cases.append(("fn", name, [value], f"{name}({sql(value)})"))
        for name in ("ln", "log", "sqrt"):
            cases.append(("fn", name, [positive], f"{name}({sql(positive)})"))
        exponent = ("double precision", repr(source.uniform(-8, 8)))
        cases.append(("op", "^", [positive, exponent], f"{sql(positive)} ^ {sql(exponent)}"))
        unit = ("double precision", repr(source.uniform(-1, 1)))
        for name in ("asin", "acos", "atanh"):
            cases.append(("fn", name, [unit], f"{name}({sql(unit)})"))
        bits = source.getrandbits(64)
        import struct
        number = struct.unpack("<d", struct.pack("<Q", bits))[0]
        if number == number and abs(number) != float("inf"):
            cases.append(("cast", "double precision", [("unknown", repr(number))], f"{literal(repr(number))}::float8"))
            cases.append(("cast", "numeric", [("double precision", repr(number))], f"{literal(repr(number))}::float8::numeric"))
        single = struct.unpack("<f", struct.pack("<I", source.getrandbits(32)))[0]
        if single == single and abs(single) != float("inf"):
            cases.append(("cast", "real", [("unknown", repr(single))], f"{literal(repr(single))}::float4"))
    for power in range(-30, 40):
        for head in ("1", "5", "9", "2"):
            text = f"{head}e{power}"
            cases.append(("cast", "double precision", [("unknown", text)], f"'{text}'::float8"))
            cases.append(("cast", "real", [("unknown", text)], f"'{text}'::float4"))
    write("floats", cases)

def formats():
    """to_char, to_timestamp, to_date, to_number."""
    cases = []
    words = ["YYYY-MM-DD HH24:MI:SS", "YYYY-MM-DD HH12:MI:SS.US AM", "Day, DD Month YYYY", "FMDay, FMDD FMMonth YYYY", "DY dy Dy MON Mon mon", "DDD DDth DDTH", "WW IW IYYY ID D W Q CC J", "MS US FF1 FF3 FF6 SSSS SSSSS",
             "Y,YYY YYY YY Y IYY IY I", "RM rm FMRM", "TZ tz OF TZH:TZM", "B.C. BC b.c. ad", "a.m. PM p.m.", "\"quoted YYYY\" YYYY", "YYYY\\\"x", "hh24miss", "HH HH12 FMHH24 FMMI", "YYYYMMDD", "FMYYYY-FMMM-FMDD", "IDDD", "äö YYYY", "Mon-DD", "yyyy-mm-dd", "MONTH", "month", "FMMONTH|", "DDthSP", "TMMonth", "xYYYYx", "Hh24", "HH24:MI:SS TH", "J1", ""]
    times = ["2024-02-29 13:05:09.123456", "0044-03-15 00:00:00 BC", "1999-12-31 23:59:59.5", "2005-01-01 12:00:00", "12345-06-07 01:02:03", "infinity"]
    for time in times:
        for word in words:
            for kind in ("timestamp without time zone", "timestamp with time zone"):
                arguments = [(kind, time), ("text", word)]
                cases.append(("fn", "to_char", arguments, f"to_char({sql(arguments[0])}, {sql(arguments[1])})"))
    for span in ["1 year 2 mons 3 days 04:05:06.789", "-1 year -3 days -14:05:06", "100:30:00", "0", "15 mons"]:
        for word in words:
            arguments = [("interval", span), ("text", word)]
            cases.append(("fn", "to_char", arguments, f"to_char({sql(arguments[0])}, {sql(arguments[1])})"))
    reads = [("2024-02-29", "YYYY-MM-DD"), ("05 Dec 2000", "DD Mon YYYY"), ("20000101", "YYYYMMDD"), ("2000-1-1", "YYYY-MM-DD"), ("12/25/99", "MM/DD/YY"), ("25-DEC-69", "DD-MON-YY"), ("25-DEC-70", "DD-MON-YY"), ("2024 060", "YYYY DDD"),
             ("2006-42-4", "IYYY-IW-ID"), ("2024-02-30", "YYYY-MM-DD"), ("2024-13-01", "YYYY-MM-DD"), ("abc", "YYYY"), ("", "YYYY"), ("2024", "YYYY"), ("2024-02-29 13:05:09", "YYYY-MM-DD HH24:MI:SS"), ("2024-02-29 01:05:09 PM", "YYYY-MM-DD HH12:MI:SS AM"),
             ("2024-02-29 13:05:09 PM", "YYYY-MM-DD HH12:MI:SS AM"), ("2024-02-29 12:05 am", "YYYY-MM-DD HH:MI am"), ("12.345", "SS.MS"), ("12.3", "SS.MS"), ("12.345678", "SS.US"), ("2024-02-29T10:00:00", "YYYY-MM-DDTHH24:MI:SS"), ("2024-02-29T10:00:00", "YYYY-MM-DD\"T\"HH24:MI:SS"),
             ("44-03-15 BC", "YYYY-MM-DD BC"), ("2451187", "J"), ("Friday 1 March 2024", "Day DD Month YYYY"), ("1,234-05-06", "Y,YYY-MM-DD"), ("2024-02-29 10:00 +02", "YYYY-MM-DD HH24:MI TZH"), ("2024-02-29 10:00-05:30", "YYYY-MM-DD HH24:MITZH:TZM"), ("86399", "SSSS"), ("20240229101112", "YYYYMMDDHH24MISS"),
             ("2024  02  29", "YYYY MM DD"), ("2024/02/29", "YYYY-MM-DD"), ("2024-02-29", "YYYY MM DD"), ("2024 02 29", "YYYYMMDD"), ("2024-II-01", "YYYY-RM-DD"), ("21 05", "CC YY"), ("2024-02-29 24:00:00", "YYYY-MM-DD HH24:MI:SS"), ("2024-02-29 23:60:00", "YYYY-MM-DD HH24:MI:SS"), ("1st Jan 2024", "FMDDth Mon YYYY"), ("3000-01-01", "YYY-MM-DD"),
             ("2024-06-07 2024", "YYYY-MM-DD YYYY"), ("2024-06-07 2023", "YYYY-MM-DD YYYY"), ("10000-01-01", "YYYY-MM-DD"), ("2024 5", "YYYY Q"), ("2024 10", "YYYY WW"), ("2024 IW", "YYYY IW"), ("Jan", "Mon"), ("foo", "Mon"), ("15:30", "HH24:MI"), ("2024.02.29", "YYYY.MM.DD"), ("1 4 1902", "Q MM YYYY"), ("95-12", "YY-MM"), ("995", "YYY"), ("5", "Y")]
    for text, word in reads:
        for name in ("to_timestamp", "to_date"):
            arguments = [("text", text), ("text", word)]
            cases.append(("fn", name, arguments, f"{name}({sql(arguments[0])}, {sql(arguments[1])})"))
    numbers = ["0", "1", "-1", "12.345", "-12.345", "0.5", "-0.45", "485", "-485", "1234567.891", "148.5", "0.1", "99.995", "1e10", "NaN", "Infinity", "-Infinity", "3999", "4000", "21"]
    patterns = ["999", "9999", "999.99", "FM999.99", "FM999.009", "000.00", "0999.9", "9,999", "9G999", "999D99", "FM9,999,999.000", "S999", "999S", "SG999", "999MI", "MI999", "999PL", "PL999", "999PR", "FM999PR", "RN", "FMRN", "rn", "999th", "999TH", "99V999", "9.99EEEE", "9EEEE", "L999", "999 9", "\"Good number:\"999", "B999", "FM99", "0", "9", "FM0.99", "FM.99", ".99", "99.9.9", "S9MI", "999.", "FM999.", "999,999,999,999", "FM90.00", "SG9,999.99", "00", "FM000", "#999", "9.9.", "999D", "PR999", "9V9.9", "FM9999999999.99999", "", "9D99S", "S0.9"]
    for number in numbers:
        for pattern in patterns:
            arguments = [("numeric", number), ("text", pattern)]
            cases.append(("fn", "to_char", arguments, f"to_char({sql(arguments[0])}, {sql(arguments[1])})"))
            if number in ("485", "-485", "0", "21", "3999"):
                for kind in ("integer", "bigint"):
                    arguments = [(kind, number), ("text", pattern)]
                    cases.append(("fn", "to_char", arguments, f"to_char({sql(arguments[0])}, {sql(arguments[1])})"))
            if number in ("12.345", "-0.45", "0", "1e10", "NaN", "Infinity", "148.5"):
                for kind in ("double precision", "real"):
                    arguments = [(kind, number), ("text", pattern)]
                    cases.append(("fn", "to_char", arguments, f"to_char({sql(arguments[0])}, {sql(arguments[1])})"))
    for text, pattern in [("12,454.8-", "99G999D9S"), ("-34,338,492", "99G999G999"), ("-34,338,492.654,878", "99G999G999D999G999"), ("<564646.654564>", "999999.999999PR"), ("0.00001-", "9.999999S"), ("5.01-", "FM9.999999S"), ("5.01-", "FM9.999999MI"), ("5 4 4 4 4 8 . 7 8", "9 9 9 9 9 9 . 9 9"), (".01", "FM9.99"), (".0", "99999999.99999999"), ("0", "99.99"), (".-01", "S99.99"), ("42nd", "99th"), ("123456", "99999V99"), ("abc", "999"), ("", "999"), ("1234.56", "9999.99"), ("1,234.56", "9,999.99"), ("+12", "S99"), ("$1,234.56", "L9,999.99"), ("12", "9"), ("1e3", "9EEEE")]:
        arguments = [("text", text), ("text", pattern)]
        cases.append(("fn", "to_number", arguments, f"to_number({sql(arguments[0])}, {sql(arguments[1])})"))
    write("formats", cases)

def by_hand():
    """The cases of by_hand.txt, which stands beside this program."""
    cases = []
    for line in (HERE / "generate/by_hand.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        arguments = []
        for field in fields[2:]:
            kind, text = field.split(":", 1)
            if kind == '"char"' and False:
                pass
            text = None if text == "\\N" else re.sub(r"\\(.)", lambda m: {"t": "\t", "n": "\n"}.get(m.group(1), m.group(1)), text)
            arguments.append((kind, text))
        if fields[0] == "op":
            expression = f"{sql(arguments[0])} {fields[1]} {sql(arguments[1])}"
        elif fields[0] == "cast":
            expression = f"{sql(arguments[0])}::{fields[1]}"
        else:
            expression = f"\"{fields[1]}\"({', '.join(map(sql, arguments))})"
        cases.append((fields[0], fields[1], arguments, expression))
    write("by_hand", cases)

if __name__ == "__main__":
    for step in (operators, functions, casts, inputs, resolution, aggregates, numerics, floats, formats, by_hand):
        step()

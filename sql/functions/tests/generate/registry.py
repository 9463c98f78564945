#!/usr/bin/env python3
"""Writes the tables of functions, operators, casts and aggregates from a PostgreSQL 15 catalog.

usage: registry.py PSQL-ARGUMENTS...   (for example: registry.py -h /tmp -p 5432 -U postgres)

A row of pg_proc is taken if sql/functions/src/library has a function named as its prosrc, or one with the comment
`// pg_proc OID[, OID]` above it, and all its types are ours. `// own ID name(types) returns volatility [called]` declares a function of our own.
"""
import pathlib, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parents[2] / "src"
TYPES = {16: "Bool", 21: "Int2", 23: "Int4", 20: "Int8", 700: "Float4", 701: "Float8", 1700: "Numeric", 25: "Text", 1043: "Varchar", 1042: "Bpchar",
         17: "Bytea", 1082: "Date", 1114: "Timestamp", 1184: "Timestamptz", 1186: "Interval", 2950: "Uuid", 26: "Oid", 19: "Name", 18: "Char",
         2205: "Regclass", 2206: "Regtype", 24: "Regproc", 1009: "TextArray", 1005: "Int2Array", 1007: "Int4Array", 1016: "Int8Array", 1028: "OidArray",
         705: "Unknown", 2278: "Void", 22: "Int2Array", 30: "OidArray", 1003: "TextArray", 194: "Text"}
ORDER = ["Bool", "Int2", "Int4", "Int8", "Float4", "Float8", "Numeric", "Text", "Varchar", "Bpchar", "Bytea", "Date", "Timestamp", "Timestamptz",
         "Interval", "Uuid", "Oid", "Name", "Char", "Regclass", "Regtype", "Regproc", "TextArray", "Int2Array", "Int4Array", "Int8Array", "OidArray"]
POLYMORPHIC = {2276: "Any", 2283: "AnyElement", 2776: "AnyNonArray", 5077: "AnyElement", 5079: "AnyNonArray", 2277: "AnyArray", 5078: "AnyArray"}

def query(sql):
    done = subprocess.run(["psql", *sys.argv[1:], "-AtF", "\x1f", "-c", sql], check=True, capture_output=True, text=True)
    return [line.split("\x1f") for line in done.stdout.splitlines()]

def argument(oid):
    oid = int(oid)
    if oid in POLYMORPHIC:
        return POLYMORPHIC[oid]
    if oid in TYPES:
        return f"E(T::{TYPES[oid]})"
    return None

def library():
    """name -> (path, oids), own -> rows"""
    found, by_oid, own = {}, {}, []
    for path in sorted((ROOT / "library").rglob("*.rs")):
        if path.name in ("convert.rs", "real.rs", "regex.rs", "tests.rs") or path.parent.name in ("regex", "format_datetime", "format_number"):
            continue
        module = "::".join(path.relative_to(ROOT / "library").with_suffix("").parts)
        block, oids, declared, row = None, None, None, ""
        for line in path.read_text().splitlines():
            match = re.match(r"\s*// pg_proc ([\d, ]+)$", line)
            if match:
                oids = [int(oid) for oid in match.group(1).split(",")]
                continue
            match = re.match(r"\s*// own (\d+) (\w+)\(([^)]*)\) (\S+) (\w+)( called)?( variadic)?$", line)
            if match:
                declared = match.groups()
                continue
            if re.match(r"functions! \{$", line):
                block = "functions"
            elif re.match(r"\w+! \{$", line):
                block = "list"
            elif re.match(r"macro_rules!", line):
                block = "macro"
            elif re.match(r"\}$", line):
                block = None
            name = None
            match = re.match(r"    fn (\w+)[\[(]", line) if block == "functions" else re.match(r"pub\(crate\) fn (\w+)\($", line) if block is None else None
            if match:
                name = match.group(1)
            elif re.match(r"pub\(crate\) fn (\w+)\(\w+: &EvalContext", line):
                name = re.match(r"pub\(crate\) fn (\w+)\(", line).group(1)
            if name:
                target = f"{module}::{name}"
                if oids:
                    by_oid.update({oid: target for oid in oids})
                elif declared:
                    own.append((declared, target))
                else:
                    found[name] = target
                oids = declared = None
            elif block == "list" and not line.lstrip().startswith("//"):
                # A row may go over lines; it ends with a semicolon, and its names stand after the last colon or semicolon before.
                row += " " + line.strip()
                match = re.match(r".*[:;] ([\w ]+);$", row)
                if match:
                    for word in match.group(1).split():
                        if oids:
                            by_oid.update({oid: f"{module}::{word}" for oid in oids})
                        else:
                            found[word] = f"{module}::{word}"
                    oids = None
                if row.endswith(";"):
                    row = ""
            if block != "list":
                row = ""
    return found, by_oid, own

def write(path, lines):
    """Drops the names that no row uses."""
    body = "\n".join(line for line in lines if not line.startswith("use "))
    def narrow(line):
        if "ArgumentType::{self" not in line:
            return line
        words = [word for word in ("Any", "AnyArray", "AnyElement", "AnyNonArray") if re.search(rf"\b{word}\b", body)]
        return re.sub(r"self, .*\}", "self, " + "".join(f"{word}, " for word in words) + "Exactly as E}", line)
    (ROOT / path).parent.mkdir(exist_ok=True)
    (ROOT / path).write_text("\n".join(map(narrow, lines)) + "\n")

VOLATILITY = {"i": "V::Immutable", "s": "V::Stable", "v": "V::Volatile", "immutable": "V::Immutable", "stable": "V::Stable", "volatile": "V::Volatile"}

def functions():
    found, by_oid, own = library()
    rows, seen, used = [], {}, set()
    sql = """select p.oid, proname, array_to_string(proargtypes::oid[], ' '), prorettype, proisstrict, provolatile, prosrc, provariadic, pronargdefaults
             from pg_proc p where prokind = 'f' and not proretset and pronamespace = 11 order by p.oid"""
    for oid, name, arguments, returns, strict, volatility, source, variadic, defaults in query(sql):
        target = by_oid.get(int(oid)) or found.get(source)
        if not target:
            continue
        types = [argument(one) for one in arguments.split()]
        result = argument(returns)
        if None in types or result is None:
            continue
        if variadic != "0":
            types[-1] = argument(variadic)
        used.add(target)
        rows.append((name, int(oid), types, variadic != "0", result, strict == "t", VOLATILITY[volatility], target))
        seen[int(oid)] = name
    names = {value: key for key, value in TYPES.items() if key not in (22, 30, 194, 1003)}
    def own_type(word):
        return word if word in ("Any", "AnyElement", "AnyArray") else f"E(T::{word})"
    for (number, name, arguments, returns, volatility, called, variadic), target in own:
        types = [own_type(word.strip()) for word in arguments.split(",") if word.strip()]
        rows.append((name, int(number), types, bool(variadic), own_type(returns), not called, VOLATILITY[volatility], target))
        used.add(target)
    rows.sort(key=lambda row: (row[0], row[1]))
    unused = sorted(set(found.values()) | set(by_oid.values())) 
    for target in unused:
        if target not in used:
            print("no pg_proc row:", target, file=sys.stderr)
    lines = ["//! The functions, generated by `tests/generate/registry.py`; sorted by name.", "",
             "use super::ArgumentType::{self, Any, AnyArray, AnyElement, AnyNonArray, Exactly as E};",
             "use super::{EvaluateFunction, FunctionDefinition, FunctionId, Nulls, Volatility as V};", "use crate::library::*;", "use types::SqlType as T;", "",
             "const S: Nulls = Nulls::Strict;", "const C: Nulls = Nulls::Called;", "",
             "#[expect(clippy::too_many_arguments, reason = \"one row of the table\")]",
             "const fn f(",
             "    id: u16,", "    name: &'static str,", "    arguments: &'static [ArgumentType],", "    variadic: bool,", "    returns: ArgumentType,",
             "    nulls: Nulls,", "    volatility: V,", "    evaluate: EvaluateFunction,",
             ") -> FunctionDefinition {",
             "    let id = FunctionId(id);",
             "    FunctionDefinition { id, name, arguments, variadic, returns, nulls, volatility, evaluate }",
             "}", "", "#[rustfmt::skip]", f"pub(super) static FUNCTIONS: [FunctionDefinition; {len(rows)}] = ["]
    for name, oid, types, variadic, result, strict, volatility, target in rows:
        line = f'    f({oid}, "{name}", &[{", ".join(types)}], {str(variadic).lower()}, {result}, {"S" if strict else "C"}, {volatility}, {target}),'
        if len(line) > 160:
            at = line.index("], ") + 2
            lines += [line[:at], "       " + line[at:]]
        else:
            lines.append(line)
    lines.append("];")
    write("registry/function_table.rs", lines)
    return seen

def operators(functions):
    rows = []
    sql = "select oid, oprname, oprleft, oprright, oprcode::oid, oprcom, oprnegate from pg_operator where oprnamespace = 11 order by oprname collate \"C\", oid"
    for oid, name, left, right, code, commutator, negator in query(sql):
        if int(code) not in functions or {left, right} & {"22", "30"}:
            continue
        left_type = "None" if left == "0" else argument(left) and f"Some({argument(left)})"
        right_type = argument(right)
        if not left_type or not right_type:
            continue
        rows.append((oid, name, left_type, right_type, code, commutator, negator))
    lines = ["//! The operators, generated by `tests/generate/registry.py`; sorted by symbol.", "",
             "use super::ArgumentType::{self, Any, AnyArray, AnyElement, AnyNonArray, Exactly as E};", "use super::{FunctionId, OperatorDefinition};",
             "use types::SqlType as T;", "",
             "const fn o(", "    oid: u16,", "    symbol: &'static str,", "    left: Option<ArgumentType>,", "    right: ArgumentType,", "    function: u16,",
             "    commutator: u16,", "    negator: u16,", ") -> OperatorDefinition {",
             "    let function = FunctionId(function);",
             "    OperatorDefinition { oid, symbol, left, right, function, commutator, negator }", "}", "",
             "#[rustfmt::skip]", f"pub(super) static OPERATORS: [OperatorDefinition; {len(rows)}] = ["]
    for oid, name, left, right, code, commutator, negator in rows:
        lines.append(f'    o({oid}, "{name}", {left}, {right}, {code}, {commutator}, {negator}),')
    lines.append("];")
    write("registry/operator_table.rs", lines)

def casts(functions):
    rows = []
    for source, target, function, context, method in query("select castsource, casttarget, castfunc, castcontext, castmethod from pg_cast"):
        a, b = TYPES.get(int(source)), TYPES.get(int(target))
        if not a or not b or a == b or a not in ORDER or b not in ORDER or int(source) in (22, 30, 194, 1003) or int(target) in (22, 30, 194, 1003):
            continue
        kind = {"i": "Implicit", "a": "Assignment", "e": "Explicit"}[context]
        if method == "b":
            how = "R"
        elif method == "i":
            how = "CastMethod::Text"
        elif int(function) in functions:
            how = f"f({function})"
        else:
            print("no cast function", a, b, function, file=sys.stderr)
            continue
        rows.append((ORDER.index(a), ORDER.index(b), a, b, kind, how))
    rows.sort()
    lines = ["//! The conversions, generated by `tests/generate/registry.py`; sorted by source and target.", "",
             "use super::{CastDefinition, CastKind as K, CastMethod};", "use crate::registry::FunctionId;", "use types::SqlType as T;", "",
             "const R: CastMethod = CastMethod::Relabel;", "",
             "const fn f(id: u16) -> CastMethod {", "    CastMethod::Function(FunctionId(id))", "}", "",
             "const fn c(from: T, to: T, kind: K, method: CastMethod) -> CastDefinition {", "    CastDefinition { from, to, kind, method }", "}", "",
             "#[rustfmt::skip]", f"pub(super) static CASTS: [CastDefinition; {len(rows)}] = ["]
    for _, _, a, b, kind, how in rows:
        lines.append(f"    c(T::{a}, T::{b}, K::{kind}, {how}),")
    lines.append("];")
    write("cast/cast_table.rs", lines)

def aggregates():
    sources = [ROOT / "aggregate/states.rs", *sorted((ROOT / "aggregate/states").glob("*.rs"))]
    text = "\n".join(path.read_text() for path in sources)
    states = dict(re.findall(r"// pg_proc (\w+\([^)]*\)) => (\w+)", text))
    rows = []
    sql = """select p.oid, proname, array_to_string(proargtypes::oid[], ' '), prorettype, p.oid::regprocedure from pg_proc p
             where prokind = 'a' and pronamespace = 11 order by proname collate "C", p.oid"""
    for oid, name, arguments, returns, signature in query(sql):
        make = states.get(signature)
        types = [argument(one) for one in arguments.split()]
        result = argument(returns)
        if not make or None in types or result is None:
            continue
        skips = "false" if name == "array_agg" or signature == "count()" else "true"
        rows.append(f'    a({oid}, "{name}", &[{", ".join(types)}], {result}, {skips}, {make}),')
    lines = ["//! The aggregates, generated by `tests/generate/registry.py`; sorted by name.", "",
             "use super::states::*;", "use super::{AggregateDefinition, AggregateId, AggregateState};",
             "use crate::registry::ArgumentType::{self, Any, AnyArray, AnyElement, AnyNonArray, Exactly as E};", "use alloc::boxed::Box;", "use types::SqlType as T;", "",
             "const fn a(", "    id: u16,", "    name: &'static str,", "    arguments: &'static [ArgumentType],", "    returns: ArgumentType,", "    skips_nulls: bool,",
             "    make: fn(&[T]) -> Box<dyn AggregateState>,", ") -> AggregateDefinition {",
             "    let id = AggregateId(id);", "    AggregateDefinition { id, name, arguments, returns, skips_nulls, make }", "}", "",
             "#[rustfmt::skip]", f"pub(super) static AGGREGATES: [AggregateDefinition; {len(rows)}] = [", *rows, "];"]
    write("aggregate/aggregate_table.rs", lines)

known = functions()
operators(known)
casts(known)
aggregates()

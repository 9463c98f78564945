-- What psql 15 sends for its commands of this kind, as a server's log has it, each text once. A line with a semicolon alone ends a statement.
SELECT name AS "Column", pg_catalog.format_type(tp, tpm) AS "Type"
FROM (VALUES ('id', '20'::pg_catalog.oid, -1),('owner', '1043'::pg_catalog.oid, 24),('balance', '1700'::pg_catalog.oid, 655366)) s(name, tp, tpm)
;

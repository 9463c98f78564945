-- What psycopg2 2.9 sends on connecting and looking types up, as a server's log has it, each text once. A line with a semicolon alone ends a statement.
BEGIN
;
select 1
;
COMMIT
;
SELECT t.oid, typarray
FROM pg_type t JOIN pg_namespace ns
    ON typnamespace = ns.oid
WHERE typname = 'hstore'
;
ROLLBACK
;
SELECT t.oid, typarray, attname, atttypid
FROM pg_type t
JOIN pg_namespace ns ON typnamespace = ns.oid
JOIN pg_attribute a ON attrelid = typrelid
WHERE typname = 'accounts' AND nspname = 'public'
    AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
;
select rngtypid, rngsubtype, typarray
from pg_range r
join pg_type t on t.oid = rngtypid
join pg_namespace ns on ns.oid = typnamespace
where typname = 'int4range' and ns.nspname = 'public'
;
SAVEPOINT register_type
;
SELECT rngtypid, rngsubtype, typarray, typname, nspname
from pg_range r
join pg_type t on t.oid = rngtypid
join pg_namespace ns on ns.oid = typnamespace
WHERE t.oid = 'int4range'::regtype
;
ROLLBACK TO SAVEPOINT register_type
;
select * from accounts where id=1
;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
;

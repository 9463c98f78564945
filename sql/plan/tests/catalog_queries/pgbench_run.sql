-- What pgbench 15 sends at its start and in its scripts, as a server's log has it, each text once. A line with a semicolon alone ends a statement.
select count(*) from pgbench_branches
;
select o.n, p.partstrat, pg_catalog.count(i.inhparent) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on (n.oid = c.relnamespace) cross join lateral (select pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname)) as o(n) left join pg_catalog.pg_partitioned_table as p on (p.partrelid = c.oid) left join pg_catalog.pg_inherits as i on (c.oid = i.inhparent) where c.relname = 'pgbench_accounts' and o.n is not null group by 1, 2 order by 1 asc limit 1
;
SELECT abalance FROM pgbench_accounts WHERE aid = 82343
;
vacuum pgbench_branches
;
vacuum pgbench_tellers
;
truncate pgbench_history
;
BEGIN
;
UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2
;
SELECT abalance FROM pgbench_accounts WHERE aid = $1
;
UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2
;
UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2
;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)
;
END
;

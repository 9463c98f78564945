select b, count(*), sum(c), min(a), max(a) from t where a <> 8 group by b order by b
select b, count(c), count(distinct c), sum(distinct c) from t where a <> 8 group by b order by b
select sum(c) from t
select sum(c), avg(c) from t where a < 5
select sum(a), avg(a), sum(d), avg(d), min(d), max(d) from t
select sum(e), avg(e) from t where a < 4
select sum(e) from t
select min(e), max(e) from t
select count(*), sum(a), avg(a), max(b) from e right join t on false where t.a < 0
select count(*), count(v), sum(n), avg(n), max(v), bool_and(id > 0), string_agg(v, ','), array_agg(id) from e
select v, count(*) from e group by v
select sum(i2), avg(i2), sum(i4), avg(i4), sum(i8), avg(i8) from v
select sum(i2), sum(i4), sum(f4), sum(f8) from v where id in (1, 2)
select avg(f4), avg(f8), avg(nu) from v where id in (1, 2, 6, 7)
select min(b::text), min(i2), min(i4), min(i8), min(f4), min(f8), min(nu), min(tx), min(vc), min(da), min(ts), min(tz), min(iv) from v
select max(i2), max(i4), max(i8), max(f4), max(f8), max(nu), max(tx), max(vc), max(da), max(ts), max(tz), max(iv) from v
select min(ch), max(ch) from v
select sum(iv) from v where id in (1, 2, 6, 7, 8)
select avg(iv) from v where id in (1, 2, 8)
select f8, count(*) from v group by f8 order by f8
select f4, count(*) from v group by f4 order by f4
select iv, count(*) from v group by iv order by iv, count(*)
select ch, count(*) from v group by ch order by ch
select nu, count(*) from v where id <> 7 group by nu order by nu
select count(*) from v group by nu order by 1
select b, count(*) from v group by b order by b
select uu, count(*) from v group by uu order by uu
select by, count(*) from v group by by order by by
select da, ts, count(*) from v group by da, ts order by da, ts
select distinct b from t order by b
select distinct b, c from t where a <> 8 order by b, c
select count(distinct f8), count(distinct nu), count(distinct iv), count(distinct ch), count(distinct tx) from v
select count(distinct b) from t
select b, count(distinct d), sum(distinct d) from t group by b order by b
select count(distinct (a, b)) from t --! any
select distinct on (b) b, a from t order by b, a desc
select distinct on (dept) dept, name, pay from emp order by dept, pay desc nulls last, id
select b, sum(c) filter (where a > 2), count(*) filter (where c is null) from t where a <> 8 group by b order by b
select string_agg(b, ',' order by a) from t
select string_agg(distinct b, ',' order by b desc) from t
select string_agg(b, '' order by b, a desc) from t
select array_agg(a order by c nulls first, a) from t
select array_agg(distinct b) from t
select array_agg(b order by a) from t where a > 100
select bool_and(a > 0), bool_or(a > 9), every(c is not null) from t
select bit_and(a), bit_or(a) from t
select variance(a), stddev(a), var_pop(a), stddev_pop(a) from t
select variance(e), stddev_samp(e), var_pop(e), stddev_pop(e) from t where a < 4
select variance(d), stddev(d) from t
select b || 'q', a % 2, count(*) from t group by b || 'q', a % 2 order by 1, 2
select a / 4, sum(c) from t where a <> 8 group by a / 4 having sum(c) > 10 order by 1
select b from t group by b having count(*) > 1 order by b
select count(*) from t having count(*) > 100
select 1 from t having true
select 'k' from t group by () having count(*) > 0
select dept, boss, sum(pay), grouping(dept, boss) from emp group by rollup (dept, boss) order by grouping(dept, boss), dept, boss
select dept, boss, count(*) from emp group by cube (dept, boss) order by 1, 2, 3
select dept, count(*) from emp group by grouping sets ((dept), ()) order by 1, 2
select count(*) from e group by grouping sets ((id), ())
select b, row_number() over (order by a) from t order by a
select a, row_number() over (partition by b order by a desc), rank() over (order by c), dense_rank() over (order by c) from t order by a
select a, rank() over (partition by b order by c), percent_rank() over (order by c), cume_dist() over (order by c) from t order by a
select a, ntile(3) over (order by a), ntile(4) over (partition by b order by a) from t order by a
select a, lag(b) over (order by a), lead(b, 2) over (order by a), lag(c, 1, -1::int8) over (order by a) from t order by a
select a, first_value(b) over (order by a), last_value(b) over (order by a), nth_value(b, 2) over (order by a) from t order by a
select a, last_value(a) over (order by b rows between unbounded preceding and unbounded following) from t where b is not null and a < 6 order by a
select a, sum(a) over (order by a), sum(a) over (), avg(a) over (partition by b) from t order by a
select a, sum(a) over (order by a rows between 1 preceding and 1 following) from t order by a
select a, sum(a) over (order by a rows between 2 preceding and 1 preceding), count(*) over (order by a rows between 1 following and 3 following) from t order by a
select a, sum(a) over (order by b groups between 1 preceding and current row) from t order by a
select a, sum(a) over (order by b), count(*) over (order by b range between unbounded preceding and current row) from t order by a
select a, sum(a) over (order by a range between 2 preceding and 1 following) from t order by a
select a, sum(a) over (order by a desc range between 2 preceding and 1 following) from t order by a
select id, count(*) over (order by da range between '40 days' preceding and '1 month' following) from v where id in (1, 2, 6, 7, 8, 9, 10) order by id
select a, sum(a) over (order by a rows between 1 preceding and 1 following exclude current row) from t order by a
select a, sum(a) over (order by b rows between unbounded preceding and unbounded following exclude ties) from t order by a
select a, sum(a) over (order by b groups between current row and unbounded following exclude group) from t order by a
select a, count(*) filter (where b = 'x') over (order by a) from t order by a
select b, sum(sum(a)) over (order by b) from t group by b order by b
select b, rank() over (order by count(*) desc, b) from t group by b order by b
select * from (select a, row_number() over (partition by b order by a) as r from t) s where r = 1 order by a
select a, ntile(0) over (order by a) from t
select dept, name, pay, rank() over w, sum(pay) over w from emp window w as (partition by dept order by pay desc nulls last) order by dept, id
select f8, rank() over (order by f8) from v order by id
select nu, dense_rank() over (order by nu) from v order by id
select b from t union select x from u order by 1
select a from t union all select a from u order by 1
select a from t intersect select a from u order by 1
select a from t except select a from u order by 1
select a from u intersect all select a from u order by 1
select a from u except all select distinct a from u order by 1
select b from t intersect all select b from t where a < 5 order by 1
select b from t except all select b from t where a < 5 order by 1
select a, b from t except select a, b from t where a > 2 order by 1
select null union select null
select null::int4 intersect select null::int4
select nu from v where id in (6, 7) union select nu from v where id = 6
select f8 from v union select f8 from v order by 1
(select a from t order by a limit 2) union all (select a from t order by a desc limit 2) order by 1
select a from t union select a from u order by 1 limit 3
with q as (select a, b from t where a < 4) select * from q order by a
with q as (select a from t), r as (select a + 1 as a from q) select q.a from q join r using (a) order by 1
with q as (select count(*) as n from t) select (select n from q), n from q
with recursive r(n) as (select 1 union all select n + 1 from r where n < 10) select sum(n), count(*) from r
with recursive r(n) as (select 1 union select (n * 2) % 7 from r) select n from r order by n
with recursive tree as (select id, name, 0 as depth from emp where boss is null union all select e.id, e.name, t.depth + 1 from emp e join tree t on t.id = e.boss) select depth, count(*), string_agg(name, ',' order by id) from tree group by depth order by depth
with recursive path as (select id, name::text as p from emp where id = 1 union all select e.id, p || '/' || e.name from emp e join path on path.id = e.boss) select p from path order by p
select * from generate_series(1, 5)
select * from generate_series(5, 1, -2)
select * from generate_series(1, 0)
select * from generate_series(1, 3, 0)
select sum(g) from generate_series(1, 100000) g
select * from generate_series(1.5, 3.1, 0.5) g
select * from generate_series('2024-01-01'::timestamp, '2024-01-03', '12 hours') g
select * from generate_series(1, 3) with ordinality
select unnest(array[3, 1, 2])
select a, generate_series(1, 2) from t where a < 3 order by 1, 2
select generate_series(1, 2), generate_series(1, 3)
select x, ord from unnest(array['a', null, 'c']) with ordinality q(x, ord)
select sum(x) from unnest(array[1, 2, 3]) x
values (1, 'one'), (2, 'two') order by 1 desc
select count(*) from (values (1), (null), (3)) q(x) where x is not null
select 1 where false
select count(*) where false
select sum(1) from generate_series(1, 3) where false
select b, sum(d) from t group by 1 order by 2 desc nulls last, 1
select date_trunc('year', ts), count(*) from v where isfinite(ts) group by 1 order by 1
select extract(year from da), count(*) from v where isfinite(da) group by 1 order by 1

select 1
select 1, 'a', null, true, 1.5, 1e10, 12345678901, -9223372036854775808, 9223372036854775808
select 1 as x, 2 y, 3 "Z"
select * from t
select t.* from t
select t.a, t.b from t
select public.t.a from public.t
select a, a + 1, a * 2.5, b || 'x', -a, not e from t
select x from t
select t.x from t
select nope.a from t
select b.a from t b
select t.a from t b
select aa from t
select idd from t
select id from t, u
select id from t join u using (id)
select * from t join u using (id)
select * from t natural join u
select * from t join u using (nope)
select t.id, u.id from t left join u on t.id = u.t_id
select id from t join u on t.id = u.t_id
select * from t as z (i, j)
select * from t as z (i, j, k, l, m, n, o)
select * from nope
select * from nope.t
select * from app.t
select * from app.t, public.t
select app.t.id, public.t.id from app.t, public.t
select * from t, t
select * from t a, t b where a.id = b.id
select * from postgres.public.t
select * from other.public.t
select *
select * from t where a
select * from t where a = 'x'
select * from t where a = '5'
select * from t where a = b
select * from t where b = 5
select * from t where id = $1
select * from t where id = $1 and b = $2 and c > $3 and d < $4
select $1
select $1::int4, $2::text
select $1 + 1
select $1 + $2
select $2::int4
select $1::int4, $1::text
select * from t where id in ($1, $2)
select * from t where id = any($1)
select * from t where b = any($1)
select * from t where a in (1, 2, 3)
select * from t where a in (1, 2.5)
select * from t where a in ('1', 'x')
select * from t where b in (1, 2)
select * from t where a between 1 and 10
select * from t where a not between symmetric 10 and 1
select * from t where b like 'a%'
select * from t where a like 'a%'
select * from t where b not like 'a%' escape '!'
select * from t where b ilike $1
select * from t where b similar to 'a|b'
select * from t where b ~ '^a' and b !~* 'b$'
select * from t where a is null and b is not null
select * from t where a is true
select * from t where e is not true
select * from t where a is distinct from 5
select * from t where a is not distinct from null
select a = all (array[1,2,3]) from t
select a = any ('{1,2}') from t
select a = any (5) from t
select count(*) from t
select count(a), count(distinct b), sum(a), avg(a), min(b), max(d) from t
select sum(b) from t
select sum(a), a from t
select a, count(*) from t group by a
select a, b, count(*) from t group by a
select a + 1, count(*) from t group by a
select a + 1, count(*) from t group by a + 1
select a + 2, count(*) from t group by a + 1
select id, b, count(*) from t group by id
select t.id, t.b, u.v from t join u on u.t_id = t.id group by t.id
select a as k, count(*) from t group by k
select a as b, count(*) from t group by b
select a, count(*) from t group by 1
select a, count(*) from t group by 3
select a, count(*) from t group by 2
select count(*) from t group by 'x'
select count(*) from t group by 1.5
select a, count(*) from t group by a having count(*) > 1
select a from t having a > 1
select count(*) from t having b = 'x'
select count(*) from t where count(*) > 1
select count(count(*)) from t
select a from t group by count(*)
select sum(a) filter (where b = 'x') from t
select a filter (where b = 'x') from t
select length(b) filter (where b = 'x') from t
select sum(a order by b) from t
select count(distinct a, b) from t
select string_agg(b, ',' order by a) from t
select array_agg(a) from t
select bool_and(e), bool_or(e), every(e) from t
select stddev(a), variance(c), stddev_pop(a) from t
select a, count(*) from t group by rollup (a)
select a, b, count(*), grouping(a, b) from t group by cube (a, b)
select a, b, count(*) from t group by grouping sets ((a), (b), ())
select grouping(a) from t
select grouping(c) from t group by a
select a from t order by b
select a from t order by 1
select a from t order by 2
select a from t order by 'x'
select a as z from t order by z
select a as z from t order by z + 1
select a as b, b as b from t order by b
select a from t order by nope
select distinct a from t order by b
select distinct a from t order by a
select distinct on (a) a, b from t order by a, b
select distinct on (a) a, b from t order by b
select distinct on (1) a from t
select distinct on (nope) a from t
select a from t order by a nulls first, b desc nulls last
select a from t order by a using <
select a from t limit 5 offset 2
select a from t limit all
select a from t limit null
select a from t limit a
select a from t limit 'x'
select a from t limit '5'
select a from t limit $1 offset $2
select a from t limit 1.5
select a from t fetch first 3 rows only
select a from t fetch first row only
select a from t for update --! 0A000
select a, count(*) from t group by a for update
select distinct a from t for update
select a from t for update of u
select a from t for share nowait --! 0A000
select a from t for no key update skip locked --! 0A000
select 1 union select 2
select 1 union select 'a'
select 1 union select '2'
select 1 union all select 2.5
select 'a' union select 'b'
select null union select 1
select $1 union select 1
select a from t union select b from t
select a from t union select a, b from t
select a from t union select id from u order by a
select a from t union select id from u order by 1 desc limit 3
select a from t union select id from u order by b
select a from t union select id from u order by a + 1
select a from t intersect select id from u except select x from n
(select a from t) union (select a from t order by b limit 1)
select a from (select a, b from t) s
select a from (select a, b from t)
select s.a from (select a, b from t) s (q)
select * from (select 1, 2) s
select * from (values (1, 'a'), (2, 'b')) v (n, s)
values (1, 'a'), (2, 'b')
values (1), ('a')
values (1, 2), (3)
values (1, 2), (3, 4) order by 1 limit 1
table t
select (select a from t)
select (select a, b from t)
select (select 1 from t where t.a = u.t_id) from u
select exists (select 1 from t), array(select a from t)
select * from t where a in (select t_id from u)
select * from t where a in (select v from u)
select * from t where a in (select t_id, v from u)
select * from t where (a, b) in (select t_id, v from u)
select * from t where (a, id) = (1, 2)
select * from t where (a, id) < (1, 2)
select * from t where (a, id) < (1, 2, 3)
select * from t where (a, b) in ((1, 'x'), (2, 'y'))
select * from t where a > all (select t_id from u)
select * from t, (select t.a) s
select * from t, lateral (select t.a) s
select * from t, generate_series(1, t.a) g
select * from t right join lateral (select t.a) s on true
select g from generate_series(1, 3) g
select * from generate_series(1, 3) with ordinality
select * from generate_series(1, 3) as s(n)
select generate_series(1, 3), a from t
select * from unnest(array[1, 2, 3]) x
select a from t where generate_series(1, 2) = 1
select with_q.a from (with with_q as (select a from t) select a from with_q) with_q
with q as (select a, b from t) select * from q
with q (m, n) as (select a, b from t) select m from q
with q (m, n, o) as (select a, b from t) select m from q
with q as (select 1), q as (select 2) select * from q
with recursive r (n) as (select 1 union all select n + 1 from r where n < 10) select n from r
with recursive r (n) as (select 1 union all select n + 1.5 from r where n < 10) select n from r
with recursive r as (select 1 as n union select n from r order by 1) select n from r
with r as (select n from r) select 1
select row_number() over (order by a) from t
select rank() over w, sum(a) over w from t window w as (partition by b order by a)
select sum(a) over (order by a rows between 1 preceding and current row) from t
select sum(a) over (order by a range between 1 preceding and 1 following) from t
select sum(a) over (order by b range between 1 preceding and 1 following) from t
select sum(a) over (range between 1 preceding and 1 following) from t
select sum(a) over (rows between unbounded following and current row) from t
select sum(a) over (rows between current row and 1 preceding) from t
select row_number() from t
select length(b) over () from t
select sum(a) over nope from t
select a from t where row_number() over () = 1
select a from t group by row_number() over ()
select sum(sum(a)) over (partition by b) from t group by b
select lag(a) over (order by id), lead(a, 2) over (order by id), lag(a, 1, 0) over (order by id) from t
select first_value(b) over (order by id), nth_value(a, 2) over (order by id), ntile(4) over (order by id) from t
select sum(row_number() over ()) from t
select count(*) over () from t
select count(distinct a) over () from t
select case when a > 1 then 'x' else b end from t
select case a when 1 then 'x' when 2 then null end from t
select case when a then 1 end from t
select case when a > 1 then 1 else 'x' end from t
select case when a > 1 then 1 else 2.5 end from t
select coalesce(a, 0), coalesce(b, 'x'), coalesce(null, null) from t
select coalesce(a, 'x') from t
select nullif(a, 1), nullif(b, 'x'), nullif('a', 'b') from t
select greatest(a, 1, 2.5), least(b, 'x') from t
select cast(a as text), a::int8, b::varchar(3), '5'::numeric(4,1) from t
select a::date from t
select b::int4, 'x'::int4 from t
select '2020-01-01'::date, date '2020-01-01', timestamp '2020-01-01 10:00', interval '1 day', uuid '00000000-0000-0000-0000-000000000000'
select 'abc'::date
select '2020-13-01'::date
select 99999999999::int4
select 'x'::bool
select 'yes'::bool, 't'::bool
select 1::nope
select 1::pg_catalog.int4
select 1::app.int4
select 1::nope.int4
select 'a'::varchar(0)
select 1::int4(5)
select 1::numeric(1001)
select 1::numeric(5, 2000)
select extract(year from d), extract(epoch from d) from t
select date_trunc('day', d), d at time zone 'UTC', d + interval '1 day', d - d from t
select substring(b from 2 for 3), substring(b, 2), position('a' in b), trim(b), trim(leading 'x' from b), overlay(b placing 'x' from 2 for 1) from t
select upper(b), lower(b), length(b), concat(a, b), replace(b, 'a', 'b'), split_part(b, ',', 1) from t
select nope(a) from t
select length(a) from t
select length(a, b) from t
select abs(-5), round(1.5), round(1.234, 2), floor(1.5), ceil(1.5), sqrt(2), power(2, 3), mod(5, 3)
select now(), current_date, current_timestamp, localtimestamp, current_user, session_user, current_database(), current_schema
select version(), pg_backend_pid()
select a / 0 from t
select 1 / 0
select b + 1 from t
select b || a from t
select a || a from t
select a @@ b from t
select @ a from t
select ~ a from t
select a ^ 2, a % 2, a & 1, a | 1, a # 1, a << 1 from t
select d < now(), x > '2020-01-01', d < '2020-01-01' from t, u
select x + 1, x - x, x - interval '1 day' from u
select array[1, 2, 3], array['a', 'b'], array[]::int4[]
select array[]
select array[1, 'a']
select (array[1, 2])[1]
select (5)[1]
select a.b from t
select (t).a from t --! 0A000
select b collate "C" from t
select a collate "C" from t
select b collate nope from t
select b from t where b collate pg_catalog.default = 'x'
select 'a' 'b'
select e'a\n', $$x$$, $q$y$q$, U&'x' --! 0A000
select 1 + ; select 2
select a from t where
select from t
select a, from t
select a from t where (a = 1
select a from t where a = 1)
select a b c from t
select a as from t
selec 1
select 1 from
select 'abc
select "abc
select /* x
select 1..5 --! 42601
select 1a
select $1a
select ;
select a from t group
select a from t order a
select 'x' = 5
select '5' = 5
select 5 = '5x'
select null = null
select true and 1
select not 5
select a and e from t
select 1 = 2 = 3
select 1 < 2 < 3
select 2 ^ 3 ^ 2, -2 ^ 2, 5 - 3 - 1, 2 + 3 * 4
select a is null = e from t
select operator(pg_catalog.+)(1) from t
select 1 operator(pg_catalog.+) 2
select 1 operator(app.+) 2 --! 0A000
select count(*) from t where e
select max(a) from t group by b order by max(a)
select b from t group by b order by a
select b from t group by b order by count(*) desc, 1
select a from t where exists (select 1 from u where u.t_id = t.a and u.nope = 1)
select (select max(u.w) from u where u.t_id = t.id) from t group by t.id
select (select max(u.w) from u where u.t_id = t.a) from t group by t.b
select t.a from t join u on t.id = u.t_id join n on n.x = t.a
select t.a from t join u on t.id = n.x join n on n.x = t.a
select t.a from t cross join u
select t.a from t join u
select t.a from t full join u using (id)
select id from t full join u using (id)
select i.id from (t join u using (id)) as i
select 1 from t where id = '1' and b = e'x'
select 'now'::timestamp, 'today'::date
select p, q from k where p = 'x' and q = 5 and r > '2020-01-01'
select s from k where s = '00000000-0000-0000-0000-000000000000'
select s from k where s = 'nope'
select z, z || 'x', i, i * 2 from n
select n.y + n.x, n.y + 1, n.y * 2.5, n.y / n.y from n
select current_setting('search_path'), set_config('a.b', 'c', false)
select nextval('sq'), currval('sq'), setval('sq', 5)
select nextval('nope')
select 't'::regclass, 'int4'::regtype, 'nope'::regclass
select oid, relname from pg_class where relname = 't'
select c.relname from pg_catalog.pg_class c join pg_namespace n on n.oid = c.relnamespace
select table_name from information_schema.tables
select 1 where false
select 1 where 1
select 'a' < 'b', 'a' = 'a ', 'a'::char(3) = 'a'
select count(*), 1 from t
select distinct count(*) from t
select all a from t
select a, sum(c) s from t group by a order by s
select x.* from t x where x.a > (select avg(y.a) from t y)
select random(), gen_random_uuid()
select md5(b), encode(v, 'hex') from t, k
select generate_series(1, 2), generate_series(1, 3)
select a.id from t a inner join t b on a.id = b.id left outer join t c on true

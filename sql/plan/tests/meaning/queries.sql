select * from p order by id
select id, name || '!' as n from p where pay > 60 order by 1
select p.name, d.title from p join d on p.dept = d.id order by p.id
select p.name, d.title from p left join d on p.dept = d.id order by p.id
select p.name, d.title from p right join d on p.dept = d.id order by 1, 2
select p.name, d.title from p full join d on p.dept = d.id order by 1, 2
select id, p.name, d.title from p full join d using (id) order by id
select * from p natural join d
select count(*), count(pay), sum(pay), min(name), max(born), avg(pay) from p
select dept, count(*), sum(pay) from p group by dept order by dept
select dept, count(*) from p group by dept having count(*) > 1 order by dept desc
select dept + 1, count(*) * 2 + dept from p group by dept order by 1
select count(*) from e
select sum(x), count(y) from e
select x, count(*) from e group by x
select id, title, (select count(*) from p where p.dept = d.id) from d order by id
select id, (select name from p where p.id = d.boss) as boss from d order by id
select name from p where exists (select 1 from d where d.boss = p.id) order by 1
select name from p where dept in (select id from d where title <> 'ops') order by 1
select name from p where dept not in (select id from d where title <> 'ops') order by 1
select name from p where dept not in (select boss from d) order by 1
select name from p where pay >= all (select pay from p where pay is not null) order by 1
select name from p where pay > any (select pay from p q where q.dept = p.dept) order by 1
select (select max(q.pay) from p q where q.dept = p.dept) - pay from p order by id
select d.id, (select string_agg(p.name, ',' order by p.name desc) from p where p.dept = d.id) from d order by id
select d.id, x.n from d, lateral (select count(*) as n from p where p.dept = d.id) x order by 1
select d.id, x.name from d left join lateral (select name from p where p.dept = d.id order by pay desc limit 1) x on true order by 1
select d.id, g from d, generate_series(1, d.id / 10) g order by 1, 2
select d.id, q.id, g from d join p q on q.dept = d.id, lateral generate_series(q.id, d.boss) g order by 1, 2, 3
select d.id from d where (select count(*) from p where p.dept = d.id and exists (select 1 from p r where r.dept = d.id and r.id > p.id)) = 1 order by 1
select t.n from (select dept, count(*) as n from p group by dept) t where t.n > 1 order by 1
select a.s from (select sum(n) as s from (select count(*) as n from p group by dept) b) a
select dept, (select title from d where d.id = p.dept) from p group by dept order by 1
select dept, (select count(*) from d where d.id = p.dept and d.boss is not null) + count(*) from p group by dept order by 1
select d.id, d.title, count(p.id) from d left join p on p.dept = d.id group by d.id order by 1
select case when count(*) > 3 then 'many' else 'few' end from p
select distinct dept from p order by 1
select distinct on (dept) dept, name from p order by dept, name desc
select count(distinct dept), count(distinct pay) from p
select sum(pay) filter (where dept = 10), count(*) filter (where pay is null) from p
select dept from p union select id from d order by 1
select dept from p union all select id from d order by 1
select dept from p intersect select id from d order by 1
select dept from p intersect all select id from d order by 1
select id from d except select dept from p order by 1
select 1 union select 2.5 union select '3' order by 1
(select id from p order by id desc limit 2) union all (select id from d order by id limit 1) order by 1
values (1, 'a'), (2, 'b'), (3, null) order by 1 desc
select * from (values (1, 'a'), (2, 'b')) v (n, s) where n > 1
with q as (select dept, count(*) c from p group by dept) select a.dept, b.c from q a join q b on a.dept = b.dept order by 1
with q (z) as (select id from d), r as (select z + 1 as y from q) select y, z from q, r where y = z + 1 order by 1
with recursive r (n) as (select 1 union all select n + 1 from r where n < 5) select n from r order by 1
with recursive r (n) as (select 1 union select (n + 1) % 4 from r) select n from r order by 1
with recursive r (id, path) as (select id, name from p where id = 1 union all select p.id, r.path || '/' || p.name from r join p on p.id = r.id + 1) select * from r order by 1
select a, b, v from k where (a, b) < (2, 1) order by 1, 2
select a, b from k where (a, b) in ((1, 2), (3, 3)) order by 1
select a from k where (a, b) = (select id / 10, 1 from d where id = 10)
select a, b from k where (a, b) in (select id, 1 from p) order by 1
select array(select id from d order by id desc)
select id = any (array[1, 3]) from p order by id
select id from p order by pay nulls first, id desc
select id from p order by pay desc, id limit 2 offset 1
select id from p order by born desc nulls last, id limit 3
select name as id from p order by id limit 1
select id % 2 as odd, count(*) from p group by odd order by odd
select -id as id from p order by id limit 2
select id from p order by -id limit 2
select dept, grouping(dept), count(*) from p group by rollup (dept) order by 2, 1
select a, b, count(*), grouping(a, b) from k group by cube (a, b) order by 4, 1, 2
select a, v, count(*) from k group by grouping sets ((a), (v), ()) order by 1, 2, 3
select id, row_number() over (order by pay desc nulls last, id) from p order by id
select id, sum(pay) over (partition by dept order by id), count(*) over () from p order by id
select id, rank() over (order by pay), dense_rank() over (order by pay) from p order by id
select id, lag(name) over w, lead(name, 2, 'none') over w from p window w as (order by id) order by id
select id, sum(id) over (order by id rows between 1 preceding and 1 following) from p order by id
select dept, sum(count(*)) over (order by dept) from p group by dept order by dept
select id, first_value(name) over (partition by dept order by pay), last_value(name) over (order by id) from p order by id
select generate_series(1, id), name from p where id < 3 order by 2, 1
select generate_series(1, 2), generate_series(1, 3)
select count(*), generate_series(1, 2) from p
select unnest(array['x', 'y'])
select * from generate_series(1, 3) with ordinality as s (v, o) order by o desc
select x from unnest(array[3, 1, 2]) as x order by x
select coalesce(dept, 0), nullif(dept, 10), greatest(id, dept), least(id, 3) from p order by id
select name from p where name like '_e%' or name similar to '(a|b)%' order by 1
select name from p where pay between 50 and 150 order by 1
select name from p where pay between symmetric 150 and 50 order by 1
select name from p where dept is distinct from 10 order by 1
select name from p where (dept is null) = true
select case dept when 10 then 'ten' when 20 then 'twenty' else 'none' end from p order by id
select extract(year from born), born + 1, born - date '1980-01-01' from p where born is not null order by id
select exists (select 1 from e), not exists (select 1 from p)
select (select 1 where false), (select id from d where id = 10)
select p1.id, p2.id from p p1, p p2 where p1.id < p2.id and p1.dept = p2.dept order by 1, 2
select i.id, i.title from (p join d using (id)) as i
select p.id, x.t from p join (d join k on k.a = d.boss) as x (i, t) on x.i = p.dept order by 1, 2
select 1 from p having count(*) > 3
select sum(id) from p group by () having sum(id) > 3
select max(id) + 1 from p where id in (select max(id) from p)
select name from p where id = (select min(id) from p where dept = (select max(dept) from p))
select d.title, s.total from d join (select dept, sum(pay) as total from p group by dept) s on s.dept = d.id order by 1

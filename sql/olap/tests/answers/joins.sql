select count(*) from t
select * from t order by a
select a, b from t where c > 10 order by a
select t.a, u.x from t join u on t.a = u.a order by u.id
select t.a, u.x from t left join u on t.a = u.a order by t.a, u.id
select t.a, u.x from t right join u on t.a = u.a order by u.id
select t.a, u.x from t full join u on t.a = u.a order by t.a, u.id
select t.a, u.x from t, u where t.a = u.a and u.y > 1 order by u.id
select t.a, w.n, u.id from t, u, w where t.b = w.k and u.a = t.a order by u.id
select count(*) from t, u
select count(*) from t cross join u cross join w
select t.a, u.id from t left join u on t.a = u.a and u.y > 1 order by t.a, u.id
select t.a, u.id from t left join u on t.a = u.a where u.y > 1 order by t.a, u.id
select t.a, u.id from t left join u on t.a = u.a where u.id is null order by t.a
select t.a, u.id from t full join u on t.a = u.a where t.a > 5 order by t.a, u.id
select t.a, u.id from t full join u on t.a = u.a where t.a is null or u.id is null order by t.a, u.id
select a.a, b.a from t a join t b on a.b = b.b and a.a < b.a order by 1, 2
select a.id, b.id from u a join u b on a.id < b.id and a.a = b.a order by 1, 2
select t.a, u.y from t join u on t.a = u.y order by 1, 2
select t.a, u.y from t join u on t.c = u.y order by 1, 2
select t.a, u.id from t join u on t.c = u.id order by 1, 2
select t.a, s.n from t join (select a, count(*) as n from u group by a) s on s.a = t.a order by 1
select t.a, s.n from t left join (select a, count(*) as n from u group by a) s using (a) order by 1
select * from (values (1, 'a'), (2, 'b'), (3, null)) as q(i, s) order by i
select q.i, t.b from (values (1), (2), (99)) q(i) left join t on t.a = q.i order by q.i
select x.id, y.id from v x join v y on x.f8 = y.f8 order by 1, 2
select x.id, y.id from v x join v y on x.f4 = y.f4 order by 1, 2
select x.id, y.id from v x join v y on x.nu = y.nu order by 1, 2
select x.id, y.id from v x join v y on x.iv = y.iv order by 1, 2
select x.id, y.id from v x join v y on x.ch = y.ch order by 1, 2
select x.id, y.id from v x join v y on x.tx = y.vc order by 1, 2
select x.id, y.id from v x join v y on x.uu = y.uu order by 1, 2
select x.id, y.id from v x join v y on x.by = y.by order by 1, 2
select x.id, y.id from v x join v y on x.f4 = y.f8 order by 1, 2
select x.id, y.id from v x join v y on x.da = y.ts order by 1, 2
select x.id, y.id from v x join v y on x.i2 = y.i8 order by 1, 2
select x.id, y.id from v x join v y on x.b = y.b and x.id < y.id order by 1, 2
select e.name, b.name from emp e left join emp b on b.id = e.boss order by e.id
select e.name, b.name, g.name from emp e join emp b on b.id = e.boss join emp g on g.id = b.boss order by e.id
select e.name from emp e left join emp b on b.id = e.boss and b.dept = e.dept where b.id is null order by e.id
select t.a, l.x from t, lateral (select u.x from u where u.a = t.a order by u.id desc limit 1) l order by t.a
select t.a, l.x from t left join lateral (select u.x from u where u.a = t.a order by u.id limit 1) l on true order by t.a
select t.a, l.n from t cross join lateral (select count(*) as n from u where u.a = t.a) l order by t.a
select t.a, g from t, generate_series(1, t.a) g where t.a < 4 order by 1, 2
select t.a, g from t left join lateral generate_series(1, t.a - 2) g on true where t.a < 5 order by 1, 2
select e.name, d.total from emp e join lateral (select sum(pay) as total from emp x where x.dept = e.dept) d on true order by e.id
select (select max(c) from t) , (select count(*) from u)
select a from t where c = (select max(c) from t)
select a from t where c = (select c from t)
select a, (select x from u where u.a = t.a) from t where a > 3 order by a
select a, (select x from u where u.a = t.a) from t order by a
select (select x from u where id = -1) is null
select a, (select count(*) from u where u.a = t.a) from t order by a
select a, (select sum(y) from u where u.a = t.a) from t order by a
select a, (select max(id) from u where u.a < t.a) from t order by a
select a, (select min(x) from u where u.a = t.a and u.y > t.a) from t order by a
select a from t where exists (select 1 from u where u.a = t.a) order by a
select a from t where not exists (select 1 from u where u.a = t.a) order by a
select a from t where exists (select 1 from u) order by a
select a from t where exists (select 1 from e)
select a from t where not exists (select 1 from e) order by a
select a, exists (select 1 from u where u.a = t.a) from t order by a
select a, exists (select 1 from u where u.a = t.a and u.y is null) or a > 8 from t order by a
select a from t where a in (select a from u) order by a
select a from t where a not in (select a from u) order by a
select a from t where a not in (select a from u where a is not null) order by a
select a from t where a not in (select id from e) order by a
select a, a in (select a from u) from t order by a
select a, a not in (select a from u where a is not null) from t order by a
select a, c in (select y from u where u.a = t.a) from t order by a
select a, null in (select y from u where u.a = t.a) from t order by a
select a from t where (a, b) in (select a, x from u) order by a
select a from t where (a, 'one') in (select a, x from u) order by a
select a from t where c > all (select y from u where y is not null and y < 100) order by a
select a from t where c > any (select y from u) order by a
select a from t where c < all (select y from u where u.a = t.a) order by a
select a from t where c = any (select y from u where u.a = t.a) order by a
select a from t where a = any (array[1, 3, 5]) order by a
select a from t where a <> all (array[1, 3, 5]) order by a
select a, array(select y from u where u.a = t.a order by y) from t order by a
select array(select a from t order by a desc)
select a, (select count(*) from u where u.a = t.a and exists (select 1 from w where w.n = u.y)) from t order by a
select a, (select string_agg(x, ',' order by x desc) from u where u.a = t.a) from t order by a
select name, (select count(*) from emp b where b.pay > e.pay) from emp e order by id
select name from emp e where pay > (select avg(pay) from emp b where b.dept = e.dept) order by id
select name from emp e where pay = (select max(pay) from emp b where b.dept = e.dept) order by id
select dept, name from emp e where (select count(*) from emp b where b.dept = e.dept and b.pay > e.pay) < 2 order by dept, id
select name, (select name from emp b where b.dept = e.dept and b.id <> e.id order by pay desc nulls last, id limit 1) from emp e order by id
select name, (select b.name from emp b where b.id = e.boss union all select 'nobody' order by 1 limit 1) from emp e where e.boss is not null order by id
select a, (select sum(s.n) from (select u.y as n from u where u.a = t.a union all select t.a) s) from t order by a
select a, (select sum(n) from (select distinct u.y / 2 as n from u where u.a = t.a) s) from t order by a
select a, (select max(r) from (select row_number() over (order by id) as r from u where u.a = t.a) s) from t order by a
select a from t where a > (select avg(a) from t) order by a
select a from t order by (select max(y) from u where u.a = t.a) nulls first, a
select s.b, (select count(*) from u where u.a = s.m) from (select b, max(a) as m from t group by b) s order by b
select b from t group by b having count(*) > (select min(n) from w) order by b
select case when a > 5 then (select count(*) from u) else 0 end from t order by a
select count(*) from t where case when a <> 0 then 100 / a > 20 else false end
select a, 1 / (a - 3) from t where a <> 3 order by a
select a from t where a <> 3 and 1 / (a - 3) >= 0 order by a
select a, case when a <> 3 then 1 / (a - 3) end from t order by a
select coalesce(b, 'none'), nullif(b, 'x'), greatest(a, c), least(a, c, 5) from t order by a
select a, b is distinct from 'x', c is not distinct from null from t order by a
select a from t where b like 'z%' order by a
select a from t where b not like '%y' order by a
select a from t where b in ('x', 'z') order by a
select a from t where a between 3 and 5 order by a
select a from t where c not in (10, 20, null) order by a
select a from t where (b = 'x') is not true order by a
select a from t limit 0
select a from t order by a limit 3
select a from t order by a desc limit 3 offset 2
select a from t order by a offset 8
select a from t order by b desc nulls last, a limit 4
select b, a from t order by b nulls first, a desc
select d from t order by d
select e from t order by e
select e from t order by e desc
select count(*) from (select a from t limit 4) s
select a from t order by a limit -1
select a from t offset -1
select a from t order by a limit null
select a from t where (a, b) not in (select a, x from u where a is not null and x is not null) order by a
select a from t where (a, 'one') not in (select a, x from u) order by a
select a from t where c > some (select y from u where u.a = t.a) order by a
select a from t where a <> all (select a from u where u.y = t.a) order by a
select a from t where not (a in (select a from u)) order by a
select a, (a, b) = (1, 'x') from t order by a
select t.a, (select count(*) from u where u.a = t.a and u.y > (select avg(y) from u z where z.a = t.a)) from t order by a
select t.a, (select (select count(*) from w where w.n = u.y or w.n = t.a) from u where u.a = t.a order by u.id limit 1) from t order by a
select a from t where exists (select 1 from u where u.a = t.a and exists (select 1 from w where w.n = u.y and w.k <> t.b)) order by a
select a, (select count(*) from generate_series(1, t.a) g where g % 2 = 0) from t order by a
select a, (select max(q.n) from (select y as n from u where u.a = t.a union select a from t z where z.a < t.a) q) from t order by a
select a, (select count(*) from (select 1 from u where u.a = t.a limit 1) q) from t order by a
select a, (select sum(q.s) from (select u.y, sum(u.id) as s from u where u.a = t.a group by u.y) q) from t order by a
select a, (select count(*) from u where u.a = t.a having count(*) > 1) from t order by a
select a, (select v.m from (values (t.a * 2)) v(m)) from t order by a
select a, (select x from (values (1, 'one'), (2, 'two')) q(i, x) where i = t.a) from t order by a
select (select count(*) from t x where x.d = y.d) from t y order by y.a
select (select count(*) from v x where x.f8 = y.f8) from v y order by y.id
select (select max(x.id) from v x where x.nu = y.nu and x.id <> y.id) from v y order by y.id
select id from v y where exists (select 1 from v x where x.iv = y.iv and x.id <> y.id) order by id
select id from v y where iv in (select iv from v x where x.id <> y.id) order by id
select id from v y where f8 not in (select f8 from v x where x.id = 7) order by id
select e.name, l.name from emp e left join lateral (select b.name from emp b where b.boss = e.id order by b.pay desc nulls last, b.id limit 2) l on true order by e.id, l.name
select count(*) from t a, t b, t c where a.b = b.b and b.b = c.b
select count(*) from t a join t b on a.a + 1 = b.a join t c on b.a + 1 = c.a
select count(*) from t a left join t b on a.a = b.a + 100 where b.a is null
select x.a from t x where x.c = (select min(c) from t y where y.b = x.b) order by 1

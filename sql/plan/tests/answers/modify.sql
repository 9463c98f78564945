insert into t values (1, 2, 'x')
insert into t (id, a) values (1, 2), (3, 4)
insert into t (id, a) values (1, 2, 3)
insert into t (id, a) values (1)
insert into t (id, id) values (1, 2)
insert into t (id, nope) values (1, 2)
insert into t values (1, 2, 'x', 1.5, now(), true, 5)
insert into t values ($1, $2, $3, $4, $5, $6)
insert into t (id) values ('x')
insert into t (id) values (true)
insert into t (b) values (5)
insert into t (a) values (1.5)
insert into t (e) values (1)
insert into t (id, b) select id, v from u
insert into t (id, b) select id, v, w from u
insert into t (id, b) select id from u
insert into t (id, b) select x, v from u
insert into t (id, b) select $1, $2
insert into t default values
insert into t (id, a) values (default, default)
insert into nope values (1)
insert into t (id) values (1) returning id
insert into t (id) values (1) returning *
insert into t (id) values (1) returning id + 1 as z, b
insert into t (id) values (1) returning nope
insert into t as z (id) values (1) returning z.id
insert into t as z (id) values (1) returning t.id
insert into t (id) values (1) returning count(*)
insert into t (id) values (1) on conflict do nothing
insert into t (id) values (1) on conflict (id) do nothing
insert into t (id) values (1) on conflict (a) do nothing --! 42P10
insert into t (id) values (1) on conflict (nope) do nothing
insert into t (id) values (1) on conflict on constraint t_pkey do nothing
insert into t (id) values (1) on conflict on constraint nope do nothing
insert into t (id, a) values (1, 2) on conflict (id) do update set a = excluded.a
insert into t (id, a) values (1, 2) on conflict (id) do update set a = t.a + excluded.a where t.b = 'x'
insert into t (id, a) values (1, 2) on conflict (id) do update set a = a + 1
insert into t (id, a) values (1, 2) on conflict do update set a = 1
insert into t (id, a) values (1, 2) on conflict (id) do update set nope = 1
insert into n (x) values (1) on conflict (x) do nothing --! 42P10
insert into g (v) values ('x')
insert into g values (1, 'x')
insert into g (id, v) overriding system value values (1, 'x')
insert into g (id, v) overriding user value values (1, 'x')
insert into g (id, v) values (default, 'x')
insert into bd values (1, 2)
insert into s (name) values ('x') returning id
insert into k (p, q, r) values ('a', 1, '2020-01-01'), ($1, $2, $3)
insert into t (id) values ((select max(id) from t) + 1)
insert into t (id) values (1), (2, 3)
insert into t (id) values (a)
insert into t (id) values (generate_series(1, 2)) --! 0A000
insert into t (id) select generate_series(1, 10)
with q as (select 1 as i) insert into t (id) select i from q
insert into t (id) values (1) returning (select 1) --! 0A000
insert into pg_class (relname) values ('x') --! 42501
insert into sq values (1) --! 42809
update t set a = 1
update t set a = a + 1 where id = 5
update t set a = a + $1 where id = $2
update t set nope = 1
update t set a = 'x'
update t set a = b
update t set a = 1, a = 2
update t set (a, b) = (1, 'x')
update t set (a, b) = (1, 'x', 2)
update t set (a, b) = row(1, 'x')
update t set (a, b) = (select 1, 'x') --! 0A000
update t set a = default
update t set a = count(*)
update t set t.a = 1 --! 0A000
update t z set a = z.a + 1 where z.id = 1 returning z.*
update t z set a = t.a + 1
update t set a = u.t_id from u where u.id = t.id
update t set a = u.t_id from u where u.id = t.id returning t.id, u.v
update t set a = 1 from t
update t set a = (select max(t_id) from u) where id = 1
update t set a = 1 where a in (select t_id from u)
update t set a = 1 where nope = 1
update t set a = 1 where a
update t set id = 5 where id = 4
update g set id = 5
update g set id = default
update nope set a = 1
update t set e = null
update t set c = c * 1.1, d = now() where id between 1 and 5
delete from t
delete from t where id = 1
delete from t where id = $1 returning *
delete from t z where z.id = 1
delete from t using u where u.t_id = t.id
delete from t using u where u.t_id = t.id returning u.v
delete from t where nope
delete from nope
delete from t where count(*) = 1
delete t
update t a = 1
insert t values (1)
insert into t
insert into t values
insert into t values ()

select id, i2 + i2, i4 + 1, i8 - 1 from v where id in (1, 2, 6, 7) order by id
select i4 + 1 from v where id = 4
select i2 * 2::int2 from v where id = 4
select i8 + 1 from v where id = 4
select -i8 from v where id = 5
select abs(i4) from v where id = 5
select i4 / 0 from v where id = 1
select i8 % 0 from v where id = 1
select f8 / 0 from v where id = 1
select f8 * 10 from v where id = 4
select f8 * 1e-300 from v where id = 10
select f4 * f4 from v where id = 4
select nu / 0 from v where id = 1
select i4 / -1 from v where id = 5
select i4 % -1 from v where id = 5
select i2 / (-1)::int2 from v where id = 5
select id, i4 / 2, i4 % 3, i8 * 2, i2 - i4 from v where id in (1, 2, 8, 9, 10) order by id
select id, f4 + f8, f8 - f4, f4 * 2, f8 / 3 from v where id in (1, 2, 6, 7) order by id
select id, nu + 1, nu * 2.50, nu / 3, nu - i4 from v where id in (1, 2, 6, 7, 10) order by id
select id, i2 = i4, i4 < i8, i8 >= i2, i4 <> i8 from v order by id
select id, f4 = f8, f8 < 0, f8 > 'NaN', f8 = 'NaN', f4 <= f8 from v order by id
select id, nu > 0, nu = 0.0, nu < f8::numeric from v where id <> 9 and id <> 4 and id <> 5 order by id
select id, tx < vc, tx = 'abc', vc >= 'b', ch = 'a', ch < 'b' from v order by id
select id, by > '\x00', by = '\x' from v order by id
select id, da > '2000-01-01', ts <= '2000-01-01', tz = '1970-01-01 00:00:00+00', iv > '1 day', iv = '1 mon' from v order by id
select id, uu > '10000000-0000-0000-0000-000000000001' from v order by id
select id, b and i4 > 0, b or i4 > 0, not b, b is true, b is not false, b is unknown from v order by id
select id, i4::int2 from v where id <> 4 and id <> 5 and id <> 9 order by id
select i4::int2 from v where id = 4
select i8::int4 from v where id = 5
select id, f8::int4, f4::int2 from v where id in (1, 2, 6, 7) order by id
select f8::int4 from v where id = 8
select f8::float4 from v where id = 4
select id, i4::text, f8::text, nu::text, b::text, da::text, iv::text, uu::text, by::text from v order by id
select id, i2::float8, i8::float4, i4::numeric, f4::float8 from v where id <> 8 order by id
select id, nu::numeric(30,1) from v where id not in (8) order by id
select id, tx::varchar(2), ch::text || '|', vc::char(3) || '|' from v order by id
select id, length(tx), upper(ch), substr(tx, 2, 3), tx || '-' || vc from v where id <> 5 order by id
select id, tx like 'a%', tx like '%b%', vc like 'a\_b', tx like '_', tx ilike 'ABC' from v order by id
select id, da + 1, da - '2000-01-01'::date, ts + '1 day', tz - '1 hour'::interval from v where id in (1, 2, 6, 7, 8) order by id
select id, extract(month from ts), extract(epoch from iv), date_trunc('month', ts) from v where id in (1, 2, 6, 7, 8) order by id
select id, ts - '2000-01-01'::timestamp, age(ts, '2000-01-01') from v where id in (1, 2, 6, 7) order by id
select id, iv * 2, iv + '1 hour', -iv from v where id in (1, 2, 6, 7, 8) order by id
select id, round(nu, 1), trunc(nu), ceil(f8), floor(f8), sign(nu) from v where id in (1, 2, 6, 7) order by id
select id, sqrt(abs(f8)), power(f8, 2), exp(f8) from v where id in (1, 2, 6) order by id
select sqrt(-1::float8), 1
select ln(0::float8)
select id, coalesce(i4, -1), nullif(i4, 0), greatest(i2, i4, 5), least(f8, 0) from v order by id
select id, case i4 when 0 then 'zero' when 7 then 'seven' else 'other' end from v order by id
select id, case when i4 > 0 then 10 / i4 when i4 < 0 then -1 end from v order by id
select id from v where i4 <> 0 and 10 / i4 > 1 order by id
select id from v where i4 = 0 or 10 / i4 > 1 order by id
select id, i4 in (0, 7, null), tx in ('a', 'abc'), nu in (0, 1.5) from v order by id
select id from v where i2 in (7, 100) and tx not in ('B') order by id
select id from v where da between '1999-01-01' and '2000-12-31' order by id
select id from v where f8 between 0 and 'Infinity' order by id
select id from v where tz < now() order by id --! any
select id, i4 is distinct from i2, nu is not distinct from 0 from v order by id
select id from v order by f8, id
select id from v order by f4 desc, id
select id from v order by nu, id
select id from v order by iv desc, id
select id from v order by tx, id
select id from v order by ch, id
select id from v order by by, id
select id from v order by da desc nulls last, id
select id from v order by b, uu, id
select id from v order by tz nulls first, id
select id from v order by f8, id limit 3
select id from v order by nu desc limit 3
select id from v order by iv, id limit 4
select 'abc'::int4
select '2024-13-01'::date
select tx::int4 from v where id = 1
select id, tx::int4 from v where tx ~ '^[0-9]+$'
select md5(tx) from v where id = 1
select id, b::int4 from v where b is not null order by id
select 2147483647 + 1
select 1 / 0 from t where false --! any
select sum(i4) from (select 2147483647 as i4 from generate_series(1, 3)) s
select sum(i8) from (select 9223372036854775807 as i8 from generate_series(1, 3)) s
select avg(i8) from (select 9223372036854775807 as i8 from generate_series(1, 3)) s
select avg(x) from (values (1), (2), (2)) q(x)
select sum(x), avg(x) from (values (1.10), (2.205)) q(x)
select sum(x) from (values (1e308::float8), (1e308)) q(x)
select avg(x) from (values (1e200::float8), (-1e200)) q(x)
select min(x), max(x) from (values ('NaN'::float8), (1), (null)) q(x)
select min(x), max(x) from (values (0::float8), (-0::float8)) q(x) where x > 0
select count(*) from v where tx = 'a' and i4 = 0 and nu = 0
select now() = now(), current_date = now()::date

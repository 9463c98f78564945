create table t (a int4 primary key, b text, c int8, d numeric(10,2), e float8);
create table u (id int8 primary key, a int4, x text, y int2, z date);
create table w (k text primary key, n int4);
create table e (id int4 primary key, v text, n numeric);
create table v (id int4 primary key, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, nu numeric, tx text, vc varchar(20), ch char(6), by bytea, da date, ts timestamp, tz timestamptz, iv interval, uu uuid);
create table emp (id int4 primary key, name text not null, boss int4, dept text, pay numeric(8,2), born date);

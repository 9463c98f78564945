CREATE TABLE accounts (
    id bigint PRIMARY KEY,
    owner varchar(20) NOT NULL,
    balance numeric(10,2) DEFAULT 0,
    note text,
    gone integer,
    opened timestamp with time zone DEFAULT now(),
    CONSTRAINT accounts_balance_check CHECK (balance >= 0)
);
ALTER TABLE accounts DROP COLUMN gone;
CREATE INDEX accounts_owner_idx ON accounts (owner, balance DESC);
CREATE TABLE log (at timestamp without time zone, line text, code char(3));
CREATE TABLE items (id serial, kind integer NOT NULL, name text, PRIMARY KEY (kind, id));
CREATE SCHEMA shop;
CREATE TABLE shop.orders (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ref uuid, paid boolean DEFAULT false NOT NULL, data bytea, w double precision, r real, s smallint, d date, i interval
);
CREATE SEQUENCE shop.tickets AS smallint START 5 INCREMENT 5 MAXVALUE 1000 CYCLE;

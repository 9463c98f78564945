-- Records expected.txt from PostgreSQL 15, in a fresh database named ringfence:
--   psql -X -q -f schema.sql && psql -X -q -A -t -F '|' -P null='\N' -f queries.sql > expected.txt
-- Rows are in no order. Each query lists columns of a catalog table under their own names; OIDs of relations and constraints are replaced by names, because ours differ.
\echo pg_class oid relnamespace reloftype relam reltablespace relhasindex relisshared relpersistence relkind relnatts relchecks relhasrules relhastriggers relhassubclass relrowsecurity relforcerowsecurity relispopulated relreplident relispartition relrewrite relacl reloptions relpartbound
SELECT oid::regclass, relnamespace::regnamespace, reloftype, relam, reltablespace, relhasindex, relisshared, relpersistence, relkind, relnatts, relchecks, relhasrules, relhastriggers, relhassubclass, relrowsecurity, relforcerowsecurity, relispopulated, relreplident, relispartition, relrewrite, relacl, reloptions, relpartbound
FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'shop'::regnamespace);
\echo pg_attribute attrelid attname atttypid attstattarget attlen attnum attndims attcacheoff atttypmod attbyval attalign attstorage attcompression attnotnull atthasdef atthasmissing attidentity attgenerated attisdropped attislocal attinhcount attcollation attacl attoptions attfdwoptions attmissingval
SELECT attrelid::regclass, attname, atttypid, attstattarget, attlen, attnum, attndims, attcacheoff, atttypmod, attbyval, attalign, attstorage, attcompression, attnotnull, atthasdef, atthasmissing, attidentity, attgenerated, attisdropped, attislocal, attinhcount, attcollation, attacl, attoptions, attfdwoptions, attmissingval
FROM pg_attribute WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'shop'::regnamespace));
\echo pg_index indexrelid indrelid indnatts indnkeyatts indisunique indnullsnotdistinct indisprimary indisexclusion indimmediate indisclustered indisvalid indcheckxmin indisready indislive indisreplident indkey indcollation indclass indoption indexprs indpred
SELECT indexrelid::regclass, indrelid::regclass, indnatts, indnkeyatts, indisunique, indnullsnotdistinct, indisprimary, indisexclusion, indimmediate, indisclustered, indisvalid, indcheckxmin, indisready, indislive, indisreplident, translate(format('{%s}', indkey), ' ', ','), translate(format('{%s}', indcollation), ' ', ','), translate(format('{%s}', indclass), ' ', ','), translate(format('{%s}', indoption), ' ', ','), indexprs, indpred
FROM pg_index WHERE indrelid >= 16384 AND indrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r');
\echo pg_constraint conname connamespace contype condeferrable condeferred convalidated conrelid contypid conindid conparentid confrelid confupdtype confdeltype confmatchtype conislocal coninhcount connoinherit conkey confkey conpfeqop conppeqop conffeqop confdelsetcols conexclop
SELECT conname, connamespace::regnamespace, contype, condeferrable, condeferred, convalidated, conrelid::regclass, contypid, conindid::regclass, conparentid, confrelid::regclass, confupdtype, confdeltype, confmatchtype, conislocal, coninhcount, connoinherit, conkey, confkey, conpfeqop, conppeqop, conffeqop, confdelsetcols, conexclop
FROM pg_constraint WHERE conrelid >= 16384;
\echo pg_attrdef adrelid adnum
SELECT adrelid::regclass, adnum FROM pg_attrdef;
\echo pg_sequence seqrelid seqtypid seqstart seqincrement seqmax seqmin seqcache seqcycle
SELECT seqrelid::regclass, seqtypid, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle FROM pg_sequence;
\echo pg_type oid typname typnamespace typlen typbyval typtype typcategory typispreferred typisdefined typdelim typrelid typsubscript typelem typarray typinput typoutput typreceive typsend typmodin typmodout typanalyze typalign typstorage typnotnull typbasetype typtypmod typndims typcollation typdefaultbin typdefault typacl
SELECT oid, typname, typnamespace::regnamespace, typlen, typbyval, typtype, typcategory, typispreferred, typisdefined, typdelim, typrelid::regclass, typsubscript::oid, typelem, CASE WHEN typarray IN (1009, 1005, 1007, 1016, 1028) THEN typarray ELSE 0 END, typinput::oid, typoutput::oid, typreceive::oid, typsend::oid, typmodin::oid, typmodout::oid, typanalyze::oid, typalign, typstorage, typnotnull, typbasetype, typtypmod, typndims, typcollation, typdefaultbin, typdefault, typacl
FROM pg_type WHERE oid IN (16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 700, 701, 705, 1005, 1007, 1009, 1016, 1028, 1042, 1043, 1082, 1114, 1184, 1186, 1700, 2205, 2206, 2276, 2277, 2278, 2283, 2950);
\echo pg_sequences schemaname sequencename start_value min_value max_value increment_by cycle cache_size last_value
SELECT schemaname, sequencename, start_value, min_value, max_value, increment_by, cycle, cache_size, last_value FROM pg_sequences;
\echo pg_tables schemaname tablename tablespace hasindexes hasrules hastriggers rowsecurity
SELECT schemaname, tablename, tablespace, hasindexes, hasrules, hastriggers, rowsecurity FROM pg_tables WHERE schemaname IN ('public', 'shop');
\echo pg_indexes schemaname tablename indexname tablespace indexdef
SELECT * FROM pg_indexes WHERE schemaname IN ('public', 'shop');
\echo columns table_catalog table_schema table_name column_name ordinal_position is_nullable data_type character_maximum_length character_octet_length numeric_precision numeric_precision_radix numeric_scale datetime_precision interval_type interval_precision character_set_name collation_name domain_name udt_catalog udt_schema udt_name maximum_cardinality dtd_identifier is_self_referencing is_identity identity_generation identity_start identity_increment identity_maximum identity_minimum identity_cycle is_generated generation_expression is_updatable
SELECT table_catalog, table_schema, table_name, column_name, ordinal_position, is_nullable, data_type, character_maximum_length, character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision, interval_type, interval_precision, character_set_name, collation_name, domain_name, udt_catalog, udt_schema, udt_name, maximum_cardinality, dtd_identifier, is_self_referencing, is_identity, identity_generation, identity_start, identity_increment, identity_maximum, identity_minimum, identity_cycle, is_generated, generation_expression, is_updatable
FROM information_schema.columns WHERE table_schema IN ('public', 'shop');
\echo tables table_catalog table_schema table_name table_type self_referencing_column_name reference_generation user_defined_type_name is_insertable_into is_typed commit_action
SELECT table_catalog, table_schema, table_name, table_type, self_referencing_column_name, reference_generation, user_defined_type_name, is_insertable_into, is_typed, commit_action FROM information_schema.tables WHERE table_schema IN ('public', 'shop');
\echo table_constraints table_schema table_name constraint_type is_deferrable initially_deferred enforced nulls_distinct
SELECT table_schema, table_name, constraint_type, is_deferrable, initially_deferred, enforced, nulls_distinct FROM information_schema.table_constraints WHERE table_schema IN ('public', 'shop');
\echo key_column_usage constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name column_name ordinal_position position_in_unique_constraint
SELECT * FROM information_schema.key_column_usage WHERE table_schema IN ('public', 'shop');
\echo sequences sequence_schema sequence_name data_type numeric_precision numeric_precision_radix numeric_scale start_value minimum_value maximum_value increment cycle_option
SELECT sequence_schema, sequence_name, data_type, numeric_precision, numeric_precision_radix, numeric_scale, start_value, minimum_value, maximum_value, increment, cycle_option FROM information_schema.sequences;
\echo pg_depend classid objid refclassid refobjid refobjsubid deptype
SELECT classid, objid::regclass, refclassid, refobjid::regclass, refobjsubid, deptype FROM pg_depend WHERE classid = 1259 AND refclassid = 1259 AND objid >= 16384 AND objid IN (SELECT oid FROM pg_class WHERE relkind IN ('S', 'i')) AND refobjid IN (SELECT oid FROM pg_class WHERE relkind = 'r');
\echo pg_am oid amname amtype
SELECT oid, amname, amtype FROM pg_am WHERE oid IN (2, 403);
\echo pg_collation oid collname collnamespace collprovider collisdeterministic collencoding collcollate collctype colliculocale collversion
SELECT oid, collname, collnamespace::regnamespace, collprovider, collisdeterministic, collencoding, collcollate, collctype, colliculocale, collversion FROM pg_collation WHERE collname IN ('default', 'C', 'POSIX');
\echo pg_opclass oid opcmethod opcname opcnamespace opcfamily opcintype opcdefault opckeytype
SELECT oid, opcmethod, opcname, opcnamespace::regnamespace, opcfamily, opcintype, opcdefault, opckeytype FROM pg_opclass WHERE opcmethod = 403 AND opcdefault AND opcintype IN (16, 17, 18, 20, 21, 23, 25, 26, 700, 701, 1042, 1082, 1114, 1184, 1186, 1700, 2277, 2950);

//! The tables and views of `pg_catalog`. Source: PostgreSQL 15, `pg_attribute`.

tables! {
    pg_catalog.pg_default_acl = 826 Catalog {
        oid Oid, defaclrole Oid, defaclnamespace Oid, defaclobjtype Char, defaclacl TextArray,
    }
    pg_catalog.pg_tablespace = 1213 Catalog {
        oid Oid, spcname Name, spcowner Oid, spcacl TextArray, spcoptions TextArray,
    }
    pg_catalog.pg_shdepend = 1214 Catalog {
        dbid Oid, classid Oid, objid Oid, objsubid Int4, refclassid Oid, refobjid Oid, deptype Char,
    }
    pg_catalog.pg_type = 1247 Catalog {
        oid Oid, typname Name, typnamespace Oid, typowner Oid, typlen Int2, typbyval Bool, typtype Char, typcategory Char, typispreferred Bool,
        typisdefined Bool, typdelim Char, typrelid Oid, typsubscript Regproc, typelem Oid, typarray Oid, typinput Regproc, typoutput Regproc,
        typreceive Regproc, typsend Regproc, typmodin Regproc, typmodout Regproc, typanalyze Regproc, typalign Char, typstorage Char, typnotnull Bool,
        typbasetype Oid, typtypmod Int4, typndims Int4, typcollation Oid, typdefaultbin Text, typdefault Text, typacl TextArray,
    }
    pg_catalog.pg_attribute = 1249 Catalog {
        attrelid Oid, attname Name, atttypid Oid, attstattarget Int4, attlen Int2, attnum Int2, attndims Int4, attcacheoff Int4, atttypmod Int4,
        attbyval Bool, attalign Char, attstorage Char, attcompression Char, attnotnull Bool, atthasdef Bool, atthasmissing Bool, attidentity Char,
        attgenerated Char, attisdropped Bool, attislocal Bool, attinhcount Int4, attcollation Oid, attacl TextArray, attoptions TextArray,
        attfdwoptions TextArray, attmissingval TextArray,
    }
    pg_catalog.pg_proc = 1255 Catalog {
        oid Oid, proname Name, pronamespace Oid, proowner Oid, prolang Oid, procost Float4, prorows Float4, provariadic Oid, prosupport Regproc,
        prokind Char, prosecdef Bool, proleakproof Bool, proisstrict Bool, proretset Bool, provolatile Char, proparallel Char, pronargs Int2,
        pronargdefaults Int2, prorettype Oid, proargtypes OidArray, proallargtypes OidArray, proargmodes TextArray, proargnames TextArray,
        proargdefaults Text, protrftypes OidArray, prosrc Text, probin Text, prosqlbody Text, proconfig TextArray, proacl TextArray,
    }
    pg_catalog.pg_class = 1259 Catalog {
        oid Oid, relname Name, relnamespace Oid, reltype Oid, reloftype Oid, relowner Oid, relam Oid, relfilenode Oid, reltablespace Oid,
        relpages Int4, reltuples Float4, relallvisible Int4, reltoastrelid Oid, relhasindex Bool, relisshared Bool, relpersistence Char, relkind Char,
        relnatts Int2, relchecks Int2, relhasrules Bool, relhastriggers Bool, relhassubclass Bool, relrowsecurity Bool, relforcerowsecurity Bool,
        relispopulated Bool, relreplident Char, relispartition Bool, relrewrite Oid, relfrozenxid Oid, relminmxid Oid, relacl TextArray,
        reloptions TextArray, relpartbound Text,
    }
    pg_catalog.pg_authid = 1260 Catalog {
        oid Oid, rolname Name, rolsuper Bool, rolinherit Bool, rolcreaterole Bool, rolcreatedb Bool, rolcanlogin Bool, rolreplication Bool,
        rolbypassrls Bool, rolconnlimit Int4, rolpassword Text, rolvaliduntil Timestamptz,
    }
    pg_catalog.pg_auth_members = 1261 Catalog {
        roleid Oid, member Oid, grantor Oid, admin_option Bool,
    }
    pg_catalog.pg_database = 1262 Catalog {
        oid Oid, datname Name, datdba Oid, encoding Int4, datlocprovider Char, datistemplate Bool, datallowconn Bool, datconnlimit Int4,
        datfrozenxid Oid, datminmxid Oid, dattablespace Oid, datcollate Text, datctype Text, daticulocale Text, datcollversion Text, datacl TextArray,
    }
    pg_catalog.pg_foreign_server = 1417 Catalog {
        oid Oid, srvname Name, srvowner Oid, srvfdw Oid, srvtype Text, srvversion Text, srvacl TextArray, srvoptions TextArray,
    }
    pg_catalog.pg_user_mapping = 1418 Catalog {
        oid Oid, umuser Oid, umserver Oid, umoptions TextArray,
    }
    pg_catalog.pg_sequence = 2224 Catalog {
        seqrelid Oid, seqtypid Oid, seqstart Int8, seqincrement Int8, seqmax Int8, seqmin Int8, seqcache Int8, seqcycle Bool,
    }
    pg_catalog.pg_foreign_data_wrapper = 2328 Catalog {
        oid Oid, fdwname Name, fdwowner Oid, fdwhandler Oid, fdwvalidator Oid, fdwacl TextArray, fdwoptions TextArray,
    }
    pg_catalog.pg_shdescription = 2396 Catalog {
        objoid Oid, classoid Oid, description Text,
    }
    pg_catalog.pg_am = 2601 Catalog {
        oid Oid, amname Name, amhandler Regproc, amtype Char,
    }
    pg_catalog.pg_amop = 2602 Catalog {
        oid Oid, amopfamily Oid, amoplefttype Oid, amoprighttype Oid, amopstrategy Int2, amoppurpose Char, amopopr Oid, amopmethod Oid,
        amopsortfamily Oid,
    }
    pg_catalog.pg_amproc = 2603 Catalog {
        oid Oid, amprocfamily Oid, amproclefttype Oid, amprocrighttype Oid, amprocnum Int2, amproc Regproc,
    }
    pg_catalog.pg_attrdef = 2604 Catalog {
        oid Oid, adrelid Oid, adnum Int2, adbin Text,
    }
    pg_catalog.pg_cast = 2605 Catalog {
        oid Oid, castsource Oid, casttarget Oid, castfunc Oid, castcontext Char, castmethod Char,
    }
    pg_catalog.pg_constraint = 2606 Catalog {
        oid Oid, conname Name, connamespace Oid, contype Char, condeferrable Bool, condeferred Bool, convalidated Bool, conrelid Oid, contypid Oid,
        conindid Oid, conparentid Oid, confrelid Oid, confupdtype Char, confdeltype Char, confmatchtype Char, conislocal Bool, coninhcount Int4,
        connoinherit Bool, conkey Int2Array, confkey Int2Array, conpfeqop OidArray, conppeqop OidArray, conffeqop OidArray, confdelsetcols Int2Array,
        conexclop OidArray, conbin Text,
    }
    pg_catalog.pg_conversion = 2607 Catalog {
        oid Oid, conname Name, connamespace Oid, conowner Oid, conforencoding Int4, contoencoding Int4, conproc Regproc, condefault Bool,
    }
    pg_catalog.pg_depend = 2608 Catalog {
        classid Oid, objid Oid, objsubid Int4, refclassid Oid, refobjid Oid, refobjsubid Int4, deptype Char,
    }
    pg_catalog.pg_description = 2609 Catalog {
        objoid Oid, classoid Oid, objsubid Int4, description Text,
    }
    pg_catalog.pg_index = 2610 Catalog {
        indexrelid Oid, indrelid Oid, indnatts Int2, indnkeyatts Int2, indisunique Bool, indnullsnotdistinct Bool, indisprimary Bool,
        indisexclusion Bool, indimmediate Bool, indisclustered Bool, indisvalid Bool, indcheckxmin Bool, indisready Bool, indislive Bool,
        indisreplident Bool, indkey Int2Array, indcollation OidArray, indclass OidArray, indoption Int2Array, indexprs Text, indpred Text,
    }
    pg_catalog.pg_inherits = 2611 Catalog {
        inhrelid Oid, inhparent Oid, inhseqno Int4, inhdetachpending Bool,
    }
    pg_catalog.pg_language = 2612 Catalog {
        oid Oid, lanname Name, lanowner Oid, lanispl Bool, lanpltrusted Bool, lanplcallfoid Oid, laninline Oid, lanvalidator Oid, lanacl TextArray,
    }
    pg_catalog.pg_namespace = 2615 Catalog {
        oid Oid, nspname Name, nspowner Oid, nspacl TextArray,
    }
    pg_catalog.pg_opclass = 2616 Catalog {
        oid Oid, opcmethod Oid, opcname Name, opcnamespace Oid, opcowner Oid, opcfamily Oid, opcintype Oid, opcdefault Bool, opckeytype Oid,
    }
    pg_catalog.pg_operator = 2617 Catalog {
        oid Oid, oprname Name, oprnamespace Oid, oprowner Oid, oprkind Char, oprcanmerge Bool, oprcanhash Bool, oprleft Oid, oprright Oid,
        oprresult Oid, oprcom Oid, oprnegate Oid, oprcode Regproc, oprrest Regproc, oprjoin Regproc,
    }
    pg_catalog.pg_rewrite = 2618 Catalog {
        oid Oid, rulename Name, ev_class Oid, ev_type Char, ev_enabled Char, is_instead Bool, ev_qual Text, ev_action Text,
    }
    pg_catalog.pg_trigger = 2620 Catalog {
        oid Oid, tgrelid Oid, tgparentid Oid, tgname Name, tgfoid Oid, tgtype Int2, tgenabled Char, tgisinternal Bool, tgconstrrelid Oid,
        tgconstrindid Oid, tgconstraint Oid, tgdeferrable Bool, tginitdeferred Bool, tgnargs Int2, tgattr Int2Array, tgargs Bytea, tgqual Text,
        tgoldtable Name, tgnewtable Name,
    }
    pg_catalog.pg_opfamily = 2753 Catalog {
        oid Oid, opfmethod Oid, opfname Name, opfnamespace Oid, opfowner Oid,
    }
    pg_catalog.pg_db_role_setting = 2964 Catalog {
        setdatabase Oid, setrole Oid, setconfig TextArray,
    }
    pg_catalog.pg_largeobject_metadata = 2995 Catalog {
        oid Oid, lomowner Oid, lomacl TextArray,
    }
    pg_catalog.pg_extension = 3079 Catalog {
        oid Oid, extname Name, extowner Oid, extnamespace Oid, extrelocatable Bool, extversion Text, extconfig OidArray, extcondition TextArray,
    }
    pg_catalog.pg_foreign_table = 3118 Catalog {
        ftrelid Oid, ftserver Oid, ftoptions TextArray,
    }
    pg_catalog.pg_policy = 3256 Catalog {
        oid Oid, polname Name, polrelid Oid, polcmd Char, polpermissive Bool, polroles OidArray, polqual Text, polwithcheck Text,
    }
    pg_catalog.pg_partitioned_table = 3350 Catalog {
        partrelid Oid, partstrat Char, partnatts Int2, partdefid Oid, partattrs Int2Array, partclass OidArray, partcollation OidArray, partexprs Text,
    }
    pg_catalog.pg_statistic_ext = 3381 Catalog {
        oid Oid, stxrelid Oid, stxname Name, stxnamespace Oid, stxowner Oid, stxstattarget Int4, stxkeys Int2Array, stxkind TextArray, stxexprs Text,
    }
    pg_catalog.pg_init_privs = 3394 Catalog {
        objoid Oid, classoid Oid, objsubid Int4, privtype Char, initprivs TextArray,
    }
    pg_catalog.pg_collation = 3456 Catalog {
        oid Oid, collname Name, collnamespace Oid, collowner Oid, collprovider Char, collisdeterministic Bool, collencoding Int4, collcollate Text,
        collctype Text, colliculocale Text, collversion Text,
    }
    pg_catalog.pg_event_trigger = 3466 Catalog {
        oid Oid, evtname Name, evtevent Name, evtowner Oid, evtfoid Oid, evtenabled Char, evttags TextArray,
    }
    pg_catalog.pg_enum = 3501 Catalog {
        oid Oid, enumtypid Oid, enumsortorder Float4, enumlabel Name,
    }
    pg_catalog.pg_range = 3541 Catalog {
        rngtypid Oid, rngsubtype Oid, rngmultitypid Oid, rngcollation Oid, rngsubopc Oid, rngcanonical Regproc, rngsubdiff Regproc,
    }
    pg_catalog.pg_transform = 3576 Catalog {
        oid Oid, trftype Oid, trflang Oid, trffromsql Regproc, trftosql Regproc,
    }
    pg_catalog.pg_shseclabel = 3592 Catalog {
        objoid Oid, classoid Oid, provider Text, label Text,
    }
    pg_catalog.pg_seclabel = 3596 Catalog {
        objoid Oid, classoid Oid, objsubid Int4, provider Text, label Text,
    }
    pg_catalog.pg_ts_dict = 3600 Catalog {
        oid Oid, dictname Name, dictnamespace Oid, dictowner Oid, dicttemplate Oid, dictinitoption Text,
    }
    pg_catalog.pg_ts_parser = 3601 Catalog {
        oid Oid, prsname Name, prsnamespace Oid, prsstart Regproc, prstoken Regproc, prsend Regproc, prsheadline Regproc, prslextype Regproc,
    }
    pg_catalog.pg_ts_config = 3602 Catalog {
        oid Oid, cfgname Name, cfgnamespace Oid, cfgowner Oid, cfgparser Oid,
    }
    pg_catalog.pg_ts_config_map = 3603 Catalog {
        mapcfg Oid, maptokentype Int4, mapseqno Int4, mapdict Oid,
    }
    pg_catalog.pg_ts_template = 3764 Catalog {
        oid Oid, tmplname Name, tmplnamespace Oid, tmplinit Regproc, tmpllexize Regproc,
    }
    pg_catalog.pg_subscription = 6100 Catalog {
        oid Oid, subdbid Oid, subskiplsn Text, subname Name, subowner Oid, subenabled Bool, subbinary Bool, substream Bool, subtwophasestate Char,
        subdisableonerr Bool, subconninfo Text, subslotname Name, subsynccommit Text, subpublications TextArray,
    }
    pg_catalog.pg_publication = 6104 Catalog {
        oid Oid, pubname Name, pubowner Oid, puballtables Bool, pubinsert Bool, pubupdate Bool, pubdelete Bool, pubtruncate Bool, pubviaroot Bool,
    }
    pg_catalog.pg_publication_rel = 6106 Catalog {
        oid Oid, prpubid Oid, prrelid Oid, prqual Text, prattrs Int2Array,
    }
    pg_catalog.pg_publication_namespace = 6237 Catalog {
        oid Oid, pnpubid Oid, pnnspid Oid,
    }
    pg_catalog.pg_parameter_acl = 6243 Catalog {
        oid Oid, parname Text, paracl TextArray,
    }
    pg_catalog.pg_roles = 12000 Catalog {
        rolname Name, rolsuper Bool, rolinherit Bool, rolcreaterole Bool, rolcreatedb Bool, rolcanlogin Bool, rolreplication Bool, rolconnlimit Int4,
        rolpassword Text, rolvaliduntil Timestamptz, rolbypassrls Bool, rolconfig TextArray, oid Oid,
    }
    pg_catalog.pg_shadow = 12005 Catalog {
        usename Name, usesysid Oid, usecreatedb Bool, usesuper Bool, userepl Bool, usebypassrls Bool, passwd Text, valuntil Timestamptz,
        useconfig TextArray,
    }
    pg_catalog.pg_group = 12010 Catalog {
        groname Name, grosysid Oid, grolist OidArray,
    }
    pg_catalog.pg_user = 12014 Catalog {
        usename Name, usesysid Oid, usecreatedb Bool, usesuper Bool, userepl Bool, usebypassrls Bool, passwd Text, valuntil Timestamptz,
        useconfig TextArray,
    }
    pg_catalog.pg_policies = 12018 Catalog {
        schemaname Name, tablename Name, policyname Name, permissive Text, roles TextArray, cmd Text, qual Text, with_check Text,
    }
    pg_catalog.pg_rules = 12023 Catalog {
        schemaname Name, tablename Name, rulename Name, definition Text,
    }
    pg_catalog.pg_views = 12028 Catalog {
        schemaname Name, viewname Name, viewowner Name, definition Text,
    }
    pg_catalog.pg_tables = 12033 Catalog {
        schemaname Name, tablename Name, tableowner Name, tablespace Name, hasindexes Bool, hasrules Bool, hastriggers Bool, rowsecurity Bool,
    }
    pg_catalog.pg_matviews = 12038 Catalog {
        schemaname Name, matviewname Name, matviewowner Name, tablespace Name, hasindexes Bool, ispopulated Bool, definition Text,
    }
    pg_catalog.pg_indexes = 12043 Catalog {
        schemaname Name, tablename Name, indexname Name, tablespace Name, indexdef Text,
    }
    pg_catalog.pg_sequences = 12048 Catalog {
        schemaname Name, sequencename Name, sequenceowner Name, data_type Regtype, start_value Int8, min_value Int8, max_value Int8,
        increment_by Int8, cycle Bool, cache_size Int8, last_value Int8,
    }
    pg_catalog.pg_stats = 12053 Catalog {
        schemaname Name, tablename Name, attname Name, inherited Bool, null_frac Float4, avg_width Int4, n_distinct Float4,
        most_common_vals TextArray, most_common_freqs TextArray, histogram_bounds TextArray, correlation Float4, most_common_elems TextArray,
        most_common_elem_freqs TextArray, elem_count_histogram TextArray,
    }
    pg_catalog.pg_publication_tables = 12068 Catalog {
        pubname Name, schemaname Name, tablename Name, attnames TextArray, rowfilter Text,
    }
    pg_catalog.pg_locks = 12073 Session {
        locktype Text, database Oid, relation Oid, page Int4, tuple Int2, virtualxid Text, transactionid Oid, classid Oid, objid Oid, objsubid Int2,
        virtualtransaction Text, pid Int4, mode Text, granted Bool, fastpath Bool, waitstart Timestamptz,
    }
    pg_catalog.pg_cursors = 12077 Session {
        name Text, statement Text, is_holdable Bool, is_binary Bool, is_scrollable Bool, creation_time Timestamptz,
    }
    pg_catalog.pg_available_extensions = 12081 Catalog {
        name Name, default_version Text, installed_version Text, comment Text,
    }
    pg_catalog.pg_prepared_xacts = 12090 Session {
        transaction Oid, gid Text, prepared Timestamptz, owner Name, database Name,
    }
    pg_catalog.pg_prepared_statements = 12095 Session {
        name Text, statement Text, prepare_time Timestamptz, parameter_types OidArray, from_sql Bool, generic_plans Int8, custom_plans Int8,
    }
    pg_catalog.pg_seclabels = 12099 Catalog {
        objoid Oid, classoid Oid, objsubid Int4, objtype Text, objnamespace Oid, objname Text, provider Text, label Text,
    }
    pg_catalog.pg_settings = 12104 Session {
        name Text, setting Text, unit Text, category Text, short_desc Text, extra_desc Text, context Text, vartype Text, source Text, min_val Text,
        max_val Text, enumvals TextArray, boot_val Text, reset_val Text, sourcefile Text, sourceline Int4, pending_restart Bool,
    }
    pg_catalog.pg_stat_all_tables = 12142 Catalog {
        relid Oid, schemaname Name, relname Name, seq_scan Int8, seq_tup_read Int8, idx_scan Int8, idx_tup_fetch Int8, n_tup_ins Int8, n_tup_upd Int8,
        n_tup_del Int8, n_tup_hot_upd Int8, n_live_tup Int8, n_dead_tup Int8, n_mod_since_analyze Int8, n_ins_since_vacuum Int8,
        last_vacuum Timestamptz, last_autovacuum Timestamptz, last_analyze Timestamptz, last_autoanalyze Timestamptz, vacuum_count Int8,
        autovacuum_count Int8, analyze_count Int8, autoanalyze_count Int8,
    }
    pg_catalog.pg_stat_user_tables = 12161 Catalog {
        relid Oid, schemaname Name, relname Name, seq_scan Int8, seq_tup_read Int8, idx_scan Int8, idx_tup_fetch Int8, n_tup_ins Int8, n_tup_upd Int8,
        n_tup_del Int8, n_tup_hot_upd Int8, n_live_tup Int8, n_dead_tup Int8, n_mod_since_analyze Int8, n_ins_since_vacuum Int8,
        last_vacuum Timestamptz, last_autovacuum Timestamptz, last_analyze Timestamptz, last_autoanalyze Timestamptz, vacuum_count Int8,
        autovacuum_count Int8, analyze_count Int8, autoanalyze_count Int8,
    }
    pg_catalog.pg_stat_all_indexes = 12183 Catalog {
        relid Oid, indexrelid Oid, schemaname Name, relname Name, indexrelname Name, idx_scan Int8, idx_tup_read Int8, idx_tup_fetch Int8,
    }
    pg_catalog.pg_stat_user_indexes = 12192 Catalog {
        relid Oid, indexrelid Oid, schemaname Name, relname Name, indexrelname Name, idx_scan Int8, idx_tup_read Int8, idx_tup_fetch Int8,
    }
    pg_catalog.pg_stat_activity = 12222 Session {
        datid Oid, datname Name, pid Int4, leader_pid Int4, usesysid Oid, usename Name, application_name Text, client_addr Text, client_hostname Text,
        client_port Int4, backend_start Timestamptz, xact_start Timestamptz, query_start Timestamptz, state_change Timestamptz, wait_event_type Text,
        wait_event Text, state Text, backend_xid Oid, backend_xmin Oid, query_id Int8, query Text, backend_type Text,
    }
    pg_catalog.pg_user_mappings = 12327 Catalog {
        umid Oid, srvid Oid, srvname Name, umuser Oid, usename Name, umoptions TextArray,
    }
}

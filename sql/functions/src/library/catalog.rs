//! Functions of the catalog and the session: those that only the session can answer are passed on ([`crate::CatalogFunctions::call`]), the rest is here.

use super::convert::Oid;
use crate::cast::type_named;
use crate::{EvalContext, EvalError};
use alloc::format;
use alloc::string::String;
use types::{ColumnType, SqlState, SqlType, Value};

macro_rules! outside {
    ($($name:literal: $($function:ident)*;)*) => {
        /// Functions that [`crate::CatalogFunctions::call`] answers.
        const OUTSIDE: &[&str] = &[$($name),*];

        $($(
        pub(crate) fn $function(
            context: &EvalContext<'_>,
            arguments: &[&Value],
        ) -> Result<Value, EvalError> {
            context.catalog.call($name, arguments)
        }
        )*)*
    };
}

/// Whether the session or the catalog answers a function of this name.
pub(crate) fn asks_session(function: &str) -> bool {
    OUTSIDE.contains(&function)
}

outside! {
    "current_schema": current_schema;
    "current_schemas": current_schemas;
    "current_setting": show_config_by_name show_config_by_name_missing_ok;
    "currval": currval_oid;
    "has_any_column_privilege": has_any_column_privilege_id has_any_column_privilege_id_id has_any_column_privilege_id_name
        has_any_column_privilege_name has_any_column_privilege_name_id has_any_column_privilege_name_name;
    "has_column_privilege": has_column_privilege_id_attnum has_column_privilege_id_id_attnum has_column_privilege_id_id_name
        has_column_privilege_id_name has_column_privilege_id_name_attnum has_column_privilege_id_name_name has_column_privilege_name_attnum
        has_column_privilege_name_id_attnum has_column_privilege_name_id_name has_column_privilege_name_name
        has_column_privilege_name_name_attnum has_column_privilege_name_name_name;
    "has_database_privilege": has_database_privilege_id has_database_privilege_id_id has_database_privilege_id_name
        has_database_privilege_name has_database_privilege_name_id has_database_privilege_name_name;
    "has_foreign_data_wrapper_privilege": has_foreign_data_wrapper_privilege_id has_foreign_data_wrapper_privilege_id_id
        has_foreign_data_wrapper_privilege_id_name has_foreign_data_wrapper_privilege_name has_foreign_data_wrapper_privilege_name_id
        has_foreign_data_wrapper_privilege_name_name;
    "has_function_privilege": has_function_privilege_id has_function_privilege_id_id has_function_privilege_id_name
        has_function_privilege_name has_function_privilege_name_id has_function_privilege_name_name;
    "has_language_privilege": has_language_privilege_id has_language_privilege_id_id has_language_privilege_id_name
        has_language_privilege_name has_language_privilege_name_id has_language_privilege_name_name;
    "has_parameter_privilege": has_parameter_privilege_id_name has_parameter_privilege_name has_parameter_privilege_name_name;
    "has_schema_privilege": has_schema_privilege_id has_schema_privilege_id_id has_schema_privilege_id_name has_schema_privilege_name
        has_schema_privilege_name_id has_schema_privilege_name_name;
    "has_sequence_privilege": has_sequence_privilege_id has_sequence_privilege_id_id has_sequence_privilege_id_name
        has_sequence_privilege_name has_sequence_privilege_name_id has_sequence_privilege_name_name;
    "has_server_privilege": has_server_privilege_id has_server_privilege_id_id has_server_privilege_id_name has_server_privilege_name
        has_server_privilege_name_id has_server_privilege_name_name;
    "has_table_privilege": has_table_privilege_id has_table_privilege_id_id has_table_privilege_id_name has_table_privilege_name
        has_table_privilege_name_id has_table_privilege_name_name;
    "has_tablespace_privilege": has_tablespace_privilege_id has_tablespace_privilege_id_id has_tablespace_privilege_id_name
        has_tablespace_privilege_name has_tablespace_privilege_name_id has_tablespace_privilege_name_name;
    "has_type_privilege": has_type_privilege_id has_type_privilege_id_id has_type_privilege_id_name has_type_privilege_name
        has_type_privilege_name_id has_type_privilege_name_name;
    "inet_client_port": inet_client_port;
    "inet_server_port": inet_server_port;
    "lastval": lastval;
    "nextval": nextval_oid;
    "pg_advisory_lock": pg_advisory_lock_int4 pg_advisory_lock_int8;
    "pg_advisory_unlock": pg_advisory_unlock_int4 pg_advisory_unlock_int8;
    "pg_advisory_unlock_all": pg_advisory_unlock_all;
    "pg_advisory_xact_lock": pg_advisory_xact_lock_int4 pg_advisory_xact_lock_int8;
    "pg_backend_pid": pg_backend_pid;
    "pg_cancel_backend": pg_cancel_backend;
    "pg_collation_is_visible": pg_collation_is_visible;
    "pg_conf_load_time": pg_conf_load_time;
    "pg_conversion_is_visible": pg_conversion_is_visible;
    "pg_database_size": pg_database_size_name pg_database_size_oid;
    "pg_describe_object": pg_describe_object;
    "pg_function_is_visible": pg_function_is_visible;
    "pg_get_constraintdef": pg_get_constraintdef pg_get_constraintdef_ext;
    "pg_get_expr": pg_get_expr pg_get_expr_ext;
    "pg_get_function_arguments": pg_get_function_arguments;
    "pg_get_function_identity_arguments": pg_get_function_identity_arguments;
    "pg_get_function_result": pg_get_function_result;
    "pg_get_functiondef": pg_get_functiondef;
    "pg_get_indexdef": pg_get_indexdef pg_get_indexdef_ext;
    "pg_get_partition_constraintdef": pg_get_partition_constraintdef;
    "pg_get_partkeydef": pg_get_partkeydef;
    "pg_get_replica_identity_index": pg_get_replica_identity_index;
    "pg_get_ruledef": pg_get_ruledef pg_get_ruledef_ext;
    "pg_get_serial_sequence": pg_get_serial_sequence;
    "pg_get_statisticsobjdef": pg_get_statisticsobjdef;
    "pg_get_statisticsobjdef_columns": pg_get_statisticsobjdef_columns;
    "pg_get_triggerdef": pg_get_triggerdef pg_get_triggerdef_ext;
    "pg_get_userbyid": pg_get_userbyid;
    "pg_get_viewdef": pg_get_viewdef pg_get_viewdef_ext pg_get_viewdef_name pg_get_viewdef_name_ext pg_get_viewdef_wrap;
    "pg_has_role": pg_has_role_id pg_has_role_id_id pg_has_role_id_name pg_has_role_name pg_has_role_name_id pg_has_role_name_name;
    "pg_indexes_size": pg_indexes_size;
    "pg_is_in_recovery": pg_is_in_recovery;
    "pg_is_other_temp_schema": pg_is_other_temp_schema;
    "pg_my_temp_schema": pg_my_temp_schema;
    "pg_opclass_is_visible": pg_opclass_is_visible;
    "pg_operator_is_visible": pg_operator_is_visible;
    "pg_opfamily_is_visible": pg_opfamily_is_visible;
    "pg_postmaster_start_time": pg_postmaster_start_time;
    "pg_relation_filenode": pg_relation_filenode;
    "pg_relation_is_publishable": pg_relation_is_publishable;
    "pg_sequence_last_value": pg_sequence_last_value;
    "pg_sleep": pg_sleep;
    "pg_statistics_obj_is_visible": pg_statistics_obj_is_visible;
    "pg_table_is_visible": pg_table_is_visible;
    "pg_table_size": pg_table_size;
    "pg_tablespace_location": pg_tablespace_location;
    "pg_terminate_backend": pg_terminate_backend;
    "pg_total_relation_size": pg_total_relation_size;
    "pg_try_advisory_lock": pg_try_advisory_lock_int4 pg_try_advisory_lock_int8;
    "pg_try_advisory_xact_lock": pg_try_advisory_xact_lock_int4 pg_try_advisory_xact_lock_int8;
    "pg_ts_config_is_visible": pg_ts_config_is_visible;
    "pg_ts_dict_is_visible": pg_ts_dict_is_visible;
    "pg_ts_parser_is_visible": pg_ts_parser_is_visible;
    "pg_ts_template_is_visible": pg_ts_template_is_visible;
    "pg_type_is_visible": pg_type_is_visible;
    "row_security_active": row_security_active row_security_active_name;
    "set_config": set_config_by_name;
    "setval": setval3_oid setval_oid;
    // pg_proc 1348
    "obj_description": obj_description_1348;
    // pg_proc 1215
    "obj_description": obj_description_1215;
    // pg_proc 1216
    "col_description": col_description_1216;
    // pg_proc 1993
    "shobj_description": shobj_description_1993;
    // pg_proc 2325
    "pg_relation_size": pg_relation_size_2325;
    "pg_relation_size": pg_relation_size;
}

functions! {
    fn current_database[context]() -> &str { Ok(context.database) }
    fn current_user[context]() -> &str { Ok(context.current_user) }
    fn session_user[context]() -> &str { Ok(context.session_user) }
    fn pgsql_version() -> &'static str { Ok(VERSION) }
    fn getdatabaseencoding() -> &'static str { Ok("UTF8") }
    fn pg_client_encoding() -> &'static str { Ok("UTF8") }
    // pg_proc 1597
    fn pg_encoding_to_char(encoding: i32) -> &'static str {
        Ok(match encoding {
            0 => "SQL_ASCII",
            6 => "UTF8",
            8 => "LATIN1",
            _ => "",
        })
    }
    // pg_proc 1264
    fn pg_char_to_encoding(name: &str) -> i32 {
        Ok(match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
            "sqlascii" => 0,
            "utf8" | "unicode" => 6,
            "latin1" | "iso88591" => 8,
            _ => -1,
        })
    }
    fn format_type(oid: Option<Oid>, modifier: Option<i32>) -> Option<String> {
        Ok(oid.map(|oid| formatted_type(oid.0, modifier)))
    }
    fn to_regclass[context](name: &str) -> Option<Oid> {
        Ok(context.catalog.find_relation(name).map(Oid))
    }
    fn text_regclass[context](name: &str) -> Oid {
        context.catalog.find_relation(name).map(Oid).ok_or_else(|| {
            EvalError::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{name}\" does not exist"),
            )
        })
    }
    fn to_regtype(name: &str) -> Option<Oid> {
        let bare = name.trim();
        Ok(type_named(bare.strip_prefix("pg_catalog.").unwrap_or(bare)).map(|found| Oid(found.oid())))
    }
    fn gen_random_uuid[context]() -> super::convert::Uuid {
        let (high, low) = (context.volatile.random_bits()?, context.volatile.random_bits()?);
        let mut bytes = [0u8; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Ok(super::convert::Uuid(bytes))
    }
    fn drandom[context]() -> f64 {
        // 53 bits, so that every answer is below one.
        Ok((context.volatile.random_bits()? >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// What `version()` prints. Clients parse the number after `PostgreSQL`.
pub const VERSION: &str = "PostgreSQL 15.0 (Ringfence)";

/// As `format_type` prints a type: with its modifier if one is given, with `-` for none at all and `???` for an OID that is no type.
fn formatted_type(oid: u32, modifier: Option<i32>) -> String {
    if oid == 0 {
        return "-".into();
    }
    let other = match oid {
        22 => "int2vector",
        30 => "oidvector",
        1000 => "boolean[]",
        1001 => "bytea[]",
        1002 => "\"char\"[]",
        1003 => "name[]",
        1014 => "character[]",
        1015 => "character varying[]",
        1021 => "real[]",
        1022 => "double precision[]",
        1033 => "aclitem",
        1034 => "aclitem[]",
        1115 => "timestamp without time zone[]",
        1182 => "date[]",
        1185 => "timestamp with time zone[]",
        1187 => "interval[]",
        1231 => "numeric[]",
        2951 => "uuid[]",
        194 => "pg_node_tree",
        28 => "xid",
        29 => "cid",
        27 => "tid",
        2276 => "\"any\"",
        2277 => "anyarray",
        2283 => "anyelement",
        2275 => "cstring",
        2281 => "internal",
        _ => "",
    };
    if !other.is_empty() {
        return other.into();
    }
    match SqlType::from_oid(oid) {
        Some(sql_type) => {
            let column_type = ColumnType { sql_type, modifier: modifier.unwrap_or(-1) };
            if sql_type == SqlType::Bpchar && modifier == Some(-1) {
                return "bpchar".into();
            }
            format!("{column_type}")
        }
        None => "???".into(),
    }
}

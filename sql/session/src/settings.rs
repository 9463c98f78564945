//! `SET`, `SHOW`, `RESET`: what a session may change, what it may only read, and what happens to it at the end of a transaction.
//!
//! A value outside what we can keep is refused (22023), never taken and ignored: `client_encoding` knows `UTF8` only, `DateStyle` knows ISO only. A
//! setting whose every
//! value keeps the same promise here (`row_security`, `check_function_bodies`, …) is accepted because drivers and dumps send it; `docs/sql.md` lists those.
//! Source: PostgreSQL 15, chapter 20 and the page of `SET`.

use crate::error::SqlError;
use std::collections::BTreeMap;
use types::time_zone::{ByteaOutput, DateOrder, TimeZone};
use types::{SqlState, TextSettings};

/// What a setting may hold.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// `on` or `off`, in all of PostgreSQL's spellings.
    Bool,
    /// A whole number within bounds; shown without a unit.
    Integer { minimum: i64, maximum: i64 },
    /// Milliseconds; accepts units `us ms s min h d`; shown with the largest unit that divides it, as PostgreSQL shows it.
    Milliseconds { maximum: i64 },
    /// One of some words, in lower case.
    Enum(&'static [&'static str]),
    /// Any text.
    Text,
    /// Text that [`canonical_special`] checks and rewrites.
    Special(Special),
    /// Only the given value.
    Fixed,
}

#[derive(Clone, Copy, Debug)]
enum Special {
    ClientEncoding,
    DateStyle,
    TimeZone,
    SearchPath,
    ReadConsistency,
}

/// One setting's definition.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Name as `SHOW ALL` prints it.
    pub name: &'static str,
    /// What it does.
    pub text: &'static str,
    /// Value of a new session.
    pub default: &'static str,
    /// Whether a change is told to the client by ParameterStatus.
    pub reported: bool,
    kind: Kind,
}

const ISOLATION: &[&str] =
    &["serializable", "repeatable read", "read committed", "read uncommitted"];
const MESSAGES: &[&str] = &[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error",
];

const fn setting(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    text: &'static str,
) -> Setting {
    Setting { name, text, default, reported: false, kind }
}

const fn reported(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    text: &'static str,
) -> Setting {
    Setting { name, text, default, reported: true, kind }
}

/// The version of PostgreSQL whose answers we give.
pub const SERVER_VERSION: &str = "15.0 (Ringfence 0.1)";

/// Every setting, sorted by name (case apart).
pub const SETTINGS: &[Setting] = &[
    reported(
        "application_name",
        Kind::Text,
        "",
        "Name of the client application, shown in ringfence.queries.",
    ),
    setting(
        "backslash_quote",
        Kind::Enum(&["safe_encoding", "on", "off"]),
        "safe_encoding",
        "Strings take \\' in E'' form only.",
    ),
    setting("bytea_output", Kind::Enum(&["hex", "escape"]), "hex", "Text format of bytea."),
    setting(
        "check_function_bodies",
        Kind::Bool,
        "on",
        "Accepted for dumps: there are no function bodies.",
    ),
    reported(
        "client_encoding",
        Kind::Special(Special::ClientEncoding),
        "UTF8",
        "Encoding of the client; UTF8 only.",
    ),
    setting(
        "client_min_messages",
        Kind::Enum(MESSAGES),
        "notice",
        "Lowest level of messages sent to the client.",
    ),
    reported(
        "DateStyle",
        Kind::Special(Special::DateStyle),
        "ISO, MDY",
        "Display of dates is ISO; the order of day, month and year in input.",
    ),
    setting(
        "default_table_access_method",
        Kind::Fixed,
        "heap",
        "Accepted for dumps: tables have one form.",
    ),
    setting(
        "default_tablespace",
        Kind::Fixed,
        "",
        "Accepted for dumps: there is one place for tables.",
    ),
    setting(
        "default_transaction_deferrable",
        Kind::Bool,
        "off",
        "READ ONLY transactions never abort, so there is nothing to defer.",
    ),
    setting(
        "default_transaction_isolation",
        Kind::Enum(ISOLATION),
        "serializable",
        "Every level gives strict serializability.",
    ),
    reported(
        "default_transaction_read_only",
        Kind::Bool,
        "off",
        "Whether new transactions refuse writes.",
    ),
    setting(
        "escape_string_warning",
        Kind::Bool,
        "on",
        "Accepted for dumps: plain strings take backslashes as they are.",
    ),
    setting(
        "extra_float_digits",
        Kind::Integer { minimum: -15, maximum: 3 },
        "1",
        "Above zero: the shortest digits that read back exactly.",
    ),
    setting(
        "idle_in_transaction_session_timeout",
        Kind::Milliseconds { maximum: i32::MAX as i64 },
        "0",
        "Ends a session that is idle in a transaction for so long; 0 for never.",
    ),
    reported("in_hot_standby", Kind::Fixed, "off", "Whether this is a standby."),
    reported("integer_datetimes", Kind::Fixed, "on", "Timestamps are whole microseconds."),
    reported("IntervalStyle", Kind::Enum(&["postgres"]), "postgres", "Display of intervals."),
    reported("is_superuser", Kind::Fixed, "on", "Whether the user is a superuser."),
    setting("lc_collate", Kind::Fixed, "C", "Text sorts by bytes."),
    setting("lc_ctype", Kind::Fixed, "C", "Classes of characters."),
    setting("lc_messages", Kind::Fixed, "C", "Language of messages."),
    setting("lc_monetary", Kind::Fixed, "C", "There is no money type."),
    setting("lc_numeric", Kind::Fixed, "C", "Format of numbers in to_char."),
    setting("lc_time", Kind::Fixed, "C", "Names of days and months in to_char."),
    setting(
        "lock_timeout",
        Kind::Milliseconds { maximum: i32::MAX as i64 },
        "0",
        "Longest wait behind another transaction's lease; 0 for no bound of its own.",
    ),
    setting("max_identifier_length", Kind::Fixed, "63", "Longest name in bytes."),
    setting(
        "ringfence.history_retention",
        Kind::Fixed,
        "10min",
        "How long old row versions stay readable.",
    ),
    setting(
        "ringfence.read_consistency",
        Kind::Special(Special::ReadConsistency),
        "strict",
        "strict: see everything acknowledged before; snapshot: BEGIN's snapshot, only written rows are validated.",
    ),
    setting("row_security", Kind::Bool, "on", "Accepted for dumps: there are no row policies."),
    setting(
        "search_path",
        Kind::Special(Special::SearchPath),
        "\"$user\", public",
        "Where unqualified names are looked for.",
    ),
    reported("server_encoding", Kind::Fixed, "UTF8", "Encoding of the database."),
    reported("server_version", Kind::Fixed, SERVER_VERSION, "Version whose answers we give."),
    setting("server_version_num", Kind::Fixed, "150000", "The same as a number."),
    reported("session_authorization", Kind::Fixed, "ringfence", "User of the session."),
    setting("ssl", Kind::Fixed, "off", "Whether connections may be encrypted."),
    reported(
        "standard_conforming_strings",
        Kind::Enum(&["on"]),
        "on",
        "Plain strings take backslashes as they are.",
    ),
    setting(
        "statement_timeout",
        Kind::Milliseconds { maximum: i32::MAX as i64 },
        "0",
        "Cancels a statement that runs longer; 0 for never.",
    ),
    setting(
        "synchronize_seqscans",
        Kind::Bool,
        "on",
        "Accepted for dumps: scans read immutable files.",
    ),
    setting(
        "synchronous_commit",
        Kind::Enum(&["on"]),
        "on",
        "A commit is acknowledged when it is durable.",
    ),
    reported(
        "TimeZone",
        Kind::Special(Special::TimeZone),
        "UTC",
        "Time zone for display and input of timestamptz.",
    ),
    setting(
        "transaction_deferrable",
        Kind::Bool,
        "off",
        "READ ONLY transactions never abort, so there is nothing to defer.",
    ),
    setting(
        "transaction_isolation",
        Kind::Enum(ISOLATION),
        "serializable",
        "Every level gives strict serializability.",
    ),
    setting(
        "transaction_read_only",
        Kind::Bool,
        "off",
        "Whether the present transaction refuses writes.",
    ),
    setting("transform_null_equals", Kind::Enum(&["off"]), "off", "x = NULL is NULL."),
    setting(
        "xmloption",
        Kind::Enum(&["content"]),
        "content",
        "Accepted for dumps: there is no XML type.",
    ),
];

/// Finds a setting by name, case apart.
pub fn find(name: &str) -> Result<&'static Setting, SqlError> {
    let name = if name.eq_ignore_ascii_case("timezone") { "TimeZone" } else { name };
    SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("unrecognized configuration parameter \"{name}\""),
        )
    })
}

/// The settings of one session.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What startup or SET changed.
    session: BTreeMap<&'static str, Box<str>>,
    /// What the client asked for at startup; RESET goes back to it.
    startup: BTreeMap<&'static str, Box<str>>,
    /// SET LOCAL, until the transaction ends.
    local: BTreeMap<&'static str, Box<str>>,
    /// The session's values when the transaction began; a rollback brings them back.
    saved: Option<BTreeMap<&'static str, Box<str>>>,
    /// Grows with every change, so that what was derived from the settings is known to be old.
    generation: u64,
}

/// Whether a change lasts for the session or for the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// SET, SET SESSION
    Session,
    /// SET LOCAL
    Local,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// COMMIT
    Commit,
    /// ROLLBACK, or COMMIT of a failed transaction
    Rollback,
}

impl Settings {
    /// The settings of a new session: user name and what the startup packet asked for.
    ///
    /// # Errors
    /// Those of [`Settings::set`]; unknown names are refused as PostgreSQL refuses them.
    pub fn at_startup(user: &str, requested: &[(String, String)]) -> Result<Settings, SqlError> {
        let mut settings = Settings::default();
        settings.startup.insert("session_authorization", user.into());
        for (name, value) in requested {
            if matches!(name.as_str(), "user" | "database" | "options" | "replication") {
                continue;
            }
            let definition = find(name)?;
            let value = canonical(definition, value)?;
            settings.startup.insert(definition.name, value.into());
        }
        settings.session = settings.startup.clone();
        Ok(settings)
    }

    /// The present value.
    pub fn get(&self, definition: &'static Setting) -> &str {
        self.local
            .get(definition.name)
            .or_else(|| self.session.get(definition.name))
            .map_or(definition.default, |value| value)
    }

    /// The present value by name.
    ///
    /// # Errors
    /// 42704 for an unknown name.
    pub fn show(&self, name: &str) -> Result<&str, SqlError> {
        Ok(self.get(find(name)?))
    }

    /// Changes a setting; `None` means DEFAULT. Gives the definition when the client must be told of the change.
    ///
    /// # Errors
    /// 42704 for an unknown name, 22023 for a value that we cannot keep, 55P02-like 42501 for one that cannot be changed.
    pub fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        scope: Scope,
    ) -> Result<Option<&'static Setting>, SqlError> {
        let definition = find(name)?;
        self.generation += 1;
        let before: Box<str> = self.get(definition).into();
        let value: Box<str> = match value {
            Some(value) => canonical(definition, value)?.into(),
            None => {
                let startup = self.startup.get(definition.name);
                startup.cloned().unwrap_or_else(|| definition.default.into())
            }
        };
        match scope {
            Scope::Session => {
                self.local.remove(definition.name);
                self.session.insert(definition.name, value.clone());
            }
            Scope::Local => {
                self.local.insert(definition.name, value.clone());
            }
        }
        Ok((definition.reported && before != value).then_some(definition))
    }

    /// RESET ALL. Gives the reported settings that changed.
    pub fn reset_all(&mut self) -> Vec<&'static Setting> {
        let before = self.reported_values();
        self.generation += 1;
        self.session = self.startup.clone();
        self.local.clear();
        self.changed_since(&before)
    }

    /// Remembers the values that a rollback brings back.
    pub fn begin_transaction(&mut self) {
        self.saved = Some(self.session.clone());
    }

    /// Ends the scope of SET LOCAL; a rollback undoes SET as well. Gives the reported settings that changed.
    pub fn end_transaction(&mut self, ending: Ending) -> Vec<&'static Setting> {
        let unchanged = self.saved.as_ref().is_none_or(|saved| *saved == self.session);
        if unchanged && self.local.is_empty() {
            self.saved = None;
            return Vec::new();
        }
        self.generation += 1;
        let before = self.reported_values();
        self.local.clear();
        if let Some(saved) = self.saved.take()
            && ending == Ending::Rollback
        {
            self.session = saved;
        }
        self.changed_since(&before)
    }

    /// Grows with every change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How values are written and read, in a transaction that began at `transaction_micros`.
    pub fn text_settings(&self, transaction_micros: i64) -> TextSettings {
        let zone = self.show("TimeZone").unwrap_or("UTC");
        let escape = self.show("bytea_output").is_ok_and(|value| value == "escape");
        TextSettings {
            time_zone: TimeZone::parse(zone).unwrap_or(TimeZone::UTC),
            date_order: match self.show("DateStyle") {
                Ok("ISO, DMY") => DateOrder::DayMonthYear,
                Ok("ISO, YMD") => DateOrder::YearMonthDay,
                _ => DateOrder::MonthDayYear,
            },
            bytea_output: if escape { ByteaOutput::Escape } else { ByteaOutput::Hex },
            transaction_micros,
            ..TextSettings::DEFAULT
        }
    }

    /// `on` as a boolean.
    pub fn is_on(&self, name: &str) -> bool {
        self.show(name).is_ok_and(|value| value == "on")
    }

    /// A setting of milliseconds; nothing for zero.
    pub fn milliseconds(&self, name: &str) -> Option<u64> {
        let value = self.show(name).ok()?;
        parse_milliseconds(value).filter(|value| *value > 0).map(|value| value as u64)
    }

    /// The schemas of `search_path`, `"$user"` replaced.
    pub fn search_path(&self) -> Vec<String> {
        let user = self.show("session_authorization").unwrap_or("ringfence").to_owned();
        split_identifiers(self.show("search_path").unwrap_or("public"))
            .unwrap_or_default()
            .into_iter()
            .map(|name| if name == "$user" { user.clone() } else { name })
            // The schema `ringfence` is the system's; the superuser of that name has none of his own.
            .filter(|name| name != "ringfence")
            .collect()
    }

    /// Every reported setting with its value, for the start of a session.
    pub fn reported_values(&self) -> Vec<(&'static Setting, String)> {
        SETTINGS
            .iter()
            .filter(|setting| setting.reported)
            .map(|setting| (setting, self.get(setting).to_owned()))
            .collect()
    }

    fn changed_since(&self, before: &[(&'static Setting, String)]) -> Vec<&'static Setting> {
        before
            .iter()
            .filter(|(setting, value)| self.get(setting) != value)
            .map(|(setting, _)| *setting)
            .collect()
    }
}

fn invalid(definition: &Setting, value: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{}\": \"{value}\"", definition.name),
    )
}

/// Checks a value and brings it into the form that SHOW prints.
fn canonical(definition: &'static Setting, value: &str) -> Result<String, SqlError> {
    let value = value.trim();
    match definition.kind {
        Kind::Bool => match parse_bool(value) {
            Some(true) => Ok("on".into()),
            Some(false) => Ok("off".into()),
            None => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("parameter \"{}\" requires a Boolean value", definition.name),
            )),
        },
        Kind::Integer { minimum, maximum } => {
            let number: i64 = value.parse().map_err(|_| invalid(definition, value))?;
            if (minimum..=maximum).contains(&number) {
                return Ok(number.to_string());
            }
            Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!(
                    "{number} is outside the valid range for parameter \"{}\" ({minimum} .. {maximum})",
                    definition.name
                ),
            ))
        }
        Kind::Milliseconds { maximum } => {
            let number = parse_milliseconds(value).ok_or_else(|| invalid(definition, value))?;
            if (0..=maximum).contains(&number) {
                return Ok(show_milliseconds(number));
            }
            Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!(
                    "{number} ms is outside the valid range for parameter \"{}\" (0 .. {maximum})",
                    definition.name
                ),
            ))
        }
        Kind::Enum(words) => {
            let lower = value.to_ascii_lowercase();
            let lower = match (parse_bool(&lower), words.contains(&"on") || words.contains(&"off"))
            {
                (Some(true), true) => "on".to_owned(),
                (Some(false), true) => "off".to_owned(),
                _ => lower,
            };
            if words.contains(&lower.as_str()) {
                return Ok(lower);
            }
            let hint = format!("Available values: {}.", words.join(", "));
            Err(invalid(definition, value).with_hint(hint))
        }
        Kind::Text => {
            // PostgreSQL replaces what is not printable ASCII in application_name.
            Ok(value.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect())
        }
        Kind::Special(special) => canonical_special(definition, special, value),
        Kind::Fixed if value.eq_ignore_ascii_case(definition.default) => {
            Ok(definition.default.into())
        }
        Kind::Fixed => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("parameter \"{}\" cannot be changed", definition.name),
        )),
    }
}

fn canonical_special(
    definition: &'static Setting,
    special: Special,
    value: &str,
) -> Result<String, SqlError> {
    let unquoted = value.trim_matches(['\'', '"']);
    match special {
        Special::ClientEncoding => match unquoted.to_ascii_uppercase().as_str() {
            "UTF8" | "UTF-8" | "UNICODE" => Ok("UTF8".into()),
            _ => Err(invalid(definition, unquoted)
                .with_hint("Ringfence speaks UTF8 only; let the client convert.")),
        },
        Special::DateStyle => date_style(definition, unquoted),
        Special::TimeZone => time_zone(definition, unquoted),
        Special::SearchPath => match split_identifiers(value) {
            Some(_) => Ok(value.into()),
            None => Err(invalid(definition, value)),
        },
        Special::ReadConsistency => match unquoted.to_ascii_lowercase().as_str() {
            known @ ("strict" | "snapshot") => Ok(known.into()),
            _ => {
                Err(invalid(definition, unquoted).with_hint("Available values: strict, snapshot."))
            }
        },
    }
}

fn date_style(definition: &'static Setting, value: &str) -> Result<String, SqlError> {
    let mut order = "MDY";
    for word in value.split(',') {
        match word.trim().to_ascii_uppercase().as_str() {
            "ISO" | "DEFAULT" => {}
            "MDY" | "US" | "NONEURO" | "NONEUROPEAN" => order = "MDY",
            "DMY" | "EURO" | "EUROPEAN" => order = "DMY",
            "YMD" => order = "YMD",
            _ => {
                return Err(invalid(definition, value)
                    .with_hint("Ringfence prints dates in ISO form only."));
            }
        }
    }
    Ok(format!("ISO, {order}"))
}

fn time_zone(definition: &'static Setting, value: &str) -> Result<String, SqlError> {
    match TimeZone::parse(value) {
        Ok(zone) if zone == TimeZone::UTC => Ok("UTC".into()),
        Ok(zone) => Ok(zone.name().unwrap_or(value).into()),
        Err(_) => Err(invalid(definition, value)),
    }
}

/// PostgreSQL's spellings of booleans, unambiguous prefixes included.
pub fn parse_bool(value: &str) -> Option<bool> {
    let lower = value.to_ascii_lowercase();
    let prefix = |word: &str, least: usize| lower.len() >= least && word.starts_with(&lower);
    if lower.is_empty() {
        None
    } else if prefix("true", 1) || prefix("yes", 1) || lower == "on" || lower == "1" {
        Some(true)
    } else if prefix("false", 1) || prefix("no", 1) || prefix("off", 2) || lower == "0" {
        Some(false)
    } else {
        None
    }
}

const UNITS: &[(&str, i64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

fn parse_milliseconds(value: &str) -> Option<i64> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let number: i64 = value[..end].parse().ok()?;
    let unit = value[end..].trim();
    if unit.is_empty() {
        return Some(number);
    }
    if unit == "us" {
        return Some((number + 500) / 1_000);
    }
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

fn show_milliseconds(value: i64) -> String {
    if value == 0 {
        return "0".into();
    }
    for (name, factor) in UNITS {
        if value % factor == 0 {
            return format!("{}{name}", value / factor);
        }
    }
    format!("{value}ms")
}

/// Splits a comma-separated list of identifiers, quoted ones kept as they are, others folded to lower case.
fn split_identifiers(value: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = value.trim();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                match chars.next()? {
                    (_, '"') if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                        chars.next();
                        name.push('"');
                    }
                    (at, '"') => break at + 1,
                    (_, c) => name.push(c),
                }
            };
            names.push(name);
            rest = quoted[end..].trim_start();
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let name = rest[..end].trim().trim_matches('\'');
            if name.is_empty() && !rest[..end].contains('\'') {
                return None;
            }
            names.push(name.to_lowercase());
            rest = &rest[end..];
        }
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, SETTINGS, Scope, Settings, canonical, find};

    #[test]
    fn every_default_is_a_value_that_its_setting_takes() {
        for setting in SETTINGS {
            let value = canonical(find(setting.name).expect("listed"), setting.default);
            assert_eq!(value.expect("default is valid"), setting.default, "{}", setting.name);
        }
    }

    #[test]
    fn local_and_rolled_back_changes_end_with_the_transaction() {
        let mut settings = Settings::at_startup("me", &[]).expect("no options");
        settings.begin_transaction();
        settings.set("statement_timeout", Some("5s"), Scope::Local).expect("valid");
        assert_eq!(settings.show("statement_timeout").expect("known"), "5s");
        settings.set("application_name", Some("x"), Scope::Session).expect("valid");
        let told = settings.end_transaction(Ending::Rollback);
        assert_eq!(told.len(), 1);
        assert_eq!(settings.show("application_name").expect("known"), "");
        assert_eq!(settings.milliseconds("statement_timeout"), None);
        settings.begin_transaction();
        settings.set("application_name", Some("y"), Scope::Session).expect("valid");
        settings.end_transaction(Ending::Commit);
        assert_eq!(settings.show("APPLICATION_NAME").expect("known"), "y");
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let mut settings = Settings::default();
        for (name, value) in [
            ("client_encoding", "LATIN1"),
            ("DateStyle", "German"),
            ("TimeZone", "Nowhere/Else"),
            ("server_version", "16"),
            ("statement_timeout", "-1"),
            ("standard_conforming_strings", "off"),
            ("synchronous_commit", "off"),
            ("extra_float_digits", "9"),
        ] {
            let error = settings.set(name, Some(value), Scope::Session).expect_err(name);
            assert_eq!(error.sqlstate.as_str(), "22023", "{name}");
        }
        let error = settings.set("no.such", Some("1"), Scope::Session).expect_err("unknown");
        assert_eq!(error.sqlstate.as_str(), "42704");
    }

    #[test]
    fn search_paths_fold_and_keep_quotes() {
        let mut settings = Settings::at_startup("me", &[]).expect("no options");
        settings.set("search_path", Some("\"A b\", Public"), Scope::Session).expect("valid");
        assert_eq!(settings.search_path(), vec!["A b".to_owned(), "public".to_owned()]);
    }
}

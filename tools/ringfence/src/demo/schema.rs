//! The demo's tables.

/// Raw events, one partition per 15-minute window and shard.
pub const EVENTS: &str = "CREATE TABLE IF NOT EXISTS events (
    event_bucket text NOT NULL,
    shard int4 NOT NULL,
    event_id uuid NOT NULL,
    entity_id text NOT NULL,
    event_type text NOT NULL,
    observer_id text NOT NULL,
    event_day date NOT NULL,
    event_time timestamptz NOT NULL,
    latitude float8 NOT NULL,
    longitude float8 NOT NULL,
    altitude_m float4,
    temp_external_c float4,
    temp_internal_c float4,
    text_payload text,
    PRIMARY KEY (event_bucket, shard, event_id)
) WITH (partition_key = '(event_bucket, shard)')";

/// What an asset did last.
pub const LATEST_STATUS: &str = "CREATE TABLE IF NOT EXISTS latest_status (
    entity_id text PRIMARY KEY,
    event_id uuid NOT NULL,
    event_time timestamptz NOT NULL,
    event_type text NOT NULL,
    observer_id text NOT NULL,
    latitude float8 NOT NULL,
    longitude float8 NOT NULL,
    altitude_m float4,
    temp_external_c float4,
    temp_internal_c float4,
    speed_mps float8,
    heading_deg float8,
    is_flying bool NOT NULL,
    telemetry_age_s int4,
    near_restricted_zone bool NOT NULL,
    predicted_zone_breach bool NOT NULL,
    risk_score float8 NOT NULL,
    text_payload text,
    updated_at timestamptz NOT NULL
)";

/// Tables of the sequence and the airspace transactions, with their first rows.
pub const TRANSACTIONS: &[&str] = &[
    "CREATE TABLE session_seq_applied (user_id text, session_id uuid, seq int8 NOT NULL, \
        PRIMARY KEY (user_id, session_id)) WITH (partition_key = '(user_id, session_id)')",
    "CREATE TABLE session_timeline (user_id text, session_id uuid, event_id uuid, \
        event_time timestamptz NOT NULL, event_type text NOT NULL, payload text, \
        PRIMARY KEY (user_id, session_id, event_id)) WITH (partition_key = '(user_id, session_id)')",
    "CREATE TABLE sessions_open (user_id text, session_id uuid, PRIMARY KEY (user_id, session_id))",
    "CREATE TABLE zone_occupancy (zone_id text PRIMARY KEY, zone_name text NOT NULL, \
        severity text NOT NULL, capacity int8 NOT NULL, remaining int8 NOT NULL, CHECK (remaining >= 0))",
    "CREATE TABLE zone_clearance (zone_id text, entity_id text, granted_at timestamptz NOT NULL, \
        PRIMARY KEY (zone_id, entity_id))",
    "CREATE TABLE drone_clearance (entity_id text PRIMARY KEY, zone_id text NOT NULL, \
        granted_at timestamptz NOT NULL)",
    "INSERT INTO zone_occupancy VALUES \
        ('gardermoen', 'Gardermoen', 'critical', 2, 2), \
        ('royal-palace', 'Royal Palace', 'critical', 3, 3), \
        ('fornebu', 'Fornebu', 'warning', 5, 5)",
];

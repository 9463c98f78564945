//! Fleet telemetry around Oslo: assets that fly, heat up now and then, and come near restricted zones. A function of its seed and of the time it is given.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use types::prng::{Prng, Ratio};

const EVENT_TYPES: [&str; 20] = [
    "position",
    "telemetry",
    "heartbeat",
    "battery",
    "temperature",
    "wind",
    "camera",
    "takeoff",
    "landing",
    "waypoint",
    "geofence",
    "link",
    "gps",
    "imu",
    "payload",
    "motor",
    "status",
    "warning",
    "maintenance",
    "log",
];
const SENTENCES: [&str; 10] = [
    "Holding position over the harbour.",
    "Wind is picking up from the south-west.",
    "Battery is within limits.",
    "Camera feed is clear.",
    "Approaching the next waypoint.",
    "Visibility drops below two kilometres.",
    "Payload is secured.",
    "Returning to the landing site.",
    "Crossing the fjord at cruising height.",
    "Internal temperature is rising.",
];
/// (west, east, south, north) of each restricted zone.
const ZONES: [(f64, f64, f64, f64); 3] =
    [(11.05, 11.15, 60.18, 60.22), (10.72, 10.74, 59.91, 59.92), (10.62, 10.66, 59.88, 59.90)];
const SPEED_MPS_MAX: f64 = 100.0;
const METRES_PER_DEGREE: f64 = 111_320.0;
/// Seconds from the start of the Gregorian calendar to the Unix epoch, for version-1 UUIDs (RFC 9562).
const GREGORIAN_OFFSET_SECONDS: u64 = 12_219_292_800;

#[derive(Clone, Debug)]
struct Asset {
    name: String,
    observer: String,
    latitude: f64,
    longitude: f64,
    altitude: f64,
    heading: f64,
    speed: f64,
    hot_until: u64,
    hot_by: f64,
    text: String,
    text_until: u64,
    last_micros: u64,
}

/// A source of events for some assets.
#[derive(Clone, Debug)]
pub struct Telemetry {
    prng: Prng,
    assets: Vec<Asset>,
    next_asset: usize,
    next_type: usize,
    last_hundred_nanos: u64,
    node: [u8; 6],
}

/// One event as SQL literals need it.
#[derive(Clone, Debug)]
pub struct Event {
    /// `YYYY-MM-DDTHH:MM` of its 15-minute window.
    pub bucket: String,
    /// crc32 of the id, modulo 16.
    pub shard: u32,
    /// Version-1 UUID.
    pub event_id: String,
    /// `asset-NNNNNN`
    pub entity_id: String,
    /// One of twenty.
    pub event_type: &'static str,
    /// One observer for 100 assets.
    pub observer_id: String,
    /// `YYYY-MM-DD`
    pub day: String,
    /// ISO time in UTC.
    pub time: String,
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// Metres.
    pub altitude: f64,
    /// Degrees Celsius.
    pub external: f64,
    /// Degrees Celsius.
    pub internal: f64,
    /// One to three sentences.
    pub text: String,
    /// Metres a second.
    pub speed: f64,
    /// Degrees.
    pub heading: f64,
    /// 0 far from every zone, 0.95 inside one.
    pub risk: f64,
}

impl Telemetry {
    /// A source whose choices are a function of `seed`, for `asset_count` assets.
    pub fn new(seed: u64, asset_count: usize) -> Telemetry {
        let mut prng = Prng::new(seed.wrapping_add(77));
        let assets = (0..asset_count.max(1))
            .map(|index| Asset {
                name: format!("asset-{index:06}"),
                observer: format!("observer-{:03}", index / 100),
                latitude: 59.8 + prng.unit_f64() * 0.45,
                longitude: 10.5 + prng.unit_f64() * 0.7,
                altitude: prng.unit_f64() * 300.0,
                heading: prng.unit_f64() * 360.0,
                speed: prng.unit_f64() * 20.0,
                hot_until: 0,
                hot_by: 0.0,
                text: String::new(),
                text_until: 0,
                last_micros: 0,
            })
            .collect();
        let mut node = [0u8; 6];
        prng.fill(&mut node);
        node[0] |= 1;
        Telemetry { prng, assets, next_asset: 0, next_type: 0, last_hundred_nanos: 0, node }
    }

    /// The next event, at the present time.
    pub fn next_event(&mut self) -> Event {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = now.as_micros() as u64;
        let index = self.next_asset;
        self.next_asset = (self.next_asset + 1) % self.assets.len();
        let event_type = EVENT_TYPES[self.next_type];
        self.next_type = (self.next_type + 1) % EVENT_TYPES.len();
        self.fly(index, micros);
        let event_id = self.uuid(micros);
        let asset = &self.assets[index];
        let external = 8.0 - asset.altitude / 150.0 + self.prng.unit_f64();
        let hot = if micros < asset.hot_until { asset.hot_by } else { 0.0 };
        let (day, clock) = calendar(micros);
        Event {
            bucket: bucket_of(micros),
            shard: crc32(event_id.as_bytes()) % 16,
            event_id,
            entity_id: asset.name.clone(),
            event_type,
            observer_id: asset.observer.clone(),
            time: format!("{day} {clock}+00"),
            day,
            latitude: asset.latitude,
            longitude: asset.longitude,
            altitude: asset.altitude,
            external,
            internal: external + 18.0 + hot,
            text: asset.text.clone(),
            speed: asset.speed.min(SPEED_MPS_MAX),
            heading: asset.heading,
            risk: risk(asset.latitude, asset.longitude),
        }
    }

    /// Moves one asset on to `micros`.
    fn fly(&mut self, index: usize, micros: u64) {
        let prng = &mut self.prng;
        let asset = &mut self.assets[index];
        let seconds = if asset.last_micros == 0 {
            0.0
        } else {
            (micros.saturating_sub(asset.last_micros) as f64 / 1e6).min(60.0)
        };
        asset.last_micros = micros;
        asset.heading = (asset.heading + (prng.unit_f64() - 0.5) * 20.0).rem_euclid(360.0);
        asset.speed = (asset.speed + (prng.unit_f64() - 0.5) * 2.0).clamp(0.0, 35.0);
        asset.altitude = (asset.altitude + (prng.unit_f64() - 0.5) * 10.0).clamp(0.0, 400.0);
        let step = asset.speed * seconds / METRES_PER_DEGREE;
        asset.latitude += step * asset.heading.to_radians().cos();
        asset.longitude += step * asset.heading.to_radians().sin() / 0.5;
        // Assets that leave the area turn round.
        if !(59.75..60.30).contains(&asset.latitude) || !(10.4..11.3).contains(&asset.longitude) {
            asset.latitude = asset.latitude.clamp(59.75, 60.30);
            asset.longitude = asset.longitude.clamp(10.4, 11.3);
            asset.heading = (asset.heading + 180.0).rem_euclid(360.0);
        }
        if micros > asset.hot_until && prng.chance(Ratio { numerator: 1, denominator: 5_000 }) {
            asset.hot_until = micros + (10 + prng.below(50)) * 1_000_000;
            asset.hot_by = 15.0 + prng.unit_f64() * 25.0;
        }
        if micros > asset.text_until {
            asset.text_until = micros + (5 + prng.below(26)) * 1_000_000;
            asset.text.clear();
            for sentence in 0..=prng.below(3) {
                if sentence > 0 {
                    asset.text.push(' ');
                }
                asset.text.push_str(SENTENCES[prng.index(SENTENCES.len())]);
            }
        }
    }

    fn uuid(&mut self, micros: u64) -> String {
        let hundred_nanos = (micros + GREGORIAN_OFFSET_SECONDS * 1_000_000) * 10;
        let hundred_nanos = hundred_nanos.max(self.last_hundred_nanos + 1);
        self.last_hundred_nanos = hundred_nanos;
        let clock = self.prng.below(1 << 14) as u16 | 0x8000;
        let node = self.node;
        format!(
            "{:08x}-{:04x}-1{:03x}-{clock:04x}-{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}",
            hundred_nanos & 0xffff_ffff,
            (hundred_nanos >> 32) & 0xffff,
            (hundred_nanos >> 48) & 0x0fff,
            node[0],
            node[1],
            node[2],
            node[3],
            node[4],
            node[5],
        )
    }

    /// One INSERT of `count` new events.
    pub fn insert_statement(&mut self, count: usize) -> String {
        let events: Vec<Event> = (0..count).map(|_| self.next_event()).collect();
        insert_events(&events)
    }
}

/// INSERT of some events.
pub fn insert_events(events: &[Event]) -> String {
    let mut sql = String::from("INSERT INTO events VALUES ");
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            sql.push(',');
        }
        write!(
            sql,
            "('{}',{},'{}','{}','{}','{}','{}','{}',{:.6},{:.6},{:.1},{:.2},{:.2},'{}')",
            event.bucket,
            event.shard,
            event.event_id,
            event.entity_id,
            event.event_type,
            event.observer_id,
            event.day,
            event.time,
            event.latitude,
            event.longitude,
            event.altitude,
            event.external,
            event.internal,
            event.text
        )
        .expect("writing to a string does not fail");
    }
    sql
}

/// Upsert of the latest state of the assets of some events.
pub fn upsert_latest(events: &[Event]) -> String {
    let mut sql = String::from("INSERT INTO latest_status VALUES ");
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            sql.push(',');
        }
        write!(
            sql,
            "('{}','{}','{}','{}','{}',{:.6},{:.6},{:.1},{:.2},{:.2},{:.2},{:.1},{},0,{},{},{:.4},'{}','{}')",
            event.entity_id,
            event.event_id,
            event.time,
            event.event_type,
            event.observer_id,
            event.latitude,
            event.longitude,
            event.altitude,
            event.external,
            event.internal,
            event.speed,
            event.heading,
            event.altitude > 10.0,
            event.risk > 0.0,
            event.risk > 0.7,
            event.risk,
            event.text,
            event.time
        )
        .expect("writing to a string does not fail");
    }
    sql.push_str(
        " ON CONFLICT (entity_id) DO UPDATE SET event_id = excluded.event_id, event_time = excluded.event_time, \
         event_type = excluded.event_type, latitude = excluded.latitude, longitude = excluded.longitude, \
         altitude_m = excluded.altitude_m, temp_external_c = excluded.temp_external_c, \
         temp_internal_c = excluded.temp_internal_c, speed_mps = excluded.speed_mps, \
         heading_deg = excluded.heading_deg, is_flying = excluded.is_flying, \
         near_restricted_zone = excluded.near_restricted_zone, \
         predicted_zone_breach = excluded.predicted_zone_breach, risk_score = excluded.risk_score, \
         text_payload = excluded.text_payload, updated_at = excluded.updated_at",
    );
    sql
}

/// Risk of a position: 0.95 inside a zone, else falling to 0 at 500 m from the nearest.
fn risk(latitude: f64, longitude: f64) -> f64 {
    let nearest = ZONES
        .iter()
        .map(|(west, east, south, north)| {
            let north_south = (south - latitude).max(latitude - north).max(0.0);
            let east_west = (west - longitude).max(longitude - east).max(0.0) * 0.5;
            north_south.hypot(east_west) * METRES_PER_DEGREE
        })
        .fold(f64::INFINITY, f64::min);
    if nearest == 0.0 { 0.95 } else { (1.0 - nearest / 500.0).max(0.0) }
}

/// The 15-minute window of a time.
pub fn bucket_of(micros: u64) -> String {
    let window = micros / 900_000_000 * 900_000_000;
    let (day, clock) = calendar(window);
    format!("{day}T{}", &clock[..5])
}

/// Day and time of day in UTC. Source: Howard Hinnant, "chrono-compatible low-level date algorithms" (civil_from_days).
fn calendar(micros: u64) -> (String, String) {
    let seconds = micros / 1_000_000;
    let z = (seconds / 86_400) as i64 + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let of_day = seconds % 86_400;
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!(
            "{:02}:{:02}:{:02}.{:06}",
            of_day / 3_600,
            of_day / 60 % 60,
            of_day % 60,
            micros % 1_000_000
        ),
    )
}

/// CRC-32 (IEEE), bit by bit: a few thousand a second need no table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::{Telemetry, bucket_of, calendar, crc32, risk};

    #[test]
    fn known_values() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let micros = 1_700_000_000_123_456;
        assert_eq!(calendar(micros), ("2023-11-14".into(), "22:13:20.123456".into()));
        assert_eq!(bucket_of(micros), "2023-11-14T22:00");
        assert!((risk(60.20, 11.10) - 0.95).abs() < 1e-9);
        assert!(risk(59.0, 10.0).abs() < 1e-9);
    }

    #[test]
    fn ids_are_distinct_and_of_version_one() {
        let mut telemetry = Telemetry::new(1, 10);
        let mut ids: Vec<String> = (0..1_000).map(|_| telemetry.next_event().event_id).collect();
        assert!(ids.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'1'));
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 1_000);
    }
}

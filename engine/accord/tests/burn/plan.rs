//! What a seed decides before it runs.

use accord::cluster::Pace;
use types::prng::Prng;

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub nodes: u32,
    /// Of each node.
    pub cores: u16,
    pub replicas: u32,
    pub ranges: u16,
    pub keys: Vec<u16>,
    pub transactions: u32,
    pub clients: u32,
    /// After which a client asks for something else.
    pub client_patience_micros: u64,
    /// In a thousand messages.
    pub lost: u64,
    pub repeated: u64,
    pub late: u64,
    /// In a thousand proposals to the last range, when there are several: its replicas have accepted less than the others.
    pub starved: u64,
    /// In a thousand disturbances of a node, of which there are some 330 a second.
    pub crashes: u64,
    pub cuts: u64,
    /// Of a clock, at most.
    pub skew_micros: u64,
    /// Of the log, at most.
    pub flush_micros: u64,
    /// Whether snapshots are asked for now and then.
    pub snapshots: bool,
    /// Whether messages and log entries become bytes on their way.
    pub wire: bool,
    pub pace: Pace,
}

const TRANSACTIONS: u32 = 1_000;

impl Plan {
    pub fn of_seed(seed: u64) -> Plan {
        let mut prng = Prng::new(seed ^ 0xB0B);
        if seed % 8 == 7 {
            return Plan::duel(seed, &mut prng);
        }
        let replicas = [1, 3, 3, 3, 3, 5][prng.index(6)];
        let nodes = replicas + prng.below(2) as u32;
        let ranges = 1 + prng.below(4) as u16;
        let keys = (0..1 + prng.below(12)).map(|_| prng.below(1 << 16) as u16).collect();
        let calm = prng.below(6) == 0;
        let mut up_to = |most: u64| if calm { 0 } else { prng.below(most + 1) };
        Plan {
            seed,
            nodes,
            replicas,
            ranges,
            keys,
            lost: up_to(100),
            repeated: up_to(100),
            late: up_to(60),
            starved: 0,
            crashes: up_to(6),
            cuts: up_to(6),
            skew_micros: up_to(20_000),
            flush_micros: 1 + up_to(1_000),
            cores: 1 + prng.below(3) as u16,
            transactions: TRANSACTIONS,
            clients: 4 + prng.below(12) as u32,
            client_patience_micros: 300_000,
            snapshots: true,
            wire: prng.below(8) == 0,
            pace: Pace {
                resend_micros: 5_000,
                patience_micros: 1_000 + prng.below(20_000),
                round_micros: 10_000 + prng.below(200_000),
                sync_point_lag_micros: prng.below(4_000),
                recoveries_max: 1 + prng.index(64),
            },
        }
    }

    /// One client, three replicas, no faults, nothing else going on: what a transaction costs.
    pub fn quiet(transactions: u32) -> Plan {
        Plan {
            seed: 1,
            nodes: 3,
            cores: 1,
            replicas: 3,
            ranges: 1,
            keys: vec![7],
            transactions,
            clients: 1,
            client_patience_micros: 1_000_000,
            lost: 0,
            repeated: 0,
            late: 0,
            starved: 0,
            crashes: 0,
            cuts: 0,
            skew_micros: 0,
            flush_micros: 1,
            snapshots: false,
            wire: false,
            pace: Pace {
                resend_micros: 50_000,
                patience_micros: 1_000_000,
                round_micros: 20_000_000,
                sync_point_lag_micros: 0,
                recoveries_max: 64,
            },
        }
    }

    /// Few keys, many replicas, nobody patient: recoveries meet each other and living coordinators all the time.
    fn duel(seed: u64, prng: &mut Prng) -> Plan {
        let replicas = [3, 5, 5, 5][prng.index(4)];
        let ranges = [1, 2, 2, 3][prng.index(4)];
        // Every range has one, so that most transactions span ranges.
        let width = (1u64 << 16) / u64::from(ranges);
        let keys = u64::from(ranges).max(1 + prng.below(3));
        let keys = (0..keys).map(|key| (key * width % (1 << 16) + prng.below(width)) as u16);
        let keys = keys.collect();
        Plan {
            seed,
            nodes: replicas,
            replicas,
            ranges,
            keys,
            lost: prng.below(150),
            repeated: prng.below(100),
            late: prng.below(120),
            starved: [0, 400, 500, 600][prng.index(4)],
            crashes: prng.below(5),
            cuts: prng.below(10),
            skew_micros: prng.below(2_000),
            flush_micros: 1 + prng.below(3_000),
            cores: 1 + prng.below(2) as u16,
            transactions: TRANSACTIONS,
            clients: 3 + prng.below(5) as u32,
            client_patience_micros: 3_000_000,
            snapshots: true,
            wire: prng.below(8) == 0,
            pace: Pace {
                resend_micros: 500 + prng.below(3_000),
                patience_micros: 1_000 + prng.below(6_000),
                round_micros: 5_000 + prng.below(50_000),
                sync_point_lag_micros: prng.below(1_000),
                recoveries_max: 1 + prng.index(64),
            },
        }
    }
}

//! What the kernel says about a server: processor time, bytes written, memory, and the flushes of the machine's devices.
//!
//! PostgreSQL is many processes: its figures are summed over the whole tree. A backend that ends hands its times to the parent
//! that reaps it, so the sum never goes back while connections come and go.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

/// The fields of `/proc/PID/stat` that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    /// Who started it.
    pub parent: u32,
    /// Own time and that of reaped children, user and system, in clock ticks.
    pub ticks: u64,
}

/// Reads a line of `/proc/PID/stat`. The command's name may hold blanks and brackets: the fields start behind the last bracket.
pub fn parse_process_stat(line: &str) -> Option<ProcessStat> {
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    // utime, stime, cutime and cstime are fields 14 to 17 of the line, and the state behind the bracket is the third.
    let ticks =
        fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(ProcessStat { parent, ticks })
}

/// The value of `name:` in a file of such lines (`/proc/PID/status`, `smaps_rollup`), without its unit.
pub fn parse_field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        if key != name {
            return None;
        }
        value.split_whitespace().next()?.parse().ok()
    })
}

/// Flush requests completed, from a line of `/sys/block/DEVICE/stat`; kernels before 5.5 do not count them.
pub fn parse_block_flushes(line: &str) -> Option<u64> {
    line.split_whitespace().nth(15)?.parse().ok()
}

/// Bytes written, from the same line, which counts sectors of 512.
pub fn parse_block_written(line: &str) -> Option<u64> {
    Some(line.split_whitespace().nth(6)?.parse::<u64>().ok()? * 512)
}

/// The processes of a tree, its root included, of (process, parent) pairs.
pub fn tree_of(root: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&process) = tree.get(next) {
        tree.extend(parents.iter().filter(|&(_, &p)| p == process).map(|(&child, _)| child));
        next += 1;
    }
    tree
}

/// Everything counted at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Processor time of the server, microseconds.
    pub cpu_micros: u64,
    /// Bytes written to every device of the machine, whoever asked. (A process's own `write_bytes` counts the whole page-cache
    /// folio for each small write into it, up to 256 KiB for a log record, and would flatter whoever writes directly.)
    pub written_bytes: u64,
    /// Flushes of every device of the machine, whoever asked.
    pub device_flushes: u64,
    /// Memory held, shared pages counted once.
    pub memory_bytes: u64,
}

/// Counts for the process `root` and all below it.
pub fn counters(root: u32) -> Result<Counters> {
    let mut stats = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("listing /proc")? {
        let name = entry.context("listing /proc")?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end between the listing and the reading.
        let Ok(line) = fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        if let Some(stat) = parse_process_stat(&line) {
            stats.insert(process, stat);
        }
    }
    anyhow::ensure!(stats.contains_key(&root), "process {root} of the server is gone");
    let parents = stats.iter().map(|(&process, stat)| (process, stat.parent)).collect();
    let mut counters = Counters {
        device_flushes: over_devices(parse_block_flushes),
        written_bytes: over_devices(parse_block_written),
        ..Counters::default()
    };
    let micros_per_tick = 1_000_000 / ticks_per_second();
    for process in tree_of(root, &parents) {
        counters.cpu_micros += stats[&process].ticks * micros_per_tick;
        let read =
            |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
        let kilobytes = parse_field(&read("smaps_rollup"), "Pss")
            .or_else(|| parse_field(&read("status"), "VmRSS"));
        counters.memory_bytes += kilobytes.unwrap_or(0) * 1024;
    }
    Ok(counters)
}

fn ticks_per_second() -> u64 {
    let output = Command::new("getconf").arg("CLK_TCK").output().ok();
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    text.and_then(|text| text.trim().parse().ok()).filter(|&ticks| ticks > 0).unwrap_or(100)
}

fn over_devices(of: fn(&str) -> Option<u64>) -> u64 {
    let Ok(devices) = fs::read_dir("/sys/block") else { return 0 };
    devices
        .flatten()
        // Stacked devices have no `device`; counting them too would count a flush twice.
        .filter(|entry| entry.path().join("device").exists())
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .filter_map(|line| of(&line))
        .sum()
}

/// Bytes of all files below a directory.
pub fn disk_bytes(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The median of writing 4 KiB to space already allocated and waiting for it, over half a second: the limit of one durable client.
pub fn flush_time(directory: &Path) -> Result<Duration> {
    const BLOCK: usize = 4096;
    const BLOCKS: usize = 4096;
    let path = directory.join("flush-probe");
    let mut file = fs::File::create(&path).context("making the file of the flush probe")?;
    file.write_all(&vec![0; BLOCK * BLOCKS]).and_then(|()| file.sync_all())?;
    let mut times = Histogram::<u64>::new(3).context("a histogram of three digits")?;
    let started = Instant::now();
    let block = [1u8; BLOCK];
    for number in 0.. {
        let begun = Instant::now();
        let offset = (number % BLOCKS * BLOCK) as u64;
        std::os::unix::fs::FileExt::write_all_at(&file, &block, offset)?;
        file.sync_data()?;
        times.record(begun.elapsed().as_micros() as u64)?;
        if started.elapsed() > Duration::from_millis(500) {
            break;
        }
    }
    fs::remove_file(path)?;
    Ok(Duration::from_micros(times.value_at_quantile(0.5)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_stat_survives_a_name_with_blanks_and_brackets() {
        let line = "17986 (a (b) c) S 17978 17978 16347 0 -1 4194560 7066 0 13 0 23 27 5 6 20 0 11 0 1363017 619757568";
        assert_eq!(parse_process_stat(line), Some(ProcessStat { parent: 17978, ticks: 61 }));
        assert_eq!(parse_process_stat("17986 (a) S 1"), None);
        assert_eq!(parse_process_stat(""), None);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let io = "wchar: 5\nwrite_bytes: 4096\ncancelled_write_bytes: 1\n";
        assert_eq!(parse_field(io, "write_bytes"), Some(4096));
        assert_eq!(parse_field("Pss:      1302 kB\nPss_Dirty: 7 kB\n", "Pss"), Some(1302));
        assert_eq!(parse_field(io, "bytes"), None);
    }

    #[test]
    fn flushes_are_the_sixteenth_field() {
        let line = "974612 53316 46847458 1598901 256555 185403 79768000 358860 0 98872 1977690 51665 29 35830120 13703 63261 6225";
        assert_eq!(parse_block_flushes(line), Some(63261));
        assert_eq!(parse_block_written(line), Some(79_768_000 * 512));
        assert_eq!(parse_block_flushes("1 2 3 4 5 6 7 8 9 10 11"), None);
    }

    #[test]
    fn the_tree_holds_grandchildren_and_no_stranger() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (6, 2)]);
        assert_eq!(tree_of(2, &parents), vec![2, 3, 6, 4]);
    }

    #[test]
    fn this_process_is_counted() {
        let counters = counters(std::process::id()).expect("this process runs");
        assert!(counters.memory_bytes > 0);
        assert!(super::counters(u32::MAX).is_err());
    }
}

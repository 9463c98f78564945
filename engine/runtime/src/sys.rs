//! The few system calls that neither `std` nor io_uring offers, each behind a safe function.
//!
//! Safety argument: every call passes either plain integers or pointers to locals that outlive it;
//! descriptors that a call creates are owned from the next statement on. Nothing here keeps a
//! pointer. Miri cannot run system calls; the tests of the callers do.
#![expect(unsafe_code, reason = "libc is the only way to these system calls")]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How the kernel schedules a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadWeight {
    /// SCHED_BATCH with this nice value.
    Batch { nice: i32 },
    /// SCHED_IDLE: runs when nothing else wants the core.
    Idle,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// CPUs that this thread may run on, ascending.
pub(crate) fn allowed_cpus() -> io::Result<Vec<usize>> {
    // SAFETY: a cpu_set_t is an array of integers, for which zero is a value; the kernel writes at
    // most the size given.
    let set = unsafe {
        let mut set: libc::cpu_set_t = MaybeUninit::zeroed().assume_init();
        check(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set))?;
        set
    };
    let limit = libc::CPU_SETSIZE as usize;
    // SAFETY: the index is below the number of bits in the set.
    Ok((0..limit).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

fn cpu_set(cpus: &[usize]) -> libc::cpu_set_t {
    // SAFETY: as in `allowed_cpus`.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    for cpu in cpus {
        assert!(
            *cpu < libc::CPU_SETSIZE as usize,
            "cpu {cpu} beyond what an affinity set can name"
        );
        // SAFETY: the index was just checked.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    set
}

/// Lets the calling thread run on these CPUs only.
pub(crate) fn pin_current_thread(cpus: &[usize]) -> io::Result<()> {
    let set = cpu_set(cpus);
    // SAFETY: the set lives across the call.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) })?;
    Ok(())
}

/// Lets the kernel's worker threads of a ring run on these CPUs only.
pub(crate) fn pin_ring_workers(ring: &io_uring::IoUring, cpus: &[usize]) -> io::Result<()> {
    ring.submitter().register_iowq_aff(&cpu_set(cpus))
}

/// Sets how the kernel schedules the calling thread, its disk priority included. Going down needs
/// no privilege.
pub(crate) fn weigh_current_thread(weight: ThreadWeight) -> io::Result<()> {
    /// ioprio_set's "this thread" and its two lower classes, from linux/ioprio.h.
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    const IOPRIO_CLASS_SHIFT: libc::c_int = 13;
    const IOPRIO_CLASS_BEST_EFFORT: libc::c_int = 2;
    const IOPRIO_CLASS_IDLE: libc::c_int = 3;
    let (policy, io_priority) = match weight {
        ThreadWeight::Batch { .. } => {
            (libc::SCHED_BATCH, IOPRIO_CLASS_BEST_EFFORT << IOPRIO_CLASS_SHIFT | 6)
        }
        ThreadWeight::Idle => (libc::SCHED_IDLE, IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT),
    };
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameter lives across the call; zero means the calling thread.
    check(unsafe { libc::sched_setscheduler(0, policy, &parameter) })?;
    if let ThreadWeight::Batch { nice } = weight {
        // SAFETY: integers only.
        check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })?;
    }
    // SAFETY: integers only.
    let result = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, io_priority) };
    check(result as libc::c_int)?;
    Ok(())
}

/// A counter that a ring can wait on and any thread can raise.
pub(crate) fn event_descriptor() -> io::Result<File> {
    // SAFETY: integers only; the descriptor is new and owned by nobody else.
    unsafe {
        let raw = check(libc::eventfd(0, libc::EFD_CLOEXEC))?;
        Ok(File::from_raw_fd(raw))
    }
}

/// Takes ownership of a descriptor that the kernel has just handed to this process, as accept does.
///
/// Crate-private contract: called once for each descriptor that a completion of ours delivered.
pub(crate) fn adopt_descriptor(raw: RawFd) -> OwnedFd {
    assert!(raw >= 0, "the kernel gave a descriptor");
    // SAFETY: by the contract above nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

/// Seconds of silence after which a peer is asked whether it is still there, between questions, and how many may stay unanswered.
const KEEPALIVE: [(libc::c_int, libc::c_int); 3] =
    [(libc::TCP_KEEPIDLE, 60), (libc::TCP_KEEPINTVL, 10), (libc::TCP_KEEPCNT, 6)];

/// Finds out about peers that vanish without a word: their connection ends within two minutes.
pub(crate) fn keep_alive(raw: RawFd) -> io::Result<()> {
    let set = |level, option, value: libc::c_int| {
        let bytes = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the value lives across the call and its length is given.
        check(unsafe { libc::setsockopt(raw, level, option, (&raw const value).cast(), bytes) })
    };
    set(libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    for (option, value) in KEEPALIVE {
        set(libc::IPPROTO_TCP, option, value)?;
    }
    Ok(())
}

/// Raises the number of files that this process may open to what the system lets it have; gives that number.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit lives across the calls.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit))?;
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            check(libc::setrlimit(libc::RLIMIT_NOFILE, &limit))?;
        }
    }
    Ok(limit.rlim_cur)
}

/// Cuts or extends an open file.
pub(crate) fn set_file_bytes(raw: RawFd, bytes: u64) -> io::Result<()> {
    let bytes = i64::try_from(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    // SAFETY: integers only; a stale descriptor would give EBADF, and handles keep theirs open.
    check(unsafe { libc::ftruncate(raw, bytes) })?;
    Ok(())
}

/// Writes at an offset; the count may be short.
pub(crate) fn write_at(raw: RawFd, bytes: &[u8], offset: u64) -> io::Result<usize> {
    let offset = i64::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    // SAFETY: the bytes live across the call and their length is given.
    let written = unsafe { libc::pwrite(raw, bytes.as_ptr().cast(), bytes.len(), offset) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Flushes an open file's data and length.
pub(crate) fn sync_data(raw: RawFd) -> io::Result<()> {
    // SAFETY: integers only.
    check(unsafe { libc::fdatasync(raw) })?;
    Ok(())
}

/// The length of an open file.
pub(crate) fn file_bytes(raw: RawFd) -> io::Result<u64> {
    // SAFETY: a stat is integers, for which zero is a value; it lives across the call.
    let stat = unsafe {
        let mut stat: libc::stat = MaybeUninit::zeroed().assume_init();
        check(libc::fstat(raw, &mut stat))?;
        stat
    };
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

/// Bytes that an unprivileged process may still allocate on the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a statvfs is integers, for which zero is a value; path and result live across the
    // call.
    let stat = unsafe {
        let mut stat: libc::statvfs = MaybeUninit::zeroed().assume_init();
        check(libc::statvfs(path.as_ptr(), &mut stat))?;
        stat
    };
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// A listening TCP socket that shares its port with those of the other cores.
pub(crate) fn listen_shared(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: integers only; the descriptor is new and owned from here.
    let socket = unsafe {
        let raw = check(libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0))?;
        OwnedFd::from_raw_fd(raw)
    };
    for option in [libc::SO_REUSEADDR, libc::SO_REUSEPORT] {
        let on: libc::c_int = 1;
        // SAFETY: the value lives across the call and its size is given.
        check(unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        })?;
    }
    bind(&socket, address)?;
    // SAFETY: integers only.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) })?;
    Ok(TcpListener::from(socket))
}

fn bind(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    let raw = RawAddress::new(address);
    // SAFETY: the address lives across the call and its size is given.
    check(unsafe { libc::bind(socket.as_raw_fd(), raw.as_ptr(), raw.bytes()) }).map(|_| ())
}

/// A stream socket for an address of this kind, not connected.
pub(crate) fn stream_socket(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: integers only; the descriptor is new and owned from here.
    let socket = unsafe {
        let raw = check(libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0))?;
        OwnedFd::from_raw_fd(raw)
    };
    Ok(TcpStream::from(socket))
}

/// A socket address as the kernel reads it.
pub(crate) enum RawAddress {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
}

impl RawAddress {
    pub(crate) fn new(address: SocketAddr) -> RawAddress {
        match address {
            SocketAddr::V4(address) => RawAddress::V4(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            }),
            SocketAddr::V6(address) => RawAddress::V6(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            }),
        }
    }

    /// Where it lies; valid for as long as it does not move.
    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        match self {
            RawAddress::V4(address) => (&raw const *address).cast(),
            RawAddress::V6(address) => (&raw const *address).cast(),
        }
    }

    /// Its length.
    pub(crate) fn bytes(&self) -> libc::socklen_t {
        match self {
            RawAddress::V4(_) => size_of::<libc::sockaddr_in>() as libc::socklen_t,
            RawAddress::V6(_) => size_of::<libc::sockaddr_in6>() as libc::socklen_t,
        }
    }
}

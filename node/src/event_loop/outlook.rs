//! Looks at this peer and at others, now and then, for [`crate::health`] to judge.

use crate::{
    event_loop::{
        machine::{NodeMachine, clock},
        quorum::Reached,
    },
    health::{self, Files, Health, Lacking, Observed, Room, Told, Work},
    network::Audience,
};
use allod_protocol::{
    agreement::host::Host,
    ground::{
        ids::{Height, ValidatorAddress},
        state::read,
    },
    rules::{
        account::Account,
        validator::{Validator, ValidatorSet},
    },
};
use allod_storage::{
    Snapshot,
    artifacts::{KEPT_FREE_BYTES, Space, space},
};
use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};
use std::{fs::File, os::fd::AsRawFd as _, path::PathBuf, time::Instant};

/// On a small disk, so many times less than all of it is to be free.
const SMALL_DISK_PART: u64 = 10;

/// What was seen before, as far as it matters.
pub(crate) struct Outlook {
    data_dir: PathBuf,
    told: Told,
    /// Since when there has been work at a height.
    work: Option<(Height, Instant)>,
    /// Since when others have been known to be ahead.
    behind: Option<Instant>,
}

impl Outlook {
    pub(crate) fn new(data_dir: PathBuf) -> Self {
        Self { data_dir, told: Told::default(), work: None, behind: None }
    }

    /// Looks around, says in the log what has begun and what has ended, and returns what is so.
    pub(crate) fn look(&mut self, host: &mut Host<NodeMachine>, audience: Audience, reached: Reached) -> Health {
        let (now, own) = (Instant::now(), host.address());
        let deaf = |one: &&Validator| one.address != own && !audience.validators.contains(&one.key);
        let unheard: Vec<_> = host.tip().validators.iter().filter(deaf).map(|one| one.address).collect();
        let seen = self.observe(host, audience, reached, now);
        let reasons = health::judge(&seen, host.parameters());
        for line in self.told.look(&reasons, now) {
            line.write();
        }
        let stalled = seen.work.as_ref().is_some_and(|work| work.since >= health::stalled_after(host.parameters()));
        let awaited = host.lacking().filter(|_| stalled).map(|lacking| lacking.validators).unwrap_or_default();
        Health {
            reasons: reasons.into(),
            clock_ahead_ms: seen.offset.map(|offset| offset.ahead_ms),
            awaited: awaited.into(),
            unheard: unheard.into(),
            disk: seen.disk,
        }
    }

    fn observe(
        &mut self,
        host: &mut Host<NodeMachine>,
        audience: Audience,
        reached: Reached,
        now: Instant,
    ) -> Observed {
        let (tip, own) = (host.tip().clone(), host.address());
        let since = |since: &mut Option<Instant>, holds: bool| {
            *since = holds.then(|| since.unwrap_or(now));
            since.map(|since| now.saturating_duration_since(since))
        };
        let behind = since(&mut self.behind, host.is_behind());
        self.work = self.work.filter(|(height, _)| *height == tip.height && host.is_at_work());
        if host.is_at_work() {
            self.work.get_or_insert((tip.height, now));
        }
        let names = Names { state: host.machine().ledger.snapshot(), validators: &tip.validators };
        let work = self.work.map(|(_, since)| Work {
            since: now.saturating_duration_since(since),
            transactions: host.mempool().len(),
            lacking: host.lacking().map(|lacking| Lacking {
                height: lacking.height,
                round: lacking.round,
                kind: lacking.kind,
                validators: lacking.validators.iter().map(|address| names.of_address(address)).collect(),
            }),
        });
        let unheard = tip.validators.iter().filter(|one| one.address != own && !audience.validators.contains(&one.key));
        let unheard = if reached.cut_off { unheard.map(|one| names.of(one)).collect() } else { Vec::new() };
        let (moment, bound_ms) = ((clock(), now), health::clock_bound_ms(host.parameters()));
        let best_known = host.best_known();
        let clocks = &mut host.machine_mut().clocks;
        let apart =
            clocks.ahead(&tip.validators, &own, moment).filter(|(_, ahead_ms)| ahead_ms.unsigned_abs() > bound_ms);
        let apart = apart.map(|(address, ahead_ms)| (names.of_address(&address), ahead_ms)).collect();
        Observed {
            height: tip.height,
            block_time: tip.time,
            clock: moment.0,
            best_known,
            behind,
            work,
            reached,
            unheard,
            refusing: audience.refusing,
            foreign: audience.foreign,
            offset: clocks.offset(&tip.validators, &own, moment),
            apart,
            data_dir: self.data_dir.display().to_string(),
            disk: self.disk(),
            files: files(),
        }
    }

    fn disk(&self) -> Option<Room> {
        let Space { free_bytes, total_bytes } = space(&self.data_dir).ok()?;
        let reserve_bytes = KEPT_FREE_BYTES.min(total_bytes / SMALL_DISK_PART);
        Some(Room { free_bytes, reserve_bytes })
    }
}

/// What this process has open. The system gives the lowest number that is free, so that is about how many are taken.
fn files() -> Option<Files> {
    let limit = getrlimit(Resource::Nofile).current?;
    let open = match File::open("/dev/null") {
        Ok(probe) => u64::try_from(probe.as_raw_fd()).ok()?,
        Err(error) if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => limit,
        Err(_) => return None,
    };
    Some(Files { open, limit })
}

/// What people call validators.
struct Names<'a> {
    state: Snapshot,
    validators: &'a ValidatorSet,
}

impl Names<'_> {
    fn of_address(&self, address: &ValidatorAddress) -> String {
        self.validators.by_address(address).map_or_else(|| address.to_string(), |validator| self.of(validator))
    }

    /// The handle of its operator, and the beginning of its address: an operator may have several.
    fn of(&self, validator: &Validator) -> String {
        let address: String = validator.address.to_string().chars().take(8).collect();
        match read::<Account>(&self.state, &validator.operator) {
            Ok(Some(account)) => format!("{} (validator {address})", account.handle),
            Ok(None) | Err(_) => format!("validator {address}"),
        }
    }
}

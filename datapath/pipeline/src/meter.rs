//! Meters (OF 1.3.5 §5.7): a token bucket per band, see [`crate::rate`].

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_openflow::{
    ErrorCode, MeterBand, MeterMod, MeterModCommand, OfError, meter_flags, meter_no,
};

use crate::Owner;
use crate::offload::{Counts, FastPath};
use crate::rate::{Band, MAX_SHARED_BANDS, SharedCell, Unit, exceeding};

/// First id of the groups and meters that belong to the bridge program.
pub const PROGRAM_IDS: u32 = 0x5700_0000;

/// Most meters of a bridge.
pub const MAX_METERS: usize = 65_536;
/// Most bands of a meter.
pub const MAX_BANDS: usize = 16;

/// What a meter says to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Within all rates.
    Pass,
    /// Drop it.
    Drop,
    /// Raise the drop precedence of its DSCP by so many steps.
    Remark(u8),
}

/// Statistics of a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterView<'a> {
    /// Its id.
    pub meter_id: u32,
    /// `OFPMF_*`.
    pub flags: u16,
    /// Its bands as configured.
    pub bands: &'a [MeterBand],
    /// Number of flows that use it.
    pub flow_count: u32,
    /// Packets seen.
    pub packets: u64,
    /// Bytes seen.
    pub bytes: u64,
    /// Nanoseconds since it was made.
    pub duration_ns: u64,
    /// Packets and bytes of each band.
    pub band_counters: Vec<(u64, u64)>,
}

/// Where a meter's bands are.
#[derive(Clone, Debug)]
enum Bands {
    /// In memory of ours.
    Own(Arc<[Band]>),
    /// Where a fast path can use them, too.
    Shared(Arc<dyn SharedCell>),
}

impl Bands {
    fn get(&self) -> &[Band] {
        match self {
            Bands::Own(bands) => bands,
            Bands::Shared(shared) => shared.cell().bands(),
        }
    }

    /// Bands that go their own way from now on.
    fn copy(&self) -> Bands {
        Bands::Own(self.get().iter().map(Band::copy).collect())
    }
}

/// Who copies a meter has the same buckets: [`Meters::copy`] gives others.
#[derive(Clone, Debug)]
struct Meter {
    flags: u16,
    config: Vec<MeterBand>,
    unit: Unit,
    /// Highest rate first, as that acts.
    bands: Bands,
    /// Where in `config` each of them is.
    order: Vec<usize>,
    made: u64,
    packets: u64,
    bytes: u64,
}

/// The meters of a bridge.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    meters: BTreeMap<u32, Meter>,
}

/// Why packets that pass a meter stay in user space.
const REMARKS: &str = "meter that remarks";
const MANY_BANDS: &str = "meter with many bands";

fn fail(code: ErrorCode, detail: impl Into<String>) -> OfError {
    OfError::new(code, detail)
}

impl Meters {
    pub(crate) fn exists(&self, meter_id: u32) -> bool {
        self.meters.contains_key(&meter_id)
    }

    /// Whether the meter may change a packet's DSCP.
    pub(crate) fn remarks(&self, meter_id: u32) -> bool {
        self.meters.get(&meter_id).is_some_and(Meter::remarks)
    }

    /// Why a fast path cannot pass packets by the meter; `None`: it can.
    pub(crate) fn refusal(&self, meter_id: u32) -> Option<&'static str> {
        self.meters.get(&meter_id)?.refusal()
    }

    /// Lets a fast path pass packets by the meter, too, and gives the number by which it knows the meter. `None`: it has no
    /// room for it, or cannot.
    pub(crate) fn share(&mut self, meter_id: u32, fast_path: &mut dyn FastPath) -> Option<u32> {
        let meter = self.meters.get_mut(&meter_id)?;
        if let Bands::Shared(shared) = &meter.bands {
            return Some(shared.number());
        }
        if meter.refusal().is_some() {
            return None;
        }
        let shared = fast_path.meter_cell()?;
        shared.cell().assign(meter.unit, meter.bands.get());
        let number = shared.number();
        meter.bands = Bands::Shared(shared);
        Some(number)
    }

    /// The same meters with buckets of their own, as full as these are: for a fast path that goes, and for a look ahead.
    pub(crate) fn copy(&self) -> Meters {
        let mut copy = self.clone();
        for meter in copy.meters.values_mut() {
            meter.bands = meter.bands.copy();
        }
        copy
    }

    /// Counts packets that a fast path has shown to the meter.
    pub(crate) fn count(&mut self, meter_id: u32, shown: Counts) {
        if let Some(meter) = self.meters.get_mut(&meter_id) {
            meter.packets += shown.packets;
            meter.bytes += shown.bytes;
        }
    }

    /// Adds, changes or removes a meter. On removal the flows that use it are the caller's to remove.
    pub(crate) fn modify(
        &mut self,
        owner: Owner,
        request: &MeterMod,
        now: u64,
    ) -> Result<(), OfError> {
        let id = request.meter_id;
        if owner == Owner::User && (PROGRAM_IDS..=meter_no::MAX).contains(&id) {
            return Err(fail(
                ErrorCode::BadRequestEperm,
                "the meter belongs to the bridge program",
            ));
        }
        match request.command {
            MeterModCommand::Add => {
                check_id(id)?;
                if self.exists(id) {
                    return Err(fail(
                        ErrorCode::MeterModFailedMeterExists,
                        format!("meter {id}"),
                    ));
                }
                if self.meters.len() >= MAX_METERS {
                    return Err(fail(ErrorCode::MeterModFailedOutOfMeters, ""));
                }
                self.meters.insert(id, Meter::new(request, now)?);
            }
            MeterModCommand::Modify => {
                check_id(id)?;
                let Some(meter) = self.meters.get_mut(&id) else {
                    return Err(fail(
                        ErrorCode::MeterModFailedUnknownMeter,
                        format!("meter {id}"),
                    ));
                };
                // "When modified, the counters are left" as groups': only configuration and bands start anew.
                let new = Meter::new(request, now)?;
                *meter = Meter {
                    made: meter.made,
                    packets: meter.packets,
                    bytes: meter.bytes,
                    ..new
                };
            }
            MeterModCommand::Delete if id == meter_no::ALL => {
                self.meters
                    .retain(|id, _| owner == Owner::User && *id >= PROGRAM_IDS);
            }
            MeterModCommand::Delete => {
                self.meters.remove(&id);
            }
            _ => {
                return Err(fail(
                    ErrorCode::MeterModFailedBadCommand,
                    "unknown meter command",
                ));
            }
        }
        Ok(())
    }

    /// Takes a packet of `len` bytes into account.
    pub(crate) fn pass(&mut self, meter_id: u32, len: usize, now: u64) -> Verdict {
        self.meters
            .get_mut(&meter_id)
            .map_or(Verdict::Pass, |meter| meter.pass(len, now))
    }

    /// Configuration and counters of one meter or, with `OFPM_ALL`, of all.
    pub fn views(
        &self,
        meter_id: u32,
        now: u64,
        flow_count: impl Fn(u32) -> u32,
    ) -> Result<Vec<MeterView<'_>>, OfError> {
        if meter_id != meter_no::ALL && !self.exists(meter_id) {
            return Err(fail(
                ErrorCode::MeterModFailedUnknownMeter,
                format!("meter {meter_id}"),
            ));
        }
        let wanted = |id: u32| meter_id == meter_no::ALL || meter_id == id;
        let meters = self.meters.iter().filter(|(id, _)| wanted(**id));
        Ok(meters
            .map(|(id, meter)| MeterView {
                meter_id: *id,
                flags: meter.flags,
                bands: &meter.config,
                flow_count: flow_count(*id),
                packets: meter.packets,
                bytes: meter.bytes,
                duration_ns: now.saturating_sub(meter.made),
                band_counters: meter.band_counters(),
            })
            .collect())
    }
}

fn check_id(id: u32) -> Result<(), OfError> {
    match id {
        1..=meter_no::MAX => Ok(()),
        _ => Err(fail(
            ErrorCode::MeterModFailedInvalidMeter,
            format!("meter id {id:#x}"),
        )),
    }
}

impl Meter {
    fn new(request: &MeterMod, now: u64) -> Result<Meter, OfError> {
        let flags = request.flags;
        let both = meter_flags::KBPS | meter_flags::PKTPS;
        if flags & !meter_flags::ALL != 0 || flags & both == both {
            return Err(fail(
                ErrorCode::MeterModFailedBadFlags,
                format!("flags {flags:#x}"),
            ));
        }
        if request.bands.len() > MAX_BANDS {
            return Err(fail(
                ErrorCode::MeterModFailedOutOfBands,
                format!("at most {MAX_BANDS}"),
            ));
        }
        let unit = if flags & meter_flags::PKTPS != 0 {
            Unit::Packets
        } else {
            Unit::Kilobits
        };
        let mut rates = Vec::with_capacity(request.bands.len());
        for band in &request.bands {
            let (rate, burst) = match *band {
                MeterBand::Drop { rate, burst_size } => (rate, burst_size),
                MeterBand::DscpRemark {
                    rate,
                    burst_size,
                    prec_level,
                } => {
                    if !(1..=3).contains(&prec_level) {
                        let detail = format!("precedence level {prec_level}");
                        return Err(fail(ErrorCode::MeterModFailedBadBandValue, detail));
                    }
                    (rate, burst_size)
                }
                _ => {
                    return Err(fail(
                        ErrorCode::MeterModFailedBadBand,
                        "unknown kind of band",
                    ));
                }
            };
            if rate == 0 {
                return Err(fail(ErrorCode::MeterModFailedBadRate, "rate 0"));
            }
            let has_burst = flags & meter_flags::BURST != 0 && burst != 0;
            rates.push((rate, has_burst.then_some(burst)));
        }
        let mut order: Vec<usize> = (0..rates.len()).collect();
        order.sort_by_key(|band| Reverse(rates[*band].0));
        let bands = order.iter().map(|band| {
            let (rate, burst) = rates[*band];
            Band::new(unit, rate, burst, now)
        });
        Ok(Meter {
            flags,
            config: request.bands.clone(),
            unit,
            bands: Bands::Own(bands.collect()),
            order,
            made: now,
            packets: 0,
            bytes: 0,
        })
    }

    fn remarks(&self) -> bool {
        let remark = |band: &MeterBand| matches!(band, MeterBand::DscpRemark { .. });
        self.config.iter().any(remark)
    }

    fn refusal(&self) -> Option<&'static str> {
        if self.remarks() {
            return Some(REMARKS);
        }
        (self.config.len() > MAX_SHARED_BANDS).then_some(MANY_BANDS)
    }

    /// Of each band, as configured.
    fn band_counters(&self) -> Vec<(u64, u64)> {
        let mut counters = vec![(0, 0); self.config.len()];
        for (band, place) in self.bands.get().iter().zip(&self.order) {
            counters[*place] = band.counted();
        }
        counters
    }

    /// §5.7.1: of the bands whose rate is exceeded, the one with the highest rate acts.
    fn pass(&mut self, len: usize, now: u64) -> Verdict {
        self.packets += 1;
        self.bytes += len as u64;
        let bands = self.bands.get();
        let Some(acting) = exceeding(bands, self.unit.amount(len), now) else {
            return Verdict::Pass;
        };
        bands[acting].count(len);
        match self.config[self.order[acting]] {
            MeterBand::DscpRemark { prec_level, .. } => Verdict::Remark(prec_level),
            _ => Verdict::Drop,
        }
    }
}

/// A DSCP with its drop precedence raised (RFC 2597: AF classes 1 to 4, precedences 1 to 3). Others stay.
pub fn raise_drop_precedence(dscp: u8, steps: u8) -> u8 {
    let (class, precedence) = (dscp >> 3, dscp >> 1 & 3);
    if dscp & 1 != 0 || !(1..=4).contains(&class) || precedence == 0 {
        return dscp;
    }
    class << 3 | (precedence + steps).min(3) << 1
}

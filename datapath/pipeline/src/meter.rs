//! Meters (OF 1.3.5 §5.7): token buckets per band.

use std::collections::BTreeMap;
use weft_openflow::{
    ErrorCode, MeterBand, MeterMod, MeterModCommand, OfError, meter_flags, meter_no,
};

use crate::Owner;

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

#[derive(Clone, Debug)]
struct Band {
    rate: u64,
    /// Tokens: millionths of a bit, or billionths of a packet; `rate` of them come per nanosecond. A packet that finds
    /// any passes and may leave a debt, so that frames larger than the bucket still get their share.
    tokens: i64,
    capacity: i64,
    packets: u64,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Meter {
    flags: u16,
    config: Vec<MeterBand>,
    bands: Vec<Band>,
    refilled: u64,
    made: u64,
    packets: u64,
    bytes: u64,
}

/// The meters of a bridge.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    meters: BTreeMap<u32, Meter>,
}

/// Tokens of a kilobit or of a packet.
const UNIT: i64 = 1_000_000_000;

fn fail(code: ErrorCode, detail: impl Into<String>) -> OfError {
    OfError::new(code, detail)
}

impl Meters {
    pub(crate) fn exists(&self, meter_id: u32) -> bool {
        self.meters.contains_key(&meter_id)
    }

    /// Whether the meter may change a packet's DSCP.
    pub(crate) fn remarks(&self, meter_id: u32) -> bool {
        let remark = |band: &MeterBand| matches!(band, MeterBand::DscpRemark { .. });
        self.meters
            .get(&meter_id)
            .is_some_and(|meter| meter.config.iter().any(remark))
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
                band_counters: meter
                    .bands
                    .iter()
                    .map(|band| (band.packets, band.bytes))
                    .collect(),
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
        let mut bands = Vec::with_capacity(request.bands.len());
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
            // Without a burst size: what comes in 50 ms, at least one packet.
            let capacity = if flags & meter_flags::BURST != 0 && burst != 0 {
                i64::from(burst).saturating_mul(UNIT)
            } else {
                i64::from(rate).saturating_mul(50_000_000).max(UNIT)
            };
            bands.push(Band {
                rate: rate.into(),
                tokens: capacity,
                capacity,
                packets: 0,
                bytes: 0,
            });
        }
        let config = request.bands.clone();
        Ok(Meter {
            flags,
            config,
            bands,
            refilled: now,
            made: now,
            packets: 0,
            bytes: 0,
        })
    }

    /// §5.7.1: of the bands whose rate is exceeded, the one with the highest rate acts.
    fn pass(&mut self, len: usize, now: u64) -> Verdict {
        self.packets += 1;
        self.bytes += len as u64;
        let elapsed = now.saturating_sub(self.refilled);
        self.refilled = self.refilled.max(now);
        let cost = if self.flags & meter_flags::PKTPS != 0 {
            1_000_000_000
        } else {
            (len as i64).saturating_mul(8_000_000)
        };
        let mut acting: Option<(u64, usize)> = None;
        for (i, band) in self.bands.iter_mut().enumerate() {
            let fresh = elapsed.saturating_mul(band.rate).min(i64::MAX as u64) as i64;
            band.tokens = band.tokens.saturating_add(fresh).min(band.capacity);
            if band.tokens > 0 {
                band.tokens -= cost;
            } else if acting.is_none_or(|(rate, _)| band.rate > rate) {
                acting = Some((band.rate, i));
            }
        }
        let Some((_, i)) = acting else {
            return Verdict::Pass;
        };
        self.bands[i].packets += 1;
        self.bands[i].bytes += len as u64;
        match self.config[i] {
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

//! Meters in memory that the program and pipelines use at once, and what they drop.
//!
//! A pipeline asks for a cell once a translation passes the meter, and gives it back when the meter goes; its flows have been
//! taken out before. Flows of an earlier life may still go by theirs: those cells rest until these flows are given up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use aya::Ebpf;
use weft_pipeline::{MeterCell, SharedCell};

use crate::kernel::{Error, shared};
use crate::layout::{Dropped, MAX_METERS, MAX_PASSES, Op, op_code};
use crate::masks::GRACE;
use crate::records::Records;
use crate::shared::{Part, Shared};

/// Numbers of cells that pipelines have given back.
type Returned = Arc<Mutex<Vec<u32>>>;

/// A meter's cell while a pipeline has it.
#[derive(Debug)]
struct Lent {
    cell: Part<MeterCell>,
    number: u32,
    returned: Returned,
}

impl SharedCell for Lent {
    fn cell(&self) -> &MeterCell {
        &self.cell
    }

    fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut returned = self.returned.lock().unwrap_or_else(|e| e.into_inner());
        returned.push(self.number);
    }
}

/// A flow's way past a meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passing {
    /// Where what the meter drops is counted.
    pub place: u32,
    /// What was counted there when last looked at.
    pub seen: Dropped,
    /// Bytes more than packets came with, as the meter sees them.
    pub growth: i64,
}

/// The cells of meters, and the places where flows pass them.
#[derive(Debug)]
pub struct Metering {
    cells: Arc<Shared<MeterCell>>,
    numbers: Records,
    returned: Returned,
    /// How many flows of an earlier life go by a cell.
    adopted: HashMap<u32, u32>,
    dropped: Shared<Dropped>,
    places: Records,
    cpus: u32,
}

/// Why a flow is not taken over.
pub const TOO_MANY_PASSES: &str = "too many metered flows";

fn meters(ops: &[Op]) -> impl Iterator<Item = &Op> {
    ops.iter().filter(|op| op.code == op_code::METER)
}

impl Metering {
    /// The program's maps.
    pub fn new(bpf: &mut Ebpf, cpus: u32) -> Result<Metering, Error> {
        Ok(Metering {
            cells: Arc::new(shared(bpf, "METERS", MAX_METERS)?),
            numbers: Records::new(MAX_METERS),
            returned: Returned::default(),
            adopted: HashMap::new(),
            dropped: shared(bpf, "DROPPED", MAX_PASSES * cpus)?,
            places: Records::new(MAX_PASSES),
            cpus,
        })
    }

    /// A cell that nobody uses.
    pub fn lend(&mut self, now: Instant) -> Option<Arc<dyn SharedCell>> {
        let mut returned = self.returned.lock().unwrap_or_else(|e| e.into_inner());
        for number in returned.drain(..) {
            self.numbers.free(number, now);
        }
        drop(returned);
        let number = self.numbers.take(now)?;
        Some(Arc::new(Lent {
            cell: Part::of(&self.cells, number as usize)?,
            number,
            returned: self.returned.clone(),
        }))
    }

    /// Gives the operations of a flow that is to be installed their places.
    pub fn begin(&mut self, ops: &mut [Op], now: Instant) -> Result<Vec<Passing>, &'static str> {
        let mut passings = Vec::new();
        for op in ops.iter_mut().filter(|op| op.code == op_code::METER) {
            let Some(place) = self.places.take(now) else {
                self.end(&passings, now);
                return Err(TOO_MANY_PASSES);
            };
            op.small = place as u16;
            passings.push(self.passing(op));
        }
        Ok(passings)
    }

    fn passing(&self, op: &Op) -> Passing {
        let place = u32::from(op.small);
        Passing {
            place,
            seen: self.dropped(place),
            growth: 4 * i64::from(op.flags as i8),
        }
    }

    /// Takes back the places of a flow.
    pub fn end(&mut self, passings: &[Passing], now: Instant) {
        for passing in passings {
            self.places.free(passing.place, now);
        }
    }

    /// What has been dropped at a place, all CPUs together.
    pub fn dropped(&self, place: u32) -> Dropped {
        let mut sum = Dropped::default();
        for cpu in 0..self.cpus {
            let index = cpu * MAX_PASSES + place;
            let dropped = self.dropped.get(index as usize).unwrap_or_default();
            sum.packets = sum.packets.wrapping_add(dropped.packets);
            sum.bytes = sum.bytes.wrapping_add(dropped.bytes);
        }
        sum
    }

    /// A flow of an earlier life goes on.
    pub fn adopt(&mut self, ops: &[Op]) -> Vec<Passing> {
        for op in meters(ops) {
            *self.adopted.entry(op.word).or_default() += 1;
        }
        meters(ops).map(|op| self.passing(op)).collect()
    }

    /// All flows of an earlier life are known: what they use is nobody else's.
    pub fn adopted(&mut self, passings: impl Iterator<Item = Passing>, now: Instant) {
        let places: std::collections::HashSet<u32> = passings.map(|each| each.place).collect();
        let adopted = &self.adopted;
        // Other cells need no rest: a program that is still at one takes a single packet for another meter's.
        let rested = now.checked_sub(GRACE).unwrap_or(now);
        self.numbers = Records::adopt(MAX_METERS, |number| adopted.contains_key(&number), rested);
        self.places = Records::adopt(MAX_PASSES, |place| places.contains(&place), now);
    }

    /// A flow of an earlier life is given up.
    pub fn disown(&mut self, ops: &[Op], now: Instant) {
        for op in meters(ops) {
            let Some(users) = self.adopted.get_mut(&op.word) else {
                continue;
            };
            *users -= 1;
            if *users == 0 {
                self.adopted.remove(&op.word);
                self.numbers.free(op.word, now);
            }
        }
    }
}

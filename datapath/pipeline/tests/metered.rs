//! What is behind a meter (OF 1.3.5 §5.7): counters, traces, bundles, and a fast path that draws on the same buckets.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use common::*;
use std::sync::{Arc, Mutex};
use weft_frame::FlowKey;
use weft_openflow::{
    Action, GroupType, Instruction, Match, MeterBand, MeterMod, MeterModCommand, meter_flags,
};
use weft_pipeline::{
    Counts, DropReason, FastPath, MeterCell, Metered, Owner, Pipeline, SharedCell, Translation,
    Treated, exceeding,
};

fn out(port: u32) -> Action {
    Action::output(port)
}

/// A meter with drop bands in packets, each with its rate and burst.
fn meter(id: u32, bands: &[(u32, u32)]) -> MeterMod {
    let bands = bands.iter().map(|(rate, burst_size)| MeterBand::Drop {
        rate: *rate,
        burst_size: *burst_size,
    });
    MeterMod {
        command: MeterModCommand::Add,
        flags: meter_flags::PKTPS | meter_flags::BURST,
        meter_id: id,
        bands: bands.collect(),
    }
}

/// A meter, and a flow that sends everything by it to a second table, whence it leaves by a group.
fn prepare(bands: &[(u32, u32)]) -> Pipeline {
    let mut bridge = bridge();
    bridge.meter_mod(Owner::User, &meter(1, bands), 0).unwrap();
    let buckets = vec![bucket(vec![out(2)])];
    bridge
        .group_mod(Owner::User, &group(1, GroupType::All, buckets), 0)
        .unwrap();
    let metered = vec![Instruction::Meter { meter_id: 1 }, goto(1)];
    add(&mut bridge, flow(0, 1, Match::any(), metered));
    let grouped = vec![apply(vec![Action::Group { group_id: 1 }])];
    add(&mut bridge, flow(1, 1, Match::any(), grouped));
    bridge
}

/// How many of so many packets leave.
fn passing(bridge: &mut Pipeline, count: usize) -> usize {
    (0..count)
        .map(|_| send(bridge, 1, &tcp_frame(&[])).outputs.len())
        .sum()
}

/// What tables, the group and drops have counted: so many before the meter, and behind it.
fn expect_behind(bridge: &mut Pipeline, before: u64, behind: u64) {
    let tables = bridge.table_stats();
    let matched = (tables[0].matched_count, tables[1].matched_count);
    assert_eq!(matched, (before, behind));
    assert_eq!(bridge.groups(1, 0)[0].packets, behind);
    assert_eq!(bridge.drops().get(DropReason::Meter), before - behind);
}

#[test]
fn what_a_meter_drops_counts_nowhere_behind_it() {
    let mut bridge = prepare(&[(1, 5), (2, 3)]);
    assert_eq!(
        passing(&mut bridge, 10),
        3,
        "the band with the smaller burst"
    );
    let bytes = tcp_frame(&[]).len() as u64;
    let views = bridge.meters(1, 0).unwrap();
    assert_eq!((views[0].packets, views[0].bytes), (10, 10 * bytes));
    // The first band is charged for the packets that the second one drops.
    assert_eq!(views[0].band_counters, [(0, 0), (7, 7 * bytes)]);
    expect_behind(&mut bridge, 10, 3);
}

#[test]
fn a_meter_counts_what_goes_nowhere_anyway() {
    let mut bridge = bridge();
    bridge
        .meter_mod(Owner::User, &meter(1, &[(1, 2)]), 0)
        .unwrap();
    let metered = vec![Instruction::Meter { meter_id: 1 }];
    add(&mut bridge, flow(0, 1, Match::any(), metered));
    passing(&mut bridge, 5);
    let views = bridge.meters(1, 0).unwrap();
    assert_eq!(views[0].packets, 5);
    assert_eq!(views[0].band_counters[0].0, 3);
    assert_eq!(bridge.drops().total(), 5, "each of them once");
}

#[test]
fn a_trace_takes_nothing_out_of_a_bucket() {
    let mut bridge = prepare(&[(1, 3)]);
    for _ in 0..10 {
        assert_eq!(bridge.trace(&tcp_frame(&[]), 1, 0).drop, None);
    }
    assert_eq!(passing(&mut bridge, 10), 3);
    let trace = bridge.trace(&tcp_frame(&[]), 1, 0);
    assert_eq!(trace.drop, Some(DropReason::Meter));
    assert_eq!(bridge.meters(1, 0).unwrap()[0].packets, 10);
}

#[test]
fn a_transaction_that_fails_leaves_buckets_and_counters_as_they_were() {
    let mut bridge = prepare(&[(1, 3)]);
    assert_eq!(passing(&mut bridge, 1), 1);
    let command = MeterModCommand::Modify;
    let other = meter(1, &[(1, 1000)]);
    bridge.begin();
    bridge
        .meter_mod(Owner::User, &MeterMod { command, ..other }, 0)
        .unwrap();
    bridge.rollback();
    assert_eq!(passing(&mut bridge, 10), 2);
    let views = bridge.meters(1, 0).unwrap();
    assert_eq!((views[0].packets, views[0].band_counters[0].0), (11, 8));
}

/// Stands for the kernel: it has one meter and one flow.
#[derive(Clone, Debug, Default)]
struct Kernel {
    cell: Arc<MeterCell>,
    treated: Arc<Mutex<Option<Treated>>>,
}

impl SharedCell for Kernel {
    fn cell(&self) -> &MeterCell {
        &self.cell
    }

    fn number(&self) -> u32 {
        7
    }
}

impl FastPath for Kernel {
    fn install(&mut self, _: &FlowKey, translation: &Translation) -> Result<u32, &'static str> {
        assert_eq!(translation.passes[0].cell, Some(7));
        Ok(1)
    }

    fn refusal(&self, _: &FlowKey, _: &Translation, _: &[u8]) -> Option<&'static str> {
        None
    }

    fn meter_cell(&mut self) -> Option<Arc<dyn SharedCell>> {
        Some(Arc::new(self.clone()))
    }

    fn take_counts(&mut self, _: u32) -> Treated {
        self.treated.lock().unwrap().take().unwrap_or_default()
    }

    fn remove(&mut self, handle: u32) -> Treated {
        self.take_counts(handle)
    }
}

#[test]
fn a_fast_path_draws_on_the_same_bucket_and_its_drops_are_counted() {
    let kernel = Kernel::default();
    let mut bridge = prepare(&[(1, 5)]);
    bridge.set_fast_path(Some(Box::new(kernel.clone())));
    // What was taken before goes with the bucket into the cell.
    assert_eq!(passing(&mut bridge, 2), 2);
    let bands = kernel.cell.bands();
    let dropped = (0..4).filter(|_| {
        let acting = exceeding(bands, 1, 0);
        acting.inspect(|acting| bands[*acting].count(60)).is_some()
    });
    assert_eq!(dropped.count(), 1, "of five, two were gone");
    assert_eq!(passing(&mut bridge, 1), 0);
    let of = |packets| Counts {
        packets,
        bytes: 60 * packets,
    };
    *kernel.treated.lock().unwrap() = Some(Treated {
        counts: of(4),
        passes: vec![Metered {
            shown: of(4),
            dropped: of(1),
        }],
    });
    expect_behind(&mut bridge, 7, 5);
    let views = bridge.meters(1, 0).unwrap();
    assert_eq!((views[0].packets, views[0].band_counters[0].0), (7, 2));
    // Without the fast path the meter goes on where it is.
    bridge.set_fast_path(None);
    assert_eq!(passing(&mut bridge, 1), 0);
    assert_eq!(bridge.meters(1, 0).unwrap()[0].band_counters[0].0, 3);
}

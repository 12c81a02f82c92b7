//! The classifier against a linear scan over the same rules.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use std::collections::BTreeMap;
use weft_classifier::Classifier;
use weft_frame::{FlowKey, FlowMask, field};

/// Few masks and few values, so that rules collide, shadow and share subtables.
fn mask(choice: u8) -> FlowMask {
    let mut mask = FlowMask::ZERO;
    if choice & 1 != 0 {
        mask.need(field::IN_PORT);
    }
    if choice & 2 != 0 {
        mask.set(field::IPV4_DST, 0xffff_ff00);
    }
    if choice & 4 != 0 {
        mask.set(field::IPV4_DST, 0xffff_ffff);
    }
    if choice & 8 != 0 {
        mask.need(field::IPV6_DST);
    }
    mask
}

fn key(choice: u8) -> FlowKey {
    let mut key = FlowKey::ZERO;
    key.set(field::IN_PORT, u128::from(choice & 1));
    key.set(
        field::IPV4_DST,
        0x0a00_0000 | u128::from(choice >> 1 & 3) << 7,
    );
    key.set(field::IPV6_DST, u128::from(choice >> 3 & 1));
    key
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u8, u8, u16),
    Remove(u8, u8, u16),
    Lookup(u8),
    Within(u8, u8),
    Overlap(u8, u8, u16),
}

fn op() -> impl Strategy<Value = Op> {
    let rule = (0..16u8, 0..16u8, 0..4u16);
    prop_oneof![
        4 => rule.clone().prop_map(|(m, k, p)| Op::Insert(m, k, p)),
        2 => rule.clone().prop_map(|(m, k, p)| Op::Remove(m, k, p)),
        4 => (0..16u8).prop_map(Op::Lookup),
        1 => (0..16u8, 0..16u8).prop_map(|(m, k)| Op::Within(m, k)),
        1 => rule.prop_map(|(m, k, p)| Op::Overlap(m, k, p)),
    ]
}

type Rule = (FlowMask, FlowKey, u16);

fn position(
    model: &BTreeMap<u32, Rule>,
    mask: &FlowMask,
    key: &FlowKey,
    priority: u16,
) -> Option<u32> {
    model
        .iter()
        .find(|(_, rule)| **rule == (*mask, key.masked(mask), priority))
        .map(|(id, _)| *id)
}

fn best(model: &BTreeMap<u32, Rule>, key: &FlowKey) -> Option<u16> {
    model
        .values()
        .filter(|(m, k, _)| k.matches(m, key))
        .map(|rule| rule.2)
        .max()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn equals_linear_scan(ops in prop::collection::vec(op(), 1..120)) {
        let mut classifier = Classifier::new();
        let mut model: BTreeMap<u32, Rule> = BTreeMap::new();
        for (id, op) in ops.into_iter().enumerate() {
            let id = id as u32;
            match op {
                Op::Insert(m, k, p) => {
                    let (m, k) = (mask(m), key(k));
                    let old = position(&model, &m, &k, p);
                    prop_assert_eq!(classifier.insert(&m, &k, p, id), old);
                    if let Some(old) = old {
                        model.remove(&old);
                    }
                    model.insert(id, (m, k.masked(&m), p));
                }
                Op::Remove(m, k, p) => {
                    let (m, k) = (mask(m), key(k));
                    let old = position(&model, &m, &k, p);
                    prop_assert_eq!(classifier.find(&m, &k, p), old);
                    prop_assert_eq!(classifier.remove(&m, &k, p), old);
                    if let Some(old) = old {
                        model.remove(&old);
                    }
                }
                Op::Lookup(k) => {
                    let k = key(k);
                    let mut looked_at = FlowMask::ZERO;
                    let found = classifier.lookup(&k, &mut looked_at);
                    prop_assert_eq!(found.map(|id| model[&id].2), best(&model, &k));
                    if let Some(id) = found {
                        prop_assert!(model[&id].1.matches(&model[&id].0, &k));
                    }
                    // Every packet that agrees on the bits looked at gets the same rule.
                    for other in 0..16 {
                        let other = key(other);
                        if k.matches(&looked_at, &other) {
                            let mut again = FlowMask::ZERO;
                            prop_assert_eq!(classifier.lookup(&other, &mut again), found);
                            prop_assert_eq!(again, looked_at);
                        }
                    }
                }
                Op::Within(m, k) => {
                    let (m, k) = (mask(m), key(k));
                    let mut found = Vec::new();
                    classifier.for_each_within(&m, &k, |id| found.push(id));
                    found.sort_unstable();
                    let expected: Vec<u32> = model
                        .iter()
                        .filter(|(_, (mask, key, _))| mask.covers(&m) && k.matches(&m, key))
                        .map(|(id, _)| *id)
                        .collect();
                    prop_assert_eq!(found, expected);
                }
                Op::Overlap(m, k, p) => {
                    let (m, k) = (mask(m), key(k));
                    let overlaps = |rule: &Rule| {
                        let mut both = FlowMask::ZERO;
                        for i in 0..both.0.len() {
                            both.0[i] = rule.0.0[i] & m.0[i];
                        }
                        rule.2 == p && k.matches(&both, &rule.1)
                    };
                    let found = classifier.find_overlap(&m, &k, p);
                    prop_assert_eq!(found.is_some(), model.values().any(overlaps));
                    prop_assert!(found.is_none_or(|id| overlaps(&model[&id])));
                }
            }
            prop_assert_eq!(classifier.len(), model.len());
        }
    }
}

#[test]
fn memory_and_masks_of_many_rules() {
    let mut classifier = Classifier::new();
    let mut mask = FlowMask::ZERO;
    mask.need(field::IPV4_DST);
    for i in 0..100_000u32 {
        let mut key = FlowKey::ZERO;
        key.set(field::IPV4_DST, u128::from(i));
        assert_eq!(classifier.insert(&mask, &key, 1, i), None);
    }
    assert_eq!(classifier.masks(), 1);
    let mut key = FlowKey::ZERO;
    key.set(field::IPV4_DST, 77_777);
    assert_eq!(
        classifier.lookup(&key, &mut FlowMask::ZERO.clone()),
        Some(77_777)
    );
    for i in 0..100_000u32 {
        key.set(field::IPV4_DST, u128::from(i));
        assert_eq!(classifier.remove(&mask, &key, 1), Some(i));
    }
    assert!(classifier.is_empty());
    assert_eq!(classifier.masks(), 0);
}

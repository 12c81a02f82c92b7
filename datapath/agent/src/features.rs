//! What tables, groups and meters can do (OF 1.3.5 §7.3.5.5, §7.3.5.11, §7.3.5.14).

use weft_openflow::{
    ActionId, ErrorCode, GroupFeatures, InstructionId, MeterFeatures, OfError, OxmField, OxmId,
    TableFeatures, TableProperty, Text, group_capabilities, meter_flags, table_no,
};
use weft_pipeline::{MAX_BANDS, MAX_GROUPS, MAX_METERS};

/// `OFPAT_*` of every standard action; all are supported everywhere.
const ACTIONS: [u16; 16] = [
    0, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
];
/// `OFPIT_*` of every standard instruction.
const INSTRUCTIONS: [u16; 6] = [1, 2, 3, 4, 5, 6];
/// `OFPTC_DEPRECATED_MASK`.
const DEPRECATED_MASK: u32 = 3;
/// `OFPIT_GOTO_TABLE`.
const GOTO_TABLE: u16 = 1;
/// Bits of a group type each: all, select, indirect, fast failover.
const GROUP_TYPES: u32 = 0b1111;
/// `OFPMBT_DROP` and `OFPMBT_DSCP_REMARK`.
const BAND_TYPES: u32 = 1 << 1 | 1 << 2;

/// Whether there is a table of that number.
fn has_table(table_id: u8) -> bool {
    table_id < table_no::MAX
}

/// §7.3.5.11.
pub(crate) fn group_features() -> GroupFeatures {
    let actions = ACTIONS.iter().fold(0, |bits, code| bits | 1 << code);
    GroupFeatures {
        types: GROUP_TYPES,
        capabilities: group_capabilities::SELECT_WEIGHT
            | group_capabilities::SELECT_LIVENESS
            | group_capabilities::CHAINING
            | group_capabilities::CHAINING_CHECKS,
        max_groups: [MAX_GROUPS as u32; 4],
        actions: [actions; 4],
    }
}

/// §7.3.5.14.
pub(crate) fn meter_features() -> MeterFeatures {
    MeterFeatures {
        max_meter: MAX_METERS as u32,
        band_types: BAND_TYPES,
        capabilities: u32::from(meter_flags::ALL),
        max_bands: MAX_BANDS as u8,
        max_color: 0,
    }
}

/// Fields that the pipeline has: each once, in the standard's form where there is one.
fn match_fields() -> impl Iterator<Item = OxmField> {
    OxmField::ALL
        .iter()
        .copied()
        .filter(|field| field.canonical() == *field && weft_pipeline::has_field(*field))
}

fn settable_fields() -> Vec<OxmId> {
    match_fields()
        .filter(|field| field.info().settable)
        .map(OxmId::new)
        .collect()
}

fn action_ids() -> Vec<ActionId> {
    ACTIONS
        .iter()
        .map(|&code| ActionId {
            code,
            data: Vec::new(),
        })
        .collect()
}

/// §7.3.5.5: one table. The table-miss flow can do what others can, so its properties are left out. A table that
/// nobody named has no name: tools show its number then.
pub(crate) fn table_features(
    table_id: u8,
    n_tables: u8,
    max_entries: usize,
    config: u32,
    name: Option<&Text<32>>,
) -> TableFeatures {
    let last = table_id + 1 >= n_tables;
    let instructions = INSTRUCTIONS
        .iter()
        .filter(|&&code| !(last && code == GOTO_TABLE));
    let match_ids = match_fields().map(|field| OxmId {
        field: Ok(field),
        has_mask: field.info().maskable,
    });
    TableFeatures {
        table_id,
        name: name.cloned().unwrap_or_default(),
        metadata_match: u64::MAX,
        metadata_write: u64::MAX,
        config,
        max_entries: u32::try_from(max_entries).unwrap_or(u32::MAX),
        properties: vec![
            TableProperty::Instructions(
                instructions
                    .map(|&code| InstructionId {
                        code,
                        data: Vec::new(),
                    })
                    .collect(),
            ),
            TableProperty::NextTables((table_id + 1..n_tables).collect()),
            TableProperty::WriteActions(action_ids()),
            TableProperty::ApplyActions(action_ids()),
            TableProperty::Match(match_ids.collect()),
            TableProperty::Wildcards(match_fields().map(OxmId::new).collect()),
            TableProperty::WriteSetfield(settable_fields()),
            TableProperty::ApplySetfield(settable_fields()),
        ],
    }
}

fn fail(code: ErrorCode, detail: impl Into<String>) -> Result<(), OfError> {
    Err(OfError::new(code, detail))
}

/// Checks a request to change tables. Tables here always do all they can, so a request is good if what it asks for
/// is a part of that; the reply then says what the tables really do. Only the name changes, and the deprecated bits of
/// the configuration (`OFPTC_DEPRECATED_MASK`), which mean nothing but are kept, as with `OFPT_TABLE_MOD`.
pub(crate) fn check_request(
    tables: &[TableFeatures],
    may_change: impl Fn(u8) -> bool,
    max_entries: usize,
) -> Result<(), OfError> {
    for (index, table) in tables.iter().enumerate() {
        if !has_table(table.table_id)
            || tables[..index]
                .iter()
                .any(|other| other.table_id == table.table_id)
        {
            return fail(
                ErrorCode::TableFeaturesFailedBadTable,
                format!("table {}", table.table_id),
            );
        }
        if !may_change(table.table_id) {
            return fail(
                ErrorCode::TableFeaturesFailedEperm,
                "the table belongs to the bridge program",
            );
        }
        if table.config & !DEPRECATED_MASK != 0 || table.max_entries as usize > max_entries {
            return fail(
                ErrorCode::TableFeaturesFailedBadArgument,
                "config or max_entries out of range",
            );
        }
        check_properties(table)?;
    }
    Ok(())
}

/// The fields that a request names, `None` for what is none, and whether with masks.
fn fields(ids: &[OxmId]) -> impl Iterator<Item = (Option<OxmField>, bool)> + '_ {
    ids.iter()
        .map(OxmId::of_any_length)
        .map(|id| (id.known(), id.has_mask))
}

fn check_properties(table: &TableFeatures) -> Result<(), OfError> {
    use TableProperty as P;
    let mut kinds = Vec::new();
    for property in &table.properties {
        let kind = std::mem::discriminant(property);
        if kinds.contains(&kind) {
            return fail(
                ErrorCode::TableFeaturesFailedBadType,
                "a property comes twice",
            );
        }
        kinds.push(kind);
        let offered = match property {
            P::Instructions(ids) | P::InstructionsMiss(ids) => ids
                .iter()
                .all(|id| INSTRUCTIONS.contains(&id.code) && id.data.is_empty()),
            P::NextTables(next) | P::NextTablesMiss(next) => next
                .iter()
                .all(|&next| has_table(next) && next > table.table_id),
            P::WriteActions(ids)
            | P::WriteActionsMiss(ids)
            | P::ApplyActions(ids)
            | P::ApplyActionsMiss(ids) => ids
                .iter()
                .all(|id| ACTIONS.contains(&id.code) && id.data.is_empty()),
            P::Match(ids) => fields(ids).all(|(field, has_mask)| {
                field.is_some_and(|field| {
                    match_fields().any(|known| known == field)
                        && (!has_mask || field.info().maskable)
                })
            }),
            P::Wildcards(ids) => fields(ids).all(|(field, _)| field.is_some()),
            P::WriteSetfield(ids)
            | P::WriteSetfieldMiss(ids)
            | P::ApplySetfield(ids)
            | P::ApplySetfieldMiss(ids) => {
                fields(ids).all(|(field, _)| field.is_some_and(|field| field.info().settable))
            }
            P::Experimenter { .. } | P::ExperimenterMiss { .. } | P::Unknown { .. } => {
                return fail(ErrorCode::TableFeaturesFailedBadType, "property not known");
            }
        };
        if !offered {
            return fail(
                ErrorCode::TableFeaturesFailedBadArgument,
                "more than the table can do",
            );
        }
    }
    Ok(())
}

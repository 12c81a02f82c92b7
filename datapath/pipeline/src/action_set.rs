//! The action set (OF 1.3.5 §5.10): at most one action of each type, done in a fixed order at the end.

use weft_openflow::{Action, NxAction, OxmField};

/// Place in the order of execution.
pub(crate) fn rank(action: &Action) -> u8 {
    match action {
        Action::CopyTtlIn => 1,
        Action::PopVlan | Action::PopMpls { .. } | Action::PopPbb => 2,
        Action::PushMpls { .. } => 3,
        Action::PushPbb { .. } => 4,
        Action::PushVlan { .. } => 5,
        Action::CopyTtlOut => 6,
        Action::DecMplsTtl | Action::DecNwTtl => 7,
        Action::SetMplsTtl { .. } | Action::SetNwTtl { .. } | Action::SetField { .. } => 8,
        Action::SetQueue { .. } => 9,
        Action::Group { .. } => 10,
        Action::Output { .. } => 11,
        _ => 8,
    }
}

/// Whether `new` takes the place of `old` in the set.
fn replaces(new: &Action, old: &Action) -> bool {
    let target = |action: &Action| -> Option<(OxmField, u16)> {
        match action {
            Action::SetField { field } => Some((field.field, 0)),
            Action::Nicira(NxAction::RegLoad { ofs_nbits, dst, .. }) => {
                Some((dst.known()?, *ofs_nbits))
            }
            _ => None,
        }
    };
    match (new, old) {
        (Action::SetField { .. }, Action::SetField { .. }) => target(new) == target(old),
        (Action::Nicira(_), Action::Nicira(_)) => {
            target(new).is_some() && target(new) == target(old)
        }
        _ => std::mem::discriminant(new) == std::mem::discriminant(old),
    }
}

/// Adds actions to a set.
pub(crate) fn write(set: &mut Vec<Action>, actions: &[Action]) {
    for action in actions {
        set.retain(|old| !replaces(action, old));
        set.push(action.clone());
    }
}

/// The set in the order of execution. With a group in it, its output counts for nothing.
pub(crate) fn ordered(mut set: Vec<Action>) -> Vec<Action> {
    if set
        .iter()
        .any(|action| matches!(action, Action::Group { .. }))
    {
        set.retain(|action| !matches!(action, Action::Output { .. }));
    }
    set.sort_by_key(rank);
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_openflow::OxmTlv;

    fn set_field(field: OxmField, value: u128) -> Action {
        Action::SetField {
            field: OxmTlv::new(field, value),
        }
    }

    #[test]
    fn later_actions_replace_those_of_their_type() {
        let mut set = Vec::new();
        write(
            &mut set,
            &[
                Action::output(1),
                set_field(OxmField::EthDst, 1),
                set_field(OxmField::EthSrc, 2),
            ],
        );
        write(
            &mut set,
            &[
                Action::output(2),
                set_field(OxmField::EthDst, 3),
                Action::PopVlan,
            ],
        );
        let expected = [
            Action::PopVlan,
            set_field(OxmField::EthSrc, 2),
            set_field(OxmField::EthDst, 3),
            Action::output(2),
        ];
        assert_eq!(ordered(set), expected);
    }

    #[test]
    fn a_group_takes_the_place_of_the_output() {
        let mut set = Vec::new();
        write(
            &mut set,
            &[
                Action::output(1),
                Action::Group { group_id: 5 },
                Action::DecNwTtl,
            ],
        );
        assert_eq!(
            ordered(set),
            [Action::DecNwTtl, Action::Group { group_id: 5 }]
        );
    }
}

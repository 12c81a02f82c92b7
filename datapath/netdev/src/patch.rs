//! Patch ports: two ports joined by a cable of ours, a veth pair whose ends have the ports' names.
//!
//! As a tap, the pair outlives a switch that dies, and the next process adopts it, by the aliases that its ends have.

use std::io;

use crate::link::{LinkInfo, Rtnl, silence_host};

/// The longest a veth knows: as good as no limit, which a cable between two bridges should not be.
const MTU: u32 = 65_535;

/// Makes the pair, or adopts the one that is there: both ends are up afterwards. Either end may ask for it.
///
/// # Errors
/// `AlreadyExists` if there is a device of one of the names that is no patch port.
pub fn open_patch(rtnl: &mut Rtnl, name: &str, peer: &str) -> io::Result<()> {
    let ends = [(name, alias(peer)), (peer, alias(name))];
    let found = [rtnl.link(name)?, rtnl.link(peer)?];
    for link in found.iter().flatten() {
        if !is_patch(link) {
            let message = format!("{} exists already and is no patch port", link.name);
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
    }
    let whole = ends.iter().zip(&found).all(|((_, alias), link)| {
        link.as_ref()
            .is_some_and(|link| link.alias.as_ref() == Some(alias))
    });
    if !whole {
        // One of them may have been the end of another pair.
        for link in found.iter().flatten() {
            if let Err(error) = rtnl.delete(link.ifindex)
                && error.raw_os_error() != Some(libc::ENODEV)
            {
                return Err(error);
            }
        }
        rtnl.add_veth(name, peer, MTU)?;
    }
    for (end, alias) in ends {
        let Some(link) = rtnl.link(end)? else {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        };
        silence_host(end);
        rtnl.set_alias(link.ifindex, &alias)?;
        if !link.admin_up {
            rtnl.set_admin_up(link.ifindex, true)?;
        }
    }
    Ok(())
}

const ALIAS: &str = "patch port to ";

fn alias(peer: &str) -> String {
    format!("{ALIAS}{peer}")
}

fn is_patch(link: &LinkInfo) -> bool {
    link.kind.as_deref() == Some("veth")
        && link
            .alias
            .as_ref()
            .is_some_and(|alias| alias.starts_with(ALIAS))
}

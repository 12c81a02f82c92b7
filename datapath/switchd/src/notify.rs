//! Tells the service manager that started us how far we are (sd_notify(3)).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends a state such as `READY=1`. Does nothing where no service manager asked for it.
///
/// # Errors
///
/// Where `NOTIFY_SOCKET` names something that cannot be sent to.
pub fn notify_service(state: &str) -> io::Result<()> {
    std::env::var_os("NOTIFY_SOCKET").map_or(Ok(()), |socket| send(&socket, state))
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_sockets_by_path_and_by_abstract_name() {
        let path = std::env::temp_dir().join(format!("weft-notify-{}", std::process::id()));
        let abstract_name = format!("weft-notify-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap())
                .unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        send(OsStr::new(&format!("@{abstract_name}")), "STOPPING=1").unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut buffer = [0; 32];
        for (socket, expected) in [(&by_path, "READY=1"), (&by_name, "STOPPING=1")] {
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
    }
}

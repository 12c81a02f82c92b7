//! A socket without TLS, which the switch thread reads and writes as well.
//!
//! It is known to tokio's reactor only while somebody here waits for it: otherwise the control thread would wake up for all
//! that comes and goes, also for requests that the switch thread reads and answers by itself.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream};

/// One direction of a connection.
pub trait Half {
    /// Nobody waits for it for now.
    fn let_go(&mut self) {}
}

impl<S> Half for ReadHalf<S> {}
impl<S> Half for WriteHalf<S> {}

/// What tokio makes of a socket.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Does what had to wait, if it may go on.
    fn poll<T>(
        &self,
        interest: Interest,
        cx: &mut Context<'_>,
        act: impl FnOnce() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        ready!(match (self, interest.is_readable()) {
            (Stream::Tcp(stream), true) => stream.poll_read_ready(cx),
            (Stream::Tcp(stream), false) => stream.poll_write_ready(cx),
            (Stream::Unix(stream), true) => stream.poll_read_ready(cx),
            (Stream::Unix(stream), false) => stream.poll_write_ready(cx),
        })?;
        Poll::Ready(match self {
            Stream::Tcp(stream) => stream.try_io(interest, act),
            Stream::Unix(stream) => stream.try_io(interest, act),
        })
    }
}

/// A socket, which of its kind it is.
#[derive(Clone)]
pub struct Plain {
    socket: Arc<OwnedFd>,
    register: fn(OwnedFd) -> io::Result<Stream>,
}

impl Plain {
    /// Of a TCP connection.
    pub fn tcp(stream: TcpStream) -> io::Result<Plain> {
        Ok(Plain {
            socket: Arc::new(stream.into_std()?.into()),
            register: |socket| TcpStream::from_std(socket.into()).map(Stream::Tcp),
        })
    }

    /// Of a local connection.
    pub fn unix(stream: UnixStream) -> io::Result<Plain> {
        Ok(Plain {
            socket: Arc::new(stream.into_std()?.into()),
            register: |socket| UnixStream::from_std(socket.into()).map(Stream::Unix),
        })
    }

    /// Both directions, and the socket for the switch thread.
    pub fn split(self) -> (PlainHalf, PlainHalf, Arc<OwnedFd>) {
        let half = |interest| PlainHalf {
            plain: self.clone(),
            interest,
            waiting: None,
        };
        let halves = (half(Interest::READABLE), half(Interest::WRITABLE));
        (halves.0, halves.1, self.socket)
    }
}

/// One direction of a socket.
pub struct PlainHalf {
    plain: Plain,
    interest: Interest,
    waiting: Option<Stream>,
}

impl PlainHalf {
    /// Does what may not be possible yet, as soon as it is.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut act: impl FnMut(&OwnedFd) -> rustix::io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let Plain { socket, register } = &self.plain;
        let mut act = || loop {
            match act(socket) {
                Err(Errno::INTR) => {}
                done => return done.map_err(io::Error::from),
            }
        };
        if self.waiting.is_none() {
            match act() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
            // Under a number of its own: the other direction may wait at the same time.
            self.waiting = Some(register(socket.try_clone()?)?);
        }
        loop {
            let Some(waiting) = &self.waiting else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            match ready!(waiting.poll(self.interest, cx, &mut act)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl Half for PlainHalf {
    fn let_go(&mut self) {
        self.waiting = None;
    }
}

impl AsyncRead for PlainHalf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.initialize_unfilled();
        let (length, _) =
            ready!(self.poll(cx, |socket| recv(socket, &mut *room, RecvFlags::DONTWAIT)))?;
        buf.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PlainHalf {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        self.poll(cx, |socket| send(socket, bytes, flags))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = shutdown(&*self.plain.socket, Shutdown::Write);
        Poll::Ready(ended.map_err(io::Error::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream as StdStream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn connected() -> (PlainHalf, PlainHalf, StdStream) {
        let (ours, theirs) = StdStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let plain = Plain::unix(UnixStream::from_std(ours).unwrap()).unwrap();
        let (reader, writer, _) = plain.split();
        (reader, writer, theirs)
    }

    #[tokio::test]
    async fn waits_reads_and_ends_after_it_was_let_go() {
        let (mut reader, mut writer, mut theirs) = connected();
        for word in [b"one", b"two"] {
            let mut input = Vec::new();
            let (read, sent) = tokio::join!(reader.read_buf(&mut input), async {
                tokio::task::yield_now().await;
                theirs.write(word)
            });
            assert_eq!((read.unwrap(), sent.unwrap()), (3, 3));
            assert_eq!(input, word);
            reader.let_go();
        }
        drop(theirs);
        assert_eq!(reader.read_buf(&mut Vec::new()).await.unwrap(), 0);
        assert!(writer.write(b"x").await.is_err());
    }

    #[tokio::test]
    async fn writes_more_than_a_socket_takes_at_once() {
        let (_reader, mut writer, mut theirs) = connected();
        let bytes = vec![7; 4 << 20];
        let received = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).map(|_| all.len())
        });
        writer.write_all(&bytes).await.unwrap();
        writer.let_go();
        writer.shutdown().await.unwrap();
        assert_eq!(received.join().unwrap().unwrap(), bytes.len());
    }
}

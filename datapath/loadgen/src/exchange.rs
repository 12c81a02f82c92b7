//! `weft-loadgen answer` and `weft-loadgen ask`: transactions over one TCP connection, one byte there and one back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

/// One connection that is answered.
#[derive(Args)]
pub struct AnswerOptions {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
}

/// Transactions, each when the one before is over.
#[derive(Args)]
pub struct AskOptions {
    /// Where it is answered.
    #[arg(long)]
    connect: SocketAddr,
    /// So long.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// What may be silence in a transaction.
const PATIENCE: Duration = Duration::from_secs(10);

fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Answers one connection until its end; JSON of how often.
pub fn answer(options: &AnswerOptions) -> io::Result<Value> {
    let (stream, _) = TcpListener::bind(options.listen)?.accept()?;
    let mut stream = ready(stream)?;
    let (mut byte, mut answered) = ([0], 0_u64);
    loop {
        match stream.read_exact(&mut byte) {
            Ok(()) => stream.write_all(&byte)?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        answered += 1;
    }
    Ok(json!({"answered": answered}))
}

/// Asks; JSON of how many transactions there were and how long it took.
pub fn ask(options: &AskOptions) -> io::Result<Value> {
    let mut stream = ready(TcpStream::connect_timeout(&options.connect, PATIENCE)?)?;
    let limit = Duration::from_secs_f64(options.seconds);
    let (mut byte, mut transactions) = ([0], 0_u64);
    let started = Instant::now();
    while started.elapsed() < limit {
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        transactions += 1;
    }
    Ok(json!({"transactions": transactions, "seconds": started.elapsed().as_secs_f64()}))
}

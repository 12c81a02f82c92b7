//! The JSON-RPC server on `<rundir>/weft-datapath.sock`: one request or notification a line (JSON-RPC 2.0).

use std::io;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::{self, error::RecvError};

use super::Control;
use crate::command::Event;
use crate::rpc::{Request, RpcError};

/// Longest request, bytes: a bridge with thousands of controllers would still fit.
const LINE_LIMIT: u64 = 1 << 20;

/// Serves the control channel until the listener fails.
pub async fn serve(listener: UnixListener, control: Control) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let control = control.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, control).await {
                        tracing::debug!(%error, "control connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "control channel cannot accept");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// One client. Its requests are answered in order; events come between answers.
async fn converse(stream: UnixStream, control: Control) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut events: Option<broadcast::Receiver<Event>> = None;
    let mut line = Vec::new();
    loop {
        // A read that is interrupted by an event keeps what it has in `line` and goes on.
        let mut limited = (&mut reader).take(LINE_LIMIT - line.len() as u64);
        tokio::select! {
            read = limited.read_until(b'\n', &mut line) => {
                read?;
                if line.last() != Some(&b'\n') {
                    if line.len() as u64 >= LINE_LIMIT {
                        let error = RpcError { number: -32600, code: "too-long", message: format!("a request has at most {LINE_LIMIT} bytes") };
                        write(&mut writer, &json!({ "jsonrpc": "2.0", "id": null, "error": error.to_json() })).await?;
                    }
                    return Ok(());
                }
                if let Some(answer) = answer(&line, &control, &mut events).await {
                    write(&mut writer, &answer).await?;
                }
                line.clear();
            }
            event = next_event(&mut events) => match event {
                Ok(event) => {
                    let mut notification = serde_json::to_value(event).map_err(io::Error::other)?;
                    notification["jsonrpc"] = json!("2.0");
                    write(&mut writer, &notification).await?;
                }
                // A subscriber that lost events must not go on as if it had not: it reconnects and lists anew.
                Err(_) => return Err(io::Error::other("subscriber too slow")),
            },
        }
    }
}

async fn next_event(events: &mut Option<broadcast::Receiver<Event>>) -> Result<Event, RecvError> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

async fn write(writer: &mut (impl AsyncWriteExt + Unpin), value: &Value) -> io::Result<()> {
    let mut text = value.to_string();
    text.push('\n');
    writer.write_all(text.as_bytes()).await
}

/// The answer to one line; none to a notification.
async fn answer(
    line: &[u8],
    control: &Control,
    events: &mut Option<broadcast::Receiver<Event>>,
) -> Option<Value> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    let failure = |id: Value, error: RpcError| json!({ "jsonrpc": "2.0", "id": id, "error": error.to_json() });
    let mut request: Value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(error) => {
            let error = RpcError {
                number: -32700,
                code: "parse-error",
                message: error.to_string(),
            };
            return Some(failure(Value::Null, error));
        }
    };
    let id = request.get("id").cloned();
    let method = request
        .get("method")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let (Some("2.0"), Some(method)) = (request.get("jsonrpc").and_then(Value::as_str), method)
    else {
        let message = "not a JSON-RPC 2.0 request (jsonrpc, id, method, params)".to_owned();
        let error = RpcError {
            number: -32600,
            code: "invalid-request",
            message,
        };
        return Some(failure(id.unwrap_or(Value::Null), error));
    };
    let params = request
        .get_mut("params")
        .map(Value::take)
        .unwrap_or(Value::Null);
    let result = match Request::parse(&method, params) {
        Ok(Request::Subscribe) => {
            events.get_or_insert_with(|| control.subscribe());
            Ok(json!({}))
        }
        Ok(request) => control.call(request).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &result {
        tracing::info!(method, error = error.message, "control request refused");
    }
    let id = id?;
    Some(match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => failure(id, error),
    })
}

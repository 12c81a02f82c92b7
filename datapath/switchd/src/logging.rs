//! Logs: for people on a terminal, JSON objects otherwise. Always on stderr, so that stdout holds only the ready line.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

type SetFilter = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// Puts another filter in place of the one that logging was started with.
static SET_FILTER: OnceLock<SetFilter> = OnceLock::new();

/// Levels that [`set_level`] takes, the quietest first.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// From now on the log has this level (one of [`LEVELS`]) and quieter ones, whatever `WEFT_LOG` says.
pub fn set_level(level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| error.to_string())?;
    SET_FILTER.get().map_or(Ok(()), |set| set(filter))
}

/// Starts logging. `WEFT_LOG` sets the level (`debug`, or per module as `tracing_subscriber::EnvFilter` reads it).
pub fn init(format: Option<LogFormat>) {
    let is_terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if is_terminal {
        LogFormat::Pretty
    } else {
        LogFormat::Json
    });
    let filter = EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let set: SetFilter = match format {
        LogFormat::Pretty => {
            let builder = builder.with_ansi(is_terminal).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        }
    };
    // Logging is started once; a second start would have failed above.
    let _ = SET_FILTER.set(set);
}

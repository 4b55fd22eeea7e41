//! The log, on standard error. Whatever is logged is fit for it: requests by their redacted `Debug`, objects by their ids.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line for people.
    Text,
    /// A JSON object for machines.
    Json,
}

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(LevelFilter);

impl FromStr for Level {
    type Err = String;

    /// Takes a level's name, or a number as klog has it: up to 3 what operators want to see, 4 and 5 what is needed to
    /// understand a fault, 6 and more everything.
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text.parse::<u8>() {
            Ok(0..=3) => LevelFilter::INFO,
            Ok(4..=5) => LevelFilter::DEBUG,
            Ok(_) => LevelFilter::TRACE,
            Err(_) => match text {
                "error" => LevelFilter::ERROR,
                "warn" => LevelFilter::WARN,
                "info" => LevelFilter::INFO,
                "debug" => LevelFilter::DEBUG,
                "trace" => LevelFilter::TRACE,
                _ => return Err("say error, warn, info, debug, trace or a number".to_owned()),
            },
        }))
    }
}

/// Starts logging. Called once; later calls do nothing.
pub fn start(format: Format, level: Level) {
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    // Of libraries only what is wrong: the transport's finer lines show bytes as they come, secrets among them.
    let shown = Targets::new()
        .with_default(level.0.min(LevelFilter::WARN))
        .with_target("csi_hostpath", level.0);
    let _ = match format {
        Format::Text => tracing::subscriber::set_global_default(
            Registry::default().with(lines.with_filter(shown)),
        ),
        Format::Json => tracing::subscriber::set_global_default(
            Registry::default().with(lines.json().flatten_event(true).with_filter(shown)),
        ),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names_and_klog_numbers() {
        for (text, level) in [
            ("warn", LevelFilter::WARN),
            ("0", LevelFilter::INFO),
            ("5", LevelFilter::DEBUG),
            ("10", LevelFilter::TRACE),
        ] {
            assert_eq!(text.parse(), Ok(Level(level)), "{text}");
        }
        assert!("loud".parse::<Level>().is_err());
        assert!("-1".parse::<Level>().is_err());
    }
}

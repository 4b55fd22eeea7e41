//! The log, on standard error. Nothing of the service account is ever in it.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Starts logging.
pub fn start() {
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    // Of libraries nothing: an HTTP client's lines may show headers, the token among them.
    let shown = Targets::new().with_target("hawser_node", LevelFilter::INFO);
    // Refused only where there is a log already.
    let _ =
        tracing::subscriber::set_global_default(Registry::default().with(lines.with_filter(shown)));
}

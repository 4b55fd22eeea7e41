//! What Prometheus is told: calls as they are counted, pools and mounted volumes as they are when asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;
use tonic::Code;

use crate::driver::Driver;
use crate::error::Error;
use crate::id::VolumeId;
use crate::pool::Room;
use crate::record::Volume;
use crate::registration::Standing;
use crate::request;
use crate::store::Promised;

/// Bounds of the buckets of durations, in seconds: from a call that only looks to one that copies a volume.
const SECONDS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0];
/// Volumes read from the store at a time.
const AT_ONCE: usize = 256;

/// Counts calls and tells about the driver. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    calls: Family<Ended, Counter>,
    durations: Family<Named, Histogram, fn() -> Histogram>,
    registry: Arc<Registry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    rpc: &'static str,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    rpc: &'static str,
}

impl Metrics {
    /// Metrics of `driver`, which stands with kubelet as told.
    pub fn new(driver: Arc<Driver>, standing: watch::Receiver<Standing>) -> Self {
        let calls = Family::default();
        let durations: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(SECONDS));
        let mut registry = Registry::with_prefix("csi_hostpath");
        registry.register("calls", "Calls answered", calls.clone());
        registry.register_with_unit(
            "call_duration",
            "How long calls took",
            Unit::Seconds,
            durations.clone(),
        );
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The driver", build);
        registry.register_collector(Box::new(Present { driver, standing }));
        Self {
            calls,
            durations,
            registry: Arc::new(registry),
        }
    }

    /// Counts a call that has ended.
    pub fn count(&self, rpc: &'static str, code: Code, took: Duration) {
        let code = format!("{code:?}");
        self.calls.get_or_create(&Ended { rpc, code }).inc();
        self.durations
            .get_or_create(&Named { rpc })
            .observe(took.as_secs_f64());
    }

    /// All metrics in the text format of OpenMetrics. Looks at pools and volumes, so it blocks.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut body = String::new();
        text::encode(&mut body, &self.registry)?;
        Ok(body)
    }
}

/// What is looked up when asked for.
struct Present {
    driver: Arc<Driver>,
    standing: watch::Receiver<Standing>,
}

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Present")
    }
}

/// A volume that is published here.
struct Measured {
    id: String,
    size: u64,
    used: Option<u64>,
}

impl Collector for Present {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let standing = self.standing.borrow().clone();
        if standing != Standing::Off {
            let registered = u32::from(standing == Standing::Registered);
            let family = [([("driver", self.driver.settings.name.as_str())], registered)];
            gauges(
                &mut encoder,
                "registered",
                "Whether kubelet knows the driver",
                None,
                family,
            )?;
        }
        self.pools(&mut encoder)?;
        let volumes = self.volumes().unwrap_or_else(|error| {
            tracing::warn!(%error, "volumes not measured");
            Vec::new()
        });
        let sizes = volumes
            .iter()
            .map(|volume| ([("volume", volume.id.as_str())], volume.size));
        let help = "Sizes of the volumes published here";
        gauges(&mut encoder, "volume_size", help, Some(Unit::Bytes), sizes)?;
        let used = volumes
            .iter()
            .filter_map(|volume| Some(([("volume", volume.id.as_str())], volume.used?)));
        let help = "What the volumes published here use";
        gauges(&mut encoder, "volume_used", help, Some(Unit::Bytes), used)
    }
}

impl Present {
    /// Of a pool that cannot be looked at now nothing is told: health says why.
    fn pools(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let looks = self.driver.pools.all().filter_map(|pool| {
            let promised = self.driver.store.promised(pool.name()).ok()?;
            Some((pool.name(), promised, pool.room(promised).ok()?))
        });
        let looks: Vec<_> = looks.collect();
        let mut tell = |name, help, unit, value: fn(&Promised, &Room) -> u64| {
            let family = looks
                .iter()
                .map(|(pool, promised, room)| ([("pool", *pool)], value(promised, room)));
            gauges(encoder, name, help, unit, family)
        };
        let bytes = || Some(Unit::Bytes);
        tell("pool_size", "Sizes of the pools", bytes(), |_, room| {
            room.total
        })?;
        tell(
            "pool_available",
            "Room for new volumes",
            bytes(),
            |_, room| room.available,
        )?;
        tell(
            "pool_promised",
            "Sizes of a pool's volumes together",
            bytes(),
            |promised, _| promised.bytes,
        )?;
        tell("pool_volumes", "Volumes of a pool", None, |promised, _| {
            promised.volumes
        })?;
        tell(
            "pool_snapshots",
            "Snapshots of a pool",
            None,
            |promised, _| promised.snapshots,
        )
    }

    fn volumes(&self) -> Result<Vec<Measured>, Error> {
        let mut measured = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let part = self.driver.store.volumes(after.as_deref(), Some(AT_ONCE))?;
            measured.extend(part.items.iter().filter_map(|volume| self.measured(volume)));
            match part.items.last() {
                Some(last) if part.more => after = Some(last.id.clone()),
                _ => return Ok(measured),
            }
        }
    }

    /// `None` for a volume that no pod has. One that cannot be measured now has a size all the same.
    fn measured(&self, volume: &Volume) -> Option<Measured> {
        let stats = self.driver.stats(&request::Stats {
            volume: VolumeId::parse(&volume.id)?,
            path: volume.published.first()?.target.clone().into(),
        });
        Some(Measured {
            id: volume.id.clone(),
            size: volume.size,
            used: stats
                .ok()
                .filter(|stats| stats.measured)
                .map(|stats| stats.bytes.used),
        })
    }
}

/// One metric with its labels, each with a value.
fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    family: impl IntoIterator<Item = (L, V)>,
) -> fmt::Result {
    let mut family = family.into_iter().peekable();
    if family.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
    for (labels, value) in family {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

//! Families of metrics in OpenMetrics text, one after the other; prometheus-client knows the format.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabel, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::counts::Histogram;

/// A family's name, help and unit.
pub(super) type Family = (&'static str, &'static str, Option<&'static Unit>);

/// Writes whole families of metrics.
pub(super) struct Page<'a, 'e>(pub(super) &'a mut DescriptorEncoder<'e>);

impl Page<'_, '_> {
    pub(super) fn counters<L: EncodeLabelSet>(
        &mut self,
        family: Family,
        all: impl Iterator<Item = (L, u64)>,
    ) -> fmt::Result {
        self.each(family, MetricType::Counter, all, |encoder, count| {
            encoder.encode_counter::<NoLabelSet, _, u64>(&count, None)
        })
    }

    pub(super) fn gauges<L: EncodeLabelSet>(
        &mut self,
        family: Family,
        all: impl Iterator<Item = (L, u64)>,
    ) -> fmt::Result {
        self.each(family, MetricType::Gauge, all, |encoder, count| encoder.encode_gauge(&count))
    }

    /// Those that are empty are left out: sixteen lines for each route that nobody asked for are many.
    pub(super) fn histograms<'h, L: EncodeLabelSet>(
        &mut self,
        (name, help, unit): (&'static str, &'static str, &'static Unit),
        all: impl Iterator<Item = (L, &'h Histogram)>,
    ) -> fmt::Result {
        let used = all.filter(|(_, histogram)| histogram.count() > 0);
        self.each((name, help, Some(unit)), MetricType::Histogram, used, |encoder, histogram| {
            let (sum, count) = (histogram.seconds(), histogram.count());
            encoder.encode_histogram::<NoLabelSet>(sum, count, &histogram.buckets(), None)
        })
    }

    fn each<L: EncodeLabelSet, V>(
        &mut self,
        (name, help, unit): Family,
        kind: MetricType,
        all: impl Iterator<Item = (L, V)>,
        mut write: impl FnMut(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, value) in all {
            write(&mut encoder.encode_family(&labels)?, value)?;
        }
        Ok(())
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &'static str, count: u64) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        encoder.encode_counter::<NoLabelSet, _, u64>(&count, None)
    }

    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        unit: Option<&'static Unit>,
        value: u64,
    ) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }

    pub(super) fn info<L: EncodeLabel>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[L; 1],
    ) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels.as_slice())
    }
}

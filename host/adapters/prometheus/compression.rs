//! What compression saves, for each domain and method.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::compression::CompressionMethod;
use crate::ports::metrics::Metrics;

/// The families of compression.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut from = Family::counter(
        "larder_compressed_from_bytes_total",
        "Bytes of values before they were compressed for the store",
    );
    let mut to = Family::counter("larder_compressed_to_bytes_total", "Bytes of the same values after it");
    let mut in_vain = Family::counter(
        "larder_compressions_in_vain_total",
        "Values that were compressed and stored as they were, as it did not pay",
    );
    for (domain, metrics) in metrics.domains() {
        for method in CompressionMethod::ALL {
            let labels = [("domain", &*domain), ("method", method.as_str())];
            let counted = &metrics.compression[method as usize];
            from.count_some(&labels, counted.from_bytes.get());
            to.count_some(&labels, counted.to_bytes.get());
            in_vain.count_some(&labels, counted.in_vain.get());
        }
    }
    [from, to, in_vain].map(Family::done).into()
}

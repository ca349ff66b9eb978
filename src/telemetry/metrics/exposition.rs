//! Owns: the OpenMetrics text, written by prometheus-client's encoder.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};

use super::{
    MetricKind, SampleValue, Samples,
    histogram::{BUCKETS_SECONDS, HistogramCount},
};

/// The media type of [`super::Metrics::encode`]'s text (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
struct Exposition {
    samples: Samples,
}

/// The samples as text, with the mark of the end.
pub(super) fn encode(samples: Samples) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition { samples }));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in self.samples.families() {
            let metric = family.metric;
            let metric_type = match metric.kind {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
                MetricKind::Histogram => MetricType::Histogram,
                MetricKind::Info => MetricType::Info,
            };
            let mut descriptor = encoder.encode_descriptor(metric.family(), metric.help, None, metric_type)?;
            for (values, value) in &family.series {
                let labels: Vec<(&str, &str)> =
                    metric.labels.iter().copied().zip(values.iter().map(|value| &**value)).collect();
                if metric.kind == MetricKind::Info {
                    descriptor.encode_info(&labels)?;
                } else if labels.is_empty() {
                    encode_value(&mut descriptor, metric.kind, value)?;
                } else {
                    encode_value(&mut descriptor.encode_family(&labels)?, metric.kind, value)?;
                }
            }
        }
        Ok(())
    }
}

fn encode_value(encoder: &mut MetricEncoder<'_>, kind: MetricKind, value: &SampleValue) -> Result<(), fmt::Error> {
    match (kind, value) {
        (MetricKind::Counter, SampleValue::Integer(count)) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
        (MetricKind::Counter, SampleValue::Float(count)) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
        (_, SampleValue::Integer(value)) => encoder.encode_gauge(value),
        (_, SampleValue::Float(value)) => encoder.encode_gauge(value),
        (_, SampleValue::Histogram(count)) => encode_histogram(encoder, count),
    }
}

fn encode_histogram(encoder: &mut MetricEncoder<'_>, count: &HistogramCount) -> Result<(), fmt::Error> {
    let bounds = BUCKETS_SECONDS.into_iter().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(count.buckets).collect();
    // Added up from the buckets, so that the count and the last bucket can never disagree.
    let observations = count.buckets.iter().sum();
    encoder.encode_histogram::<NoLabelSet>(count.sum.as_secs_f64(), observations, &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::catalogue;

    #[test]
    fn label_values_are_escaped_and_parts_added_up() {
        let mut samples = Samples::default();
        samples.add(&catalogue::KEY_SET_KEYS, &["a\"b\\c\nd"], 2u64);
        samples.add(&catalogue::KEY_SET_AGE, &["corp"], 1.5);
        samples.add(&catalogue::TOKEN_CACHE_HITS, &[], 2u64);
        samples.add(&catalogue::TOKEN_CACHE_HITS, &[], 3u64);
        samples.add(&catalogue::CONFIG_INFO, &["00ff"], 1u64);
        samples.add(&catalogue::CONFIG_LAST_RELOAD_SUCCESSFUL, &[], true);
        let text = encode(samples).unwrap();
        let values: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            r#"postern_config_info{hash="00ff"} 1"#,
            "postern_config_last_reload_successful 1",
            r#"postern_key_set_age_seconds{issuer="corp"} 1.5"#,
            r#"postern_key_set_keys{issuer="a\"b\\c\nd"} 2"#,
            "postern_token_cache_hits_total 5",
        ];
        assert_eq!(values, expected);
        assert!(
            text.contains("# TYPE postern_config info\n") && text.contains("# TYPE postern_token_cache_hits counter\n")
        );
    }

    #[test]
    fn every_metric_of_the_catalogue_can_be_told() {
        let mut samples = Samples::default();
        for metric in catalogue::ALL {
            let labels = vec!["x"; metric.labels.len()];
            match metric.kind {
                MetricKind::Histogram => samples.add(metric, &labels, HistogramCount::default()),
                _ => samples.add(metric, &labels, 1u64),
            }
        }
        let text = encode(samples).unwrap();
        for metric in catalogue::ALL {
            assert!(text.lines().any(|line| line.starts_with(metric.name)), "{}", metric.name);
        }
    }
}

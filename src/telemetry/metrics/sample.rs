//! Owns: plain samples on their way from whoever counts to the exposition.
//! Always holds: a series appears once; what is told of it twice is added up.

use std::collections::BTreeMap;

use super::{HistogramCount, Metric};

/// Whoever has something to tell when the metrics are asked for.
pub trait MetricsSource: Send + Sync {
    /// Adds its samples.
    fn collect(&self, samples: &mut Samples);
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A whole number.
    Integer(u64),
    /// Any number.
    Float(f64),
    /// Durations by size.
    Histogram(Box<HistogramCount>),
}

/// The samples of one answer.
#[derive(Debug, Default)]
pub struct Samples {
    families: BTreeMap<&'static str, Family>,
}

#[derive(Debug)]
pub(super) struct Family {
    pub(super) metric: &'static Metric,
    pub(super) series: BTreeMap<Box<[Box<str>]>, SampleValue>,
}

impl Samples {
    /// Adds a sample; `labels` are the values of the metric's labels in the catalogue's order. A series that is there
    /// already grows by the value, so that parts can be told one by one.
    pub fn add(&mut self, metric: &'static Metric, labels: &[&str], value: impl Into<SampleValue>) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        let family = self.families.entry(metric.name).or_insert_with(|| Family { metric, series: BTreeMap::new() });
        let labels: Box<[Box<str>]> = labels.iter().map(|label| Box::from(*label)).collect();
        let value = value.into();
        family.series.entry(labels).and_modify(|sum| sum.grow(&value)).or_insert(value);
    }

    pub(super) fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.values()
    }
}

impl SampleValue {
    fn grow(&mut self, by: &Self) {
        match (self, by) {
            (Self::Integer(sum), Self::Integer(value)) => *sum = sum.saturating_add(*value),
            (Self::Float(sum), Self::Float(value)) => *sum += value,
            (Self::Histogram(sum), Self::Histogram(value)) => sum.merge(value),
            // Two kinds of value for one series: the later one stands.
            (sum, value) => *sum = value.clone(),
        }
    }
}

impl From<u64> for SampleValue {
    fn from(value: u64) -> Self {
        Self::Integer(value)
    }
}

impl From<usize> for SampleValue {
    fn from(value: usize) -> Self {
        Self::Integer(u64::try_from(value).unwrap_or(u64::MAX))
    }
}

impl From<bool> for SampleValue {
    fn from(value: bool) -> Self {
        Self::Integer(u64::from(value))
    }
}

impl From<f64> for SampleValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<HistogramCount> for SampleValue {
    fn from(value: HistogramCount) -> Self {
        Self::Histogram(Box::new(value))
    }
}

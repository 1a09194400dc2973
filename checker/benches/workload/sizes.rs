//! How large the histories of a benchmark are.

/// From ten thousand operations up to a limit, by powers of ten; `RASHOMON_BENCH_MAX` sets another
/// limit.
pub(crate) fn sizes(usual_limit: usize) -> impl Iterator<Item = usize> {
    let limit = std::env::var("RASHOMON_BENCH_MAX").ok().and_then(|limit| limit.parse().ok());
    let limit = limit.unwrap_or(usual_limit);
    (4..=7).map(|power| 10usize.pow(power)).filter(move |&size| size <= limit)
}

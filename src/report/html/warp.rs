//! Time bent to fit words: order and overlap are exact, distances only hint at how long it was.
//!
//! A violation may take seconds and its operations milliseconds each, so that on a straight axis
//! they would be slivers. The idea of bending the axis around the operations is Porcupine's
//! (its visualiser); here a gap grows with the logarithm of its duration, and a bar is never
//! shorter than its label.

/// A point of a history: a time, and the rank that orders what has the same time.
pub(super) type Key = (u64, u32);

/// A bar to be placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: Key,
    /// `None` if it has no known end.
    pub(super) to: Option<Key>,
    /// The width that its words need, in pixels.
    pub(super) needs: f64,
}

/// A bent axis.
#[derive(Debug)]
pub(super) struct Warp {
    stops: Vec<(Key, f64)>,
    width: f64,
}

/// The shortest gap between two points, in pixels.
const SHORTEST_GAP: f64 = 7.0;
/// What a tenfold duration adds, in pixels.
const PER_DECADE: f64 = 9.0;
/// Durations up to here, in nanoseconds, make the shortest gap.
const SHORTEST_TIME: f64 = 1e4;
/// How much wider than necessary an axis may become to fill its place.
const MOST_STRETCH: f64 = 2.4;

impl Warp {
    /// Places spans and further points on about `available` pixels; more if they need it.
    pub(super) fn new(spans: &[Span], marks: &[Key], available: f64) -> Self {
        let ends = spans.iter().flat_map(|span| [Some(span.from), span.to]).flatten();
        let mut keys: Vec<Key> = ends.chain(marks.iter().copied()).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut warp = Warp { stops: Vec::with_capacity(keys.len()), width: 0.0 };
        let mut x = 0.0_f64;
        let mut before: Option<Key> = None;
        for key in keys {
            x += before.map_or(0.0, |before| gap(key.0 - before.0));
            for span in spans.iter().filter(|span| span.to == Some(key)) {
                x = x.max(warp.at(span.from) + span.needs);
            }
            warp.stops.push((key, x));
            before = Some(key);
        }
        let open = spans.iter().filter(|span| span.to.is_none());
        warp.width = open.map(|span| warp.at(span.from) + span.needs).fold(x, f64::max);
        warp.stretch((available / warp.width.max(1.0)).clamp(1.0, MOST_STRETCH));
        warp
    }

    fn stretch(&mut self, factor: f64) {
        self.width *= factor;
        for (_, x) in &mut self.stops {
            *x *= factor;
        }
    }

    /// Where a point is drawn; what lies outside is drawn at the near end.
    pub(super) fn at(&self, key: Key) -> f64 {
        match self.stops.binary_search_by_key(&key, |&(key, _)| key) {
            Ok(place) => self.stops[place].1,
            Err(0) => 0.0,
            Err(place) => self.stops.get(place).map_or(self.width, |&(_, x)| x),
        }
    }

    /// The whole width, in pixels.
    pub(super) fn width(&self) -> f64 {
        self.width
    }
}

fn gap(duration: u64) -> f64 {
    SHORTEST_GAP + PER_DECADE * (duration as f64 / SHORTEST_TIME).max(1.0).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: Option<u64>, needs: f64) -> Span {
        Span { from: (from, from as u32), to: to.map(|to| (to, to as u32)), needs }
    }

    #[test]
    fn order_is_kept_and_labels_fit() {
        let spans = [
            span(1_000, Some(2_000), 60.0),
            span(1_500, Some(9_000_000_000), 40.0),
            span(8_999_000_000, None, 90.0),
        ];
        let warp = Warp::new(&spans, &[(5_000_000_000, 0)], 10.0);
        let keys = [1_000, 1_500, 2_000, 8_999_000_000, 9_000_000_000_u64];
        let xs: Vec<f64> = keys.iter().map(|&key| warp.at((key, key as u32))).collect();
        assert!(xs.is_sorted_by(|a, b| a < b), "{xs:?}");
        assert!(xs[2] - xs[0] >= 60.0, "{xs:?}");
        assert!(warp.width() - xs[3] >= 90.0, "{xs:?}");
        let mark = warp.at((5_000_000_000, 0));
        assert!(xs[2] < mark && mark < xs[3], "{xs:?}");
    }

    #[test]
    fn seconds_are_wider_than_milliseconds() {
        let warp = Warp::new(&[], &[(0, 0), (2_000_000, 0), (5_000_000_000, 0)], 0.0);
        let (short, long) = (warp.at((2_000_000, 0)), warp.at((5_000_000_000, 0)));
        assert!(long - short > short, "{short} {long}");
    }

    #[test]
    fn a_small_history_fills_its_place_within_reason() {
        let narrow = Warp::new(&[span(0, Some(1), 100.0)], &[], 0.0).width();
        assert!((Warp::new(&[span(0, Some(1), 100.0)], &[], 150.0).width() - 150.0).abs() < 1e-9);
        let wide = Warp::new(&[span(0, Some(1), 100.0)], &[], 10_000.0).width();
        assert!(wide <= narrow * MOST_STRETCH + 1e-9);
    }
}

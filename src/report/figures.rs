//! Numbers as people read them.

/// A point in time since the run began: `4.102 s`.
pub(crate) fn instant(ns: u64) -> String {
    format!("{:.3} s", ns as f64 / 1e9)
}

/// A span of time in the unit that suits it: `120 µs`, `3.1 ms`, `1.20 s`.
pub(crate) fn span(ns: u64) -> String {
    let ns_f64 = ns as f64;
    match ns {
        0 => "0".into(),
        1..1_000_000 => format!("{:.0} µs", ns_f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns_f64 / 1e6),
        _ => format!("{:.2} s", ns_f64 / 1e9),
    }
}

/// A count with its thousands apart: `96,412`.
pub(crate) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 election`, `3 elections`.
pub(crate) fn many(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 999, 1000, 96_412, 1_234_567].map(count).join(" "),
            "0 999 1,000 96,412 1,234,567"
        );
        assert_eq!(many(1, "election"), "1 election");
        assert_eq!(many(0, "election"), "0 elections");
        assert_eq!(instant(4_102_400_000), "4.102 s");
        assert_eq!(
            [120_000, 3_140_000, 1_204_000_000].map(span).join(", "),
            "120 µs, 3.1 ms, 1.20 s"
        );
    }
}

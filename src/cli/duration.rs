//! Durations on the command line: `30s`, `500ms`, `2m`, or plain seconds.

use std::time::Duration;

/// Parses a duration.
///
/// # Errors
/// A sentence that says what is accepted.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds_per_unit = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit `{unit}`; write 30s, 500ms, 2m or 1h")),
    };
    let number: f64 = number.parse().map_err(|_| "write 30s, 500ms, 2m or 1h".to_owned())?;
    Duration::try_from_secs_f64(number * seconds_per_unit)
        .map_err(|_| "too long to wait for".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("30"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "s", "-1s", "1 day", "1..2s", "99999999999999999999h", "NaN"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

//! What must hold for every history, however hostile: written and read it is the same, cut
//! anywhere its beginning remains, and no bytes make a reader panic.

use proptest::collection::vec;
use proptest::prelude::*;
use rashomon_checker::history::{
    Format, ReadOptions, Recording, Value, Warning, read_bytes, read_bytes_with,
};

use crate::strategies::{
    SIGNIFICANT, config, damage, edn_history, edn_value, event, history, log_history, mutated,
    mutations, told, unplaced, value, written,
};

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn events_written_are_read_back(events in vec(event(), 1..6)) {
        let recording = read_bytes(&written(&events), "h", Some(Format::Jsonl)).unwrap();
        prop_assert_eq!(damage(&recording), &[]);
        prop_assert_eq!(unplaced(&recording.events), events);
        for (line, event) in (1..).zip(&recording.events) {
            prop_assert_eq!(event.line, line);
        }
    }

    #[test]
    fn values_survive_serde(value in value()) {
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }
}

proptest! {
    #![proptest_config(config(4_000))]

    /// serde_json is the oracle: the same texts are accepted, with the same values.
    #[test]
    fn json_is_what_serde_json_takes_for_it(value in value(), mutations in mutations()) {
        let plain = serde_json::to_vec(&value).unwrap();
        let bytes = mutated(plain, &mutations);
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        let array = format!(r#"[{{"process":0,"type":"ok","f":"f","value":{text}}}]"#);
        let ours = read_bytes(array.as_bytes(), "h", Some(Format::Json));
        match serde_json::from_str::<Value>(text) {
            // A text that closes our line's object and goes on is right in its own way.
            Err(error) if error.to_string().contains("trailing characters") => {}
            Err(error) if error.to_string().contains("out of range") => {}
            Err(error) => prop_assert!(ours.is_err(), "{:?} but {}", ours, error),
            Ok(theirs) => {
                let ours = &ours.unwrap().events[0].value;
                prop_assert!(is_rounded(&theirs, ours), "{} but {}", ours, theirs);
            }
        }
    }
}

/// Whether serde_json's value is ours, but for what it rounds.
fn is_rounded(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        // What serde_json rounds in its own way on reading, it prints exactly.
        (Value::Number(theirs), Value::Number(ours)) => {
            theirs == ours || theirs.parse::<f64>().ok() == serde_json::from_str(ours).ok()
        }
        // The integer -0 is no fraction to us.
        (Value::Number(theirs), Value::Int(0)) => &**theirs == "-0.0",
        (Value::List(theirs), Value::List(ours)) => {
            theirs.len() == ours.len()
                && theirs.iter().zip(ours.iter()).all(|(theirs, ours)| is_rounded(theirs, ours))
        }
        // Rounded keys may be sorted differently.
        (Value::Map(theirs), Value::Map(ours)) => {
            theirs.len() == ours.len()
                && theirs.iter().all(|theirs| {
                    let is_same = |ours: &(Value, Value)| {
                        is_rounded(&theirs.0, &ours.0) && is_rounded(&theirs.1, &ours.1)
                    };
                    ours.iter().any(is_same)
                })
        }
        _ => theirs == ours,
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn edn_is_read_as_it_was_meant(
        values in vec(edn_value(), 1..5),
        noise in vec(0..12u8, 1..40),
        shape in 0..3usize,
    ) {
        let maps = edn_history(&values, &noise);
        let text = [maps.clone(), format!("[{maps}]"), format!(" ({maps} ) ; end")][shape].clone();
        let recording = told(text.as_bytes(), Format::Edn).unwrap();
        let read: Vec<Value> = recording.events.iter().map(|event| event.value.clone()).collect();
        prop_assert_eq!(read, values);
    }
}

proptest! {
    #![proptest_config(config(200))]

    /// Whatever a killed recorder leaves is the beginning of what it would have left.
    #[test]
    fn a_cut_stream_is_a_beginning(events in vec(event(), 1..4), values in vec(edn_value(), 1..4)) {
        let one_line = |text: &String| !text.trim_end().contains('\n') || text.lines().count() == values.len();
        let edn = edn_history(&values, &[9]);
        let mut files = vec![(written(&events), Format::Jsonl)];
        if one_line(&edn) {
            files.push((edn.into_bytes(), Format::Edn));
        }
        for (bytes, format) in files {
            let whole = told(&bytes, format).unwrap();
            for end in 0..bytes.len() {
                check_cut(&whole, &bytes[..end], format)?;
            }
        }
    }

    /// A log's last number may have lost digits; whoever reads is warned.
    #[test]
    fn a_cut_log_is_a_beginning(values in vec((0..5000i64).prop_map(Value::Int), 1..6)) {
        let text = log_history(&values);
        let whole = told(text.as_bytes(), Format::JepsenLog).unwrap();
        for end in 0..text.len() {
            let Ok(cut) = told(&text.as_bytes()[..end], Format::JepsenLog) else {
                prop_assert!(!text[..end].contains('\n'));
                continue;
            };
            let lines = text[..end].matches('\n').count();
            prop_assert_eq!(&cut.events[..lines], &whole.events[..lines]);
            let is_at_line_end = text[..end].ends_with('\n');
            prop_assert_eq!(cut.warnings.is_empty(), is_at_line_end, "{:?}", &text[..end]);
        }
    }
}

fn check_cut(whole: &Recording, bytes: &[u8], format: Format) -> Result<(), TestCaseError> {
    let complete = bytes.iter().filter(|byte| **byte == b'\n').count();
    let rest = bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(cut) = told(bytes, format) else {
        prop_assert_eq!(complete, 0, "{:?}", String::from_utf8_lossy(bytes));
        return Ok(());
    };
    // The last line may lack nothing but its newline.
    let is_whole = cut.events.len() > complete;
    prop_assert_eq!(&cut.events[..], &whole.events[..complete + usize::from(is_whole)]);
    let warning = Warning::CutOff { line: complete as u32 + 1 };
    let expected = if rest.is_empty() || is_whole { vec![] } else { vec![warning] };
    prop_assert_eq!(damage(&cut), expected);
    Ok(())
}

fn check_any(bytes: &[u8]) -> Result<(), TestCaseError> {
    for format in std::iter::once(None).chain(Format::ALL.map(Some)) {
        for keyed in [None, Some(true)] {
            let result = read_bytes_with(bytes, "h", ReadOptions { format, keyed });
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            match result {
                Ok(recording) => prop_assert!(!recording.events.is_empty()),
                Err(error) => {
                    let line = error.position.map_or(1, |position| position.line);
                    prop_assert!((1..=lines).contains(&(line as usize)), "{}", error);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        check_any(&bytes)?;
    }

    #[test]
    fn no_significant_bytes_make_a_reader_panic(
        bytes in vec(proptest::sample::select(SIGNIFICANT), 0..60),
    ) {
        check_any(&bytes)?;
    }

    #[test]
    fn no_change_of_a_history_makes_a_reader_panic(
        events in vec(event(), 1..4),
        values in vec(edn_value(), 1..4),
        noise in vec(0..12u8, 1..20),
        mutations in mutations(),
    ) {
        for valid in [
            written(&events),
            edn_history(&values, &noise).into_bytes(),
            log_history(&values).into_bytes(),
        ] {
            check_any(&mutated(valid, &mutations))?;
        }
    }
}

/// A line without what names its place.
fn unplaced_line(line: &[u8]) -> Result<Recording, String> {
    match read_bytes(line, "h", Some(Format::Jsonl)) {
        Ok(recording) => Ok(recording),
        Err(error) => Err(error.problem.to_string()),
    }
}

proptest! {
    #![proptest_config(config(800))]

    /// There is a short way for lines as we write them; a space in front leads the long way.
    #[test]
    fn plain_lines_say_what_they_say_with_a_space(
        events in history(),
        mutations in mutations(),
    ) {
        for event in &events {
            let line = written(std::slice::from_ref(event));
            for line in [line.clone(), mutated(line, &mutations)] {
                let spaced = [b" ", &line[..]].concat();
                // What is inserted may be a newline.
                prop_assert_eq!(unplaced_line(&line), unplaced_line(&spaced));
            }
        }
    }
}

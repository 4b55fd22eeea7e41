//! Sizes as Kubernetes writes them, and as people read them.

use std::fmt;

use crate::excerpt::excerpt;

/// Suffixes that are powers of 1024.
const BINARY: [(&str, u64); 6] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
];
/// Suffixes that are powers of ten.
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
/// Digits that count, at most: with them every product below stays within 128 bits.
const DIGITS: usize = 20;

/// The bytes in a Kubernetes quantity such as `1Gi`, `1.5G`, `5e9` or `1024`, rounded up. A negative one is no size.
pub fn parse(text: &str) -> Result<u64, String> {
    read(text).ok_or_else(|| {
        format!(
            "{} is not a size of at most {}: write one as 500Mi, 1.5Gi or 1073741824",
            excerpt(text),
            Bytes(u64::MAX)
        )
    })
}

fn read(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let (binary, decimal) = unit(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return None;
    }
    let digits = format!("{whole}{}", fraction.trim_end_matches('0'));
    let places = i32::try_from(fraction.trim_end_matches('0').len()).ok()?;
    bytes(
        digits.trim_start_matches('0'),
        decimal.checked_sub(places)?,
        binary,
    )
}

/// What a suffix multiplies with: a power of 1024 as a number, and the exponent of a power of ten.
fn unit(suffix: &str) -> Option<(u128, i32)> {
    let binary = BINARY.iter().find(|(name, _)| *name == suffix);
    if let Some((_, unit)) = binary {
        return Some((u128::from(*unit), 0));
    }
    let decimal = DECIMAL.iter().find(|(name, _)| *name == suffix);
    if let Some((_, exponent)) = decimal {
        return Some((1, *exponent));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((1, exponent.parse().ok()?))
}

/// `digits` x 10^`exponent` x `unit`, rounded up.
fn bytes(digits: &str, exponent: i32, unit: u128) -> Option<u64> {
    if digits.is_empty() {
        return Some(0);
    }
    if digits.len() > DIGITS {
        return None;
    }
    let units = digits.parse::<u128>().ok()?.checked_mul(unit)?;
    let power = 10u128.checked_pow(exponent.unsigned_abs());
    let bytes = match power {
        Some(power) if exponent < 0 => units.div_ceil(power),
        Some(power) => units.checked_mul(power)?,
        // A divisor beyond 128 bits leaves less than one byte.
        None if exponent < 0 => 1,
        None => return None,
    };
    u64::try_from(bytes).ok()
}

/// A size as an error text shows it: `1 GiB (1073741824 bytes)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let mut units = BINARY.iter().rev();
        let Some((name, unit)) = units.find(|(_, unit)| *unit <= bytes) else {
            return write!(f, "{bytes} bytes");
        };
        let (whole, rest) = (bytes / unit, bytes % unit);
        if rest == 0 {
            write!(f, "{whole} {name}B ({bytes} bytes)")
        } else {
            // A tenth is cut, not rounded: 1.99 GiB is less than 2.
            write!(f, "{whole}.{} {name}B ({bytes} bytes)", rest * 10 / unit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, parse};
    use proptest::prelude::*;

    #[test]
    fn quantities_of_kubernetes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("+7", 7),
            ("1Ki", 1 << 10),
            ("1Gi", 1 << 30),
            ("0.5Gi", 1 << 29),
            (".5Gi", 1 << 29),
            ("2.Mi", 2 << 20),
            ("1.5G", 1_500_000_000),
            ("100M", 100_000_000),
            ("100k", 100_000),
            ("5e9", 5_000_000_000),
            ("5E9", 5_000_000_000),
            ("5e+3", 5000),
            ("5000e-3", 5),
            ("5E", 5_000_000_000_000_000_000),
            ("15Ei", 15 << 60),
            ("18446744073709551615", u64::MAX),
            ("0000000000000000000000000000001", 1),
            ("1.0000000000000000000000000000000", 1),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_part_of_a_byte_counts_as_one() {
        for (text, bytes) in [
            ("1500m", 2),
            ("1n", 1),
            ("0.1", 1),
            ("1.00000000000000001", 2),
            ("1e-400", 1),
            ("0.0000001Gi", 108),
            ("0e-9", 0),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            ".",
            "Gi",
            "-1",
            "-1Gi",
            "1 Gi",
            "1gi",
            "1GB",
            "1GiB",
            "1K",
            "1.2.3",
            "1..2",
            "1e",
            "1e1.5",
            "1Eie3",
            "0x10",
            "١",
            "16Ei",
            "1e20",
            "1e400",
            "1e99999999999",
            "18446744073709551616",
            "1,5Gi",
        ] {
            let refusal = parse(text).unwrap_err();
            assert!(refusal.contains("500Mi"), "{text}: {refusal}");
        }
    }

    #[test]
    fn sizes_are_shown_rounded_and_exact() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB (1024 bytes)"),
            (1 << 30, "1 GiB (1073741824 bytes)"),
            (3 << 29, "1.5 GiB (1610612736 bytes)"),
            ((1 << 31) - 1, "1.9 GiB (2147483647 bytes)"),
            (u64::MAX, "15.9 EiB (18446744073709551615 bytes)"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn a_number_of_bytes_is_itself(bytes: u64) {
            prop_assert_eq!(parse(&bytes.to_string()), Ok(bytes));
        }

        #[test]
        fn whole_units_multiply(count in 0u64..1 << 20, power in 0u32..5) {
            let binary = format!("{count}{}", ["", "Ki", "Mi", "Gi", "Ti"][power as usize]);
            prop_assert_eq!(parse(&binary), Ok(count << (10 * power)));
            let decimal = format!("{count}{}", ["", "k", "M", "G", "T"][power as usize]);
            prop_assert_eq!(parse(&decimal), Ok(count * 1000u64.pow(power)));
        }

        /// The result is the least number of bytes that is not smaller than the quantity.
        #[test]
        fn rounded_up_and_by_less_than_a_byte(whole in 0u64..1000, thousandths in 0u64..1000, power in 0u32..5) {
            let text = format!("{whole}.{thousandths:03}{}", ["", "Ki", "Mi", "Gi", "Ti"][power as usize]);
            let exact = (u128::from(whole) * 1000 + u128::from(thousandths)) << (10 * power);
            let scaled = u128::from(parse(&text).unwrap()) * 1000;
            prop_assert!(scaled >= exact && scaled < exact + 1000, "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*|[+-]?[0-9.]{0,40}[eE]?[-+0-9a-zA-Z]{0,12}") {
            let _ = parse(&text);
        }

        #[test]
        fn a_tenth_never_says_more_than_there_is(bytes: u64) {
            let shown = Bytes(bytes).to_string();
            let number = shown.split(' ').next().unwrap();
            let tenth = number.split_once('.').map_or(0, |(_, tenth)| tenth.parse().unwrap());
            prop_assert!(tenth < 10u32, "{}", shown);
        }
    }
}

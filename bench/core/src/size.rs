//! Sizes in bytes, as people write and read them.

/// Bytes of a size like `10MiB`; `None` if it is none or does not fit.
pub fn parse(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// `512B`, `96KiB`, `1.5MiB`: two digits are enough to see what takes the room.
pub fn shown(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB"];
    let power = (1..units.len()).rev().find(|power| bytes >> (10 * power) > 0).unwrap_or(0);
    let value = bytes as f64 / (1_u64 << (10 * power)) as f64;
    let decimals = usize::from(power > 0 && value < 9.95);
    format!("{value:.decimals$}{}", units[power])
}

#[cfg(test)]
mod tests {
    use super::{parse, shown};

    #[test]
    fn sizes_know_both_kinds_of_kilo_and_do_not_overflow() {
        assert_eq!(parse("1KiB"), Some(1024));
        assert_eq!(parse("1 kB"), Some(1000));
        assert_eq!(parse("99999999999GiB"), None);
        assert_eq!(parse("MiB"), None);
    }

    #[test]
    fn a_size_is_shown_with_two_digits_or_whole() {
        let told = [0, 1023, 1024, 1536, 98_304, 1 << 20, 5 << 30, u64::MAX].map(shown);
        assert_eq!(told, ["0B", "1023B", "1.0KiB", "1.5KiB", "96KiB", "1.0MiB", "5.0GiB", "17179869184GiB"]);
    }
}

//! What a series of runs says about the rate of failures: an upper bound, exact for independent runs.
//!
//! Clopper & Pearson 1934, one-sided: the largest rate at which so few failures would still be seen with a probability of 5 %. For no
//! failure in n runs it is 1 - 0.05^(1/n), which the rule of three approximates by 3/n.

/// How often the bound may be wrong: 5 %.
const RISK: f64 = 0.05;

/// The rate of failures that `failures` among `runs` leave possible, with 95 % confidence. 1 if nothing was run, or everything failed.
pub fn failure_rate_below(failures: u64, runs: u64) -> f64 {
    if failures >= runs {
        return 1.0;
    }
    // At the bound, so few failures are just as improbable as the risk; the probability falls as the rate grows.
    let (mut low, mut high) = (failures as f64 / runs as f64, 1.0);
    for _ in 0..64 {
        let rate = f64::midpoint(low, high);
        if probability_of_at_most(failures, runs, rate) > RISK { low = rate } else { high = rate }
    }
    high
}

/// The probability of at most so many failures among independent runs that each fail at this rate.
fn probability_of_at_most(failures: u64, runs: u64, rate: f64) -> f64 {
    if rate <= 0.0 || failures >= runs {
        return 1.0;
    }
    if rate >= 1.0 {
        return 0.0;
    }
    // From the largest term down: each is the one above it, divided by the ratio of neighbours.
    let (n, odds) = (runs as f64, rate / (1.0 - rate));
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in (1..=failures).rev() {
        let k = k as f64;
        term *= k / ((n - k + 1.0) * odds);
        sum += term;
        if term < sum * f64::EPSILON {
            break;
        }
    }
    let k = failures as f64;
    let largest = ln_choose(runs, failures) + k * rate.ln() + (n - k) * (-rate).ln_1p();
    (largest.exp() * sum).min(1.0)
}

/// The logarithm of the binomial coefficient.
fn ln_choose(n: u64, k: u64) -> f64 {
    let k = k.min(n - k);
    (1..=k).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum()
}

/// `below 5.9 %`: two digits, rounded up, because a bound that is rounded down is none.
pub fn in_words(rate: f64) -> String {
    let percent = rate * 100.0;
    if percent >= 100.0 {
        return "up to 100 %".to_owned();
    }
    // Enough decimals for two digits: 59, 5.9, 0.59, 0.0059.
    let decimals = (1 - percent.log10().floor() as i32).clamp(0, 9);
    let scale = 10_f64.powi(decimals);
    // What is a bound already within the precision of the computation is not rounded up once more.
    let rounded = (percent * scale - 1e-6).ceil() / scale;
    format!("below {rounded:.*} %", decimals.unsigned_abs() as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the definition alone: the sum over all outcomes with at most so many failures, each with its number of arrangements.
    fn brute_force(failures: u64, runs: u64, rate: f64) -> f64 {
        let choose = |k: u64| (1..=k).fold(1_u128, |c, i| c * u128::from(runs - k + i) / u128::from(i));
        let power = |base: f64, times: u64| (0..times).fold(1.0, |product, _| product * base);
        (0..=failures).map(|k| choose(k) as f64 * power(rate, k) * power(1.0 - rate, runs - k)).sum()
    }

    #[test]
    fn a_clean_series_has_the_bound_of_the_formula() {
        for runs in [1, 3, 50, 200, 1_000, 100_000, 10_000_000] {
            let exact = 1.0 - RISK.powf(1.0 / runs as f64);
            assert!((failure_rate_below(0, runs) - exact).abs() < 1e-9, "{runs}");
            assert!(failure_rate_below(0, runs) < 3.0 / runs as f64, "the rule of three is above it: {runs}");
        }
    }

    #[test]
    fn bounds_computed_elsewhere_with_big_integers_are_the_same() {
        for (failures, runs, bound) in [
            (0, 10, 0.258_865_550_9),
            (1, 10, 0.394_163_302_4),
            (2, 50, 0.120_614_155_4),
            (5, 100, 0.102_253_377_6),
            (50, 100, 0.586_378_285_4),
        ] {
            assert!((failure_rate_below(failures, runs) - bound).abs() < 1e-9, "{failures} of {runs}");
        }
        assert_eq!([failure_rate_below(0, 0), failure_rate_below(7, 7)], [1.0, 1.0]);
    }

    #[test]
    fn words_are_rounded_up() {
        let words = |failures, runs| in_words(failure_rate_below(failures, runs));
        assert_eq!(words(0, 50), "below 5.9 %");
        assert_eq!(words(0, 200), "below 1.5 %");
        assert_eq!(words(0, 100_000), "below 0.0030 %");
        assert_eq!(words(0, 1), "below 95 %");
        assert_eq!(words(9, 9), "up to 100 %");
        assert_eq!(in_words(0.059), "below 5.9 %");
    }

    proptest! {
        #[test]
        fn the_bound_is_where_so_few_failures_are_as_improbable_as_the_risk(runs in 1..90_u64, share in 0.0..1.0) {
            let failures = (share * runs as f64) as u64;
            let bound = failure_rate_below(failures, runs);
            prop_assert!(bound >= failures as f64 / runs as f64);
            if failures < runs {
                prop_assert!((brute_force(failures, runs, bound) - RISK).abs() < 1e-6, "{failures} of {runs}: {bound}");
            }
        }

        #[test]
        fn more_clean_runs_and_fewer_failures_lower_it(runs in 2..5_000_u64, failures in 0..50_u64) {
            let failures = failures.min(runs - 1);
            let bound = failure_rate_below(failures, runs);
            prop_assert!(failure_rate_below(failures, runs + 1) < bound + 1e-12);
            prop_assert!(failure_rate_below(failures + 1, runs) > bound - 1e-12);
        }
    }
}

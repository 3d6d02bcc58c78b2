//! A sensor's readings: what a peer asks to be delivered by itself.

use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use tokio::time::{Instant, sleep_until};

/// A temperature that walks at random, read at regular times.
#[derive(Debug)]
pub struct Readings {
    every: Option<Duration>,
    next: Instant,
    /// In tenths of a degree.
    temperature: i64,
}

impl Readings {
    /// From now on, so often; `None` for never.
    pub(super) fn new(every: Option<Duration>, rng: &mut Pcg64Mcg) -> Self {
        // Drawn only where it is wanted: a core's choices must not depend on an option that is off.
        let temperature = if every.is_some() { 180 + below(rng, 80) } else { 210 };
        let mut readings = Self { every: None, next: Instant::now(), temperature };
        readings.change(every);
        readings
    }

    /// From now on, so often; `None` for no more.
    pub(super) fn change(&mut self, every: Option<Duration>) {
        self.every = every;
        self.next = Instant::now() + every.unwrap_or_default();
    }

    /// Waits for the time of the next one; for ever when there is none.
    pub(super) async fn due(&self) {
        if self.every.is_none() {
            std::future::pending().await
        }
        sleep_until(self.next).await;
    }

    /// Takes it: `temperature=21.4`.
    pub(super) fn take(&mut self, rng: &mut Pcg64Mcg) -> String {
        let every = self.every.unwrap_or_default();
        // One that was missed while the node stood still is not made up for.
        self.next = (self.next + every).max(Instant::now());
        self.temperature = (self.temperature + below(rng, 7) - 3).clamp(-400, 600);
        let sign = if self.temperature < 0 { "-" } else { "" };
        let tenths = self.temperature.abs();
        format!("temperature={sign}{}.{}", tenths / 10, tenths % 10)
    }
}

/// 0 to `limit` - 1.
fn below(rng: &mut Pcg64Mcg, limit: u32) -> i64 {
    i64::from(rng.next_u32() % limit)
}

#[cfg(test)]
mod tests {
    use rand_pcg::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn temperatures_walk_by_small_steps_and_have_one_digit() {
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        let mut readings = Readings::new(Some(Duration::from_secs(1)), &mut rng);
        let mut before = readings.temperature;
        for _ in 0..100_000 {
            let reading = readings.take(&mut rng);
            let number: f64 = reading.strip_prefix("temperature=").unwrap().parse().unwrap();
            assert_eq!((number * 10.0).round() as i64, readings.temperature, "{reading}");
            assert!((readings.temperature - before).abs() <= 3);
            before = readings.temperature;
        }
    }
}

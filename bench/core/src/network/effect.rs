//! What a rule does, in people's words.

use std::fmt;
use std::time::Duration;

use super::{Effect, Filter, Loss, SeenBy};

impl fmt::Display for Effect {
    /// `delay 100ms +- 50ms, loss 10% in bursts of 3, rate 1mbit with a queue of 64KiB`; `cut` of a partition.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |time: Duration| humantime::format_duration(time).to_string();
        let mut words: Vec<String> = Vec::new();
        if self.cut {
            words.push("cut".into());
        }
        if let Some(delay) = self.delay {
            let jitter = if delay.jitter.is_zero() { String::new() } else { format!(" +- {}", shown(delay.jitter)) };
            words.push(format!("delay {}{jitter}", shown(delay.mean)));
        }
        if let Some(Loss { share, burst }) = self.loss {
            let bursts = if burst > 1.0 { format!(" in bursts of {burst}") } else { String::new() };
            words.push(format!("loss {}{bursts}", percent(share)));
        }
        for (word, share) in [("duplicate", self.duplicate), ("reorder", self.reorder)] {
            if share > 0.0 {
                words.push(format!("{word} {}", percent(share)));
            }
        }
        if let Some(corrupt) = self.corrupt {
            let whose = if corrupt.seen_by == SeenBy::Program { ", as the program sees it" } else { "" };
            words.push(format!("corrupt {}{whose}", percent(corrupt.share)));
        }
        if let Some(rate) = self.rate {
            words.push(format!(
                "rate {} with a queue of {}",
                bits(rate.bits_per_second),
                crate::size::shown(rate.queue_bytes)
            ));
        }
        if let Some(mtu) = self.mtu {
            words.push(format!("mtu {mtu}"));
        }
        if self.reset {
            words.push("reset".into());
        }
        f.write_str(&words.join(", "))
    }
}

impl fmt::Display for Filter {
    /// `udp port 5007 with 'HEARTBEAT'`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol.map(|protocol| protocol.word().to_owned());
        let port = self.port.map(|port| format!("port {port}"));
        let payload = self.payload.as_ref().map(|payload| format!("with '{}'", payload.as_str().escape_debug()));
        let words: Vec<String> = [protocol, port, payload].into_iter().flatten().collect();
        f.write_str(&words.join(" "))
    }
}

impl super::Protocol {
    /// The words of the language.
    pub const WORDS: &'static [&'static str] = &["tcp", "udp", "icmp"];

    /// The word of the language.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }

    /// The protocol that a word means.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Icmp].into_iter().find(|protocol| protocol.word() == word)
    }
}

/// `12.5%`
fn percent(share: f64) -> String {
    // Six digits are finer than any count of frames; more are the noise of binary fractions.
    format!("{}%", (share * 1e8).round() / 1e6)
}

/// `1mbit`, `1.5gbit`, `300bit`
fn bits(per_second: u64) -> String {
    let units = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000)];
    let fits = units.into_iter().find(|(_, unit)| per_second >= *unit);
    let (unit, size) = fits.unwrap_or(("bit", 1));
    format!("{}{unit}", per_second as f64 / size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Corrupt, Delay, Protocol, Rate};

    #[test]
    fn an_effect_tells_all_that_it_does() {
        let delay = Some(Delay { mean: Duration::from_millis(100), jitter: Duration::from_millis(50) });
        let loss = Some(Loss { share: 0.1, burst: 3.0 });
        let corrupt = Some(Corrupt { share: 0.001, seen_by: SeenBy::Program });
        let rate = Some(Rate { bits_per_second: 1_500_000, queue_bytes: 65_536 });
        let effect =
            Effect { delay, loss, corrupt, rate, duplicate: 0.07, reset: true, mtu: Some(600), ..Effect::default() };
        assert_eq!(
            effect.to_string(),
            "delay 100ms +- 50ms, loss 10% in bursts of 3, duplicate 7%, corrupt 0.1%, as the program sees it, \
             rate 1.5mbit with a queue of 64KiB, mtu 600, reset"
        );
        assert_eq!(Effect { cut: true, ..Effect::default() }.to_string(), "cut");
    }

    #[test]
    fn a_filter_tells_what_it_asks_for() {
        let payload = Some(regex::bytes::Regex::new("HEARTBEAT").unwrap());
        let filter = Filter { protocol: Some(Protocol::Udp), port: Some(5007), payload };
        assert_eq!(filter.to_string(), "udp port 5007 with 'HEARTBEAT'");
    }
}

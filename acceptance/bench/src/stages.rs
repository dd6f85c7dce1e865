//! What a call's time went to, as the node tells it in the `x-lambent-timing` header.

pub const HEADER: &str = "x-lambent-timing";

pub const NAMES: [&str; 5] = ["sandbox", "code", "runtime", "init", "handler"];

/// One call's stages in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stages {
    pub cold: bool,
    pub ms: [f64; 5],
}

impl Stages {
    /// Reads the header; what it doesn't name is zero.
    pub fn parse(header: &str) -> Self {
        let mut stages = Self::default();
        for (name, value) in header.split(';').filter_map(|part| part.trim().split_once('=')) {
            if name == "cold" {
                stages.cold = value == "1";
            } else if let Some(at) = NAMES.iter().position(|stage| *stage == name) {
                stages.ms[at] = value.parse().unwrap_or(0.0);
            }
        }
        stages
    }
}

/// Means over many calls. Means add up, which medians don't.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    calls: u32,
    total_ms: f64,
    stages_ms: [f64; 5],
}

impl Spent {
    pub fn add(&mut self, total_ms: f64, stages: &Stages) {
        self.calls += 1;
        self.total_ms += total_ms;
        for (sum, ms) in self.stages_ms.iter_mut().zip(stages.ms) {
            *sum += ms;
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.total_ms += other.total_ms;
        for (sum, ms) in self.stages_ms.iter_mut().zip(other.stages_ms) {
            *sum += ms;
        }
    }

    /// Each stage with its mean, and behind them what the caller waited for besides: the request's way in, the
    /// answer's way out, the decision.
    pub fn means(&self) -> Vec<(&'static str, f64)> {
        let calls = f64::from(self.calls.max(1));
        let named = NAMES.iter().copied().zip(self.stages_ms.map(|sum| sum / calls));
        let rest = (self.total_ms - self.stages_ms.iter().sum::<f64>()) / calls;
        named.chain([("rest", rest)]).collect()
    }

    pub fn text(&self) -> String {
        let parts = self.means().into_iter().filter(|(_, ms)| *ms >= 0.0005);
        let parts: Vec<String> = parts.map(|(name, ms)| format!("{name} {ms:.3}")).collect();
        format!("{} ms (mean of {})", parts.join(" + "), self.calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_and_the_rest_add_up_to_what_the_caller_waited() {
        let mut spent = Spent::default();
        spent.add(3.0, &Stages::parse("cold=1;sandbox=0.5;code=0.25;runtime=0.25;init=1;handler=0.5"));
        spent.add(1.0, &Stages::parse("cold=0;handler=0.5"));
        let means = spent.means();
        assert_eq!(means[0], ("sandbox", 0.25));
        assert_eq!(means[5], ("rest", 0.5));
        assert_eq!(means.iter().map(|(_, ms)| ms).sum::<f64>(), 2.0);
        assert!(Stages::parse("cold=1;sandbox=x").cold);
    }
}

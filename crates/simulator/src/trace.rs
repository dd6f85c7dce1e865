//! Functions and their calls, drawn from the published distributions.
//!
//! What the marginals do not carry is ours: a function is an application of its own (no chains of functions), how long
//! its calls take has nothing to do with how often it is called but for [`CONCURRENCY_MAX`], and the day's shape is a
//! sine.

use std::f64::consts::TAU;

use crate::distributions::*;
use crate::random::Random;

/// Ours: calls that a function has in flight at one time on average, at the most: this is one machine.
pub const CONCURRENCY_MAX: f64 = 4.0;

const DAY_SECS: f64 = 86_400.0;

#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub seed: u64,
    pub functions: usize,
    pub days: f64,
    /// Calls a second of the busiest function.
    pub rate_max: f64,
}

#[derive(Debug, Clone)]
pub struct Function {
    pub trigger: Trigger,
    /// Calls a second, over the days.
    pub rate: f64,
    /// Standard deviation of the gaps between calls by their mean.
    pub variation: f64,
    pub call_secs: f64,
    pub start_secs: f64,
    pub memory_bytes: u64,
    random: Random,
    next_secs: f64,
}

pub fn functions(shape: &Shape) -> Vec<Function> {
    let mut random = Random::new(shape.seed);
    (0..shape.functions).map(|_| Function::draw(shape, random.fork())).collect()
}

impl Function {
    fn draw(shape: &Shape, mut random: Random) -> Self {
        let trigger = random.pick(&TRIGGERS);
        let mut rate = rate_at(random.unit(), shape.rate_max);
        let mut variation = random.pick(&VARIATIONS);
        if trigger == Trigger::Timer {
            (rate, variation) = (1.0 / nearest_period(1.0 / rate), 0.0);
        }
        let call_secs = EXECUTION_SECS.draw(&mut random).clamp(0.001, 900.0).min(CONCURRENCY_MAX / rate);
        let init = LogNormal { mean_log: INIT_MEDIAN_SECS.ln(), sd_log: START_SD_LOG }.draw(&mut random);
        let memory_bytes = (MEMORY_MB.draw(&mut random).min(10_240.0) * 1e6) as u64;
        let next_secs = random.unit() / rate;
        let start_secs = PLATFORM_SECS + init.min(10.0);
        Self { trigger, rate, variation, call_secs, start_secs, memory_bytes, random, next_secs }
    }

    /// When the next call comes, in seconds from the beginning of the trace.
    pub fn next_call(&mut self) -> f64 {
        let now = self.next_secs;
        let random = &mut self.random;
        let gap = match self.variation {
            // A timer goes off when it was told to, or a little later.
            0.0 => 1.0,
            cv if cv < 1.0 => (1.0 + cv * normal(random)).max(0.01) / day_factor(now),
            cv if cv > 1.0 => hyper_exponential(cv, random) / day_factor(now),
            _ => exponential(random) / day_factor(now),
        };
        self.next_secs = now + gap / self.rate;
        if self.variation == 0.0 { now + self.random.unit() } else { now }
    }

    pub fn draw_call_secs(&mut self) -> f64 {
        self.call_secs * (CALL_SD_LOG * normal(&mut self.random)).exp()
    }
}

/// How many calls there are at this time, by what there are on average.
fn day_factor(secs: f64) -> f64 {
    let swing = (PEAK_TO_TROUGH - 1.0) / (PEAK_TO_TROUGH + 1.0);
    let weekend = if (secs / DAY_SECS) as u64 % 7 >= 5 { WEEKEND } else { 1.0 };
    weekend * (1.0 - swing * (TAU * secs / DAY_SECS).cos())
}

fn rate_at(p: f64, max: f64) -> f64 {
    let end = (1.0, max.max(RATE_QUANTILES[2].1));
    let points = [RATE_QUANTILES[0], RATE_QUANTILES[1], RATE_QUANTILES[2], end];
    let above = points.iter().position(|(share, _)| *share > p).unwrap_or(3).max(1);
    let ((p0, r0), (p1, r1)) = (points[above - 1], points[above]);
    (r0.ln() + (p - p0) / (p1 - p0) * (r1.ln() - r0.ln())).exp()
}

fn nearest_period(secs: f64) -> f64 {
    let distance = |period: &f64| (period.ln() - secs.ln()).abs();
    PERIODS.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(PERIODS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn popularity_is_as_published() {
        let shape = Shape { seed: 3, functions: 4_000, days: 1.0, rate_max: 10.0 };
        let functions = functions(&shape);
        let share =
            |below: f64| functions.iter().filter(|f| f.rate <= below).count() as f64 / functions.len() as f64;
        assert!((share(1.0 / 3_600.0) - 0.45).abs() < 0.04, "{}", share(1.0 / 3_600.0));
        assert!((share(1.0 / 60.0) - 0.81).abs() < 0.04, "{}", share(1.0 / 60.0));
        let often: f64 = functions.iter().filter(|f| f.rate > 1.0 / 60.0).map(|f| f.rate).sum();
        let all: f64 = functions.iter().map(|f| f.rate).sum();
        assert!(often / all > 0.98, "few functions have nearly all calls: {}", often / all);
        let timers = functions.iter().filter(|f| f.trigger == Trigger::Timer).count();
        assert!((timers as f64 / 4_000.0 - 0.16).abs() < 0.02);
    }

    #[test]
    fn a_function_is_called_as_often_as_it_says_and_the_same_for_the_same_seed() {
        let shape = Shape { seed: 5, functions: 60, days: 1.0, rate_max: 0.1 };
        let calls = |mut function: Function| -> Vec<f64> {
            std::iter::from_fn(|| Some(function.next_call())).take_while(|t| *t < 5.0 * DAY_SECS).collect()
        };
        for function in functions(&shape).into_iter().filter(|f| f.rate > 0.01 && f.variation <= 1.0) {
            let expected = function.rate * 5.0 * DAY_SECS;
            let found = calls(function.clone());
            assert!((found.len() as f64 / expected - 1.0).abs() < 0.2, "{} of {expected}", found.len());
            assert_eq!(found, calls(function));
        }
    }
}

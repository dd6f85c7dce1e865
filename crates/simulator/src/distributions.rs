//! Distributions, and the parameters that were published for them.
//!
//! - ATC'20: Shahrad et al., "Serverless in the Wild", on the traces of Azure Functions of 2019;
//! - EuroSys'25: Joosen et al., on cold starts in the regions of Huawei Cloud;
//! - SOSP'23: Sahraei et al., on XFaaS.
//!
//! What no publication gives is marked "ours" where it stands.

use crate::random::Random;

pub fn exponential(random: &mut Random) -> f64 {
    -random.unit().ln()
}

pub fn normal(random: &mut Random) -> f64 {
    let radius = (2.0 * exponential(random)).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

#[derive(Debug, Clone, Copy)]
pub struct LogNormal {
    pub mean_log: f64,
    pub sd_log: f64,
}

impl LogNormal {
    pub fn draw(self, random: &mut Random) -> f64 {
        (self.mean_log + self.sd_log * normal(random)).exp()
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Burr {
    pub c: f64,
    pub k: f64,
    pub scale: f64,
}

impl Burr {
    pub fn draw(self, random: &mut Random) -> f64 {
        self.quantile(random.unit())
    }

    pub fn quantile(self, p: f64) -> f64 {
        self.scale * ((1.0 - p).powf(-1.0 / self.k) - 1.0).powf(1.0 / self.c)
    }
}

/// A gap of mean 1 whose standard deviation is `cv`, which is above 1: many short ones, a few long ones, with
/// balanced means.
pub fn hyper_exponential(cv: f64, random: &mut Random) -> f64 {
    let square = cv * cv;
    let share = 0.5 * (1.0 + ((square - 1.0) / (square + 1.0)).sqrt());
    let rate = if random.unit() < share { 2.0 * share } else { 2.0 * (1.0 - share) };
    exponential(random) / rate
}

/// Average time of a function's calls in seconds: ATC'20's fit.
pub const EXECUTION_SECS: LogNormal = LogNormal { mean_log: -0.38, sd_log: 2.36 };

/// Memory of an application in MB: ATC'20's fit. One function is one application here.
pub const MEMORY_MB: Burr = Burr { c: 11.652, k: 0.221, scale: 107.083 };

/// How the starts of functions differ: EuroSys'25's fit (log-normal of mean 3.24 s and standard deviation 7.10 s) has
/// this standard deviation of the logarithm. Their median is that of a platform which makes sandboxes when it is
/// called; ours is [`INIT_MEDIAN_SECS`].
pub const START_SD_LOG: f64 = 1.3260;

/// Ours: the median of what a function's own init takes: about what the import of a popular Python package does.
pub const INIT_MEDIAN_SECS: f64 = 0.1;

/// Ours: what the platform adds to a function's own init where a booted runtime waits.
pub const PLATFORM_SECS: f64 = 0.005;

/// ATC'20: how often functions are called a second, by the share of functions that are called less often. The ends are
/// ours: once a week, and what the caller of the generator says.
pub const RATE_QUANTILES: [(f64, f64); 3] =
    [(0.0, 1.0 / 604_800.0), (0.45, 1.0 / 3_600.0), (0.81, 1.0 / 60.0)];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    Http,
    Queue,
    Event,
    Timer,
    Orchestration,
    Other,
}

/// ATC'20: the share of functions by what triggers them, in percent.
pub const TRIGGERS: [(Trigger, f64); 6] = [
    (Trigger::Http, 55.0),
    (Trigger::Queue, 15.0),
    (Trigger::Event, 2.0),
    (Trigger::Timer, 16.0),
    (Trigger::Orchestration, 7.0),
    (Trigger::Other, 5.0),
];

/// SOSP'23: calls at the peak of the day by those at its trough.
pub const PEAK_TO_TROUGH: f64 = 4.3;

/// Ours: calls of a day at the weekend by those of a working day.
pub const WEEKEND: f64 = 0.7;

/// Ours: coefficients of variation of the gaps of functions that no timer triggers. ATC'20 finds few near 0, many about
/// 1, and many far above.
pub const VARIATIONS: [(f64, f64); 5] = [(0.1, 10.0), (1.0, 45.0), (2.0, 20.0), (4.0, 15.0), (8.0, 10.0)];

/// Ours: what people tell timers, in seconds.
pub const PERIODS: [f64; 10] =
    [60.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 43_200.0, 86_400.0];

/// Ours: the calls of one function differ so little in time.
pub const CALL_SD_LOG: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;

    fn quantiles(mut draw: impl FnMut() -> f64, of: &[f64]) -> Vec<f64> {
        let mut drawn: Vec<f64> = (0..20_000).map(|_| draw()).collect();
        drawn.sort_by(f64::total_cmp);
        of.iter().map(|p| drawn[(p * 20_000.0) as usize]).collect()
    }

    fn near(found: &[f64], wanted: &[f64]) {
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found / wanted - 1.0).abs() < 0.12, "{found} is not {wanted}");
        }
    }

    #[test]
    fn the_published_fits_have_their_quantiles() {
        let mut random = Random::new(7);
        let of = [0.25, 0.5, 0.75, 0.9];
        near(&quantiles(|| EXECUTION_SECS.draw(&mut random), &of), &[0.139, 0.684, 3.36, 14.1]);
        near(&quantiles(|| MEMORY_MB.draw(&mut random), &of), &[117.0, 140.0, 183.0, 262.0]);
    }

    #[test]
    fn gaps_have_the_mean_and_the_variation_that_they_are_asked_for() {
        let mut random = Random::new(8);
        for cv in [2.0, 4.0] {
            let drawn: Vec<f64> = (0..200_000).map(|_| hyper_exponential(cv, &mut random)).collect();
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
            near(&[mean, variance.sqrt() / mean], &[1.0, cv]);
        }
    }
}

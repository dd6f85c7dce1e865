//! `lambent-simulate`: what keep-alive policies come to on generated traces.

use clap::Parser;
use lambent_simulator::drive;
use lambent_simulator::policies::ALL;
use lambent_simulator::table::{self, Row};
use lambent_simulator::trace::Shape;

/// Compare keep-alive policies on generated traces
#[derive(Debug, Parser)]
#[command(name = "lambent-simulate", max_term_width = 100)]
struct Args {
    /// The first trace's seed; the same seed is the same trace
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many traces, each with the next seed
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Functions of a trace
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    functions: u32,
    /// Days of a trace
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// Calls a second of the busiest function
    #[arg(long, value_name = "RATE", default_value_t = 1.0, value_parser = rate)]
    rate_max: f64,
    /// Memory for environments in MB; 0 is as much as they need
    #[arg(long, value_name = "MB", default_value_t = 0)]
    memory: u64,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

fn main() {
    let args = Args::parse();
    let memory_bytes = (args.memory > 0).then(|| args.memory.saturating_mul(1_000_000));
    let shape = |seed| Shape {
        seed,
        functions: args.functions as usize,
        days: f64::from(args.days),
        rate_max: args.rate_max,
    };
    let seeds = (0..args.seeds).map(|n| args.seed.wrapping_add(n));
    let rows: Vec<Row> = ALL
        .iter()
        .map(|contender| Row {
            name: contender.name,
            outcomes: seeds.clone().map(|seed| drive::run(&shape(seed), contender, memory_bytes)).collect(),
        })
        .collect();
    if args.json {
        println!("{}", table::json(&rows));
    } else {
        print!("{}", table::text(&rows));
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if rate > 0.0 && rate <= 1_000.0 {
        Ok(rate)
    } else {
        Err("expected more than 0, and at most 1000".to_owned())
    }
}

//! `bench`: what is measured, and how it is shown.

use std::fmt::Write;

use recado_client::bench::{self, BenchConfig, BenchReport, FanOutReport, Spread};
use recado_protocol::reply::MemberStatus;
use serde_json::{Value, json};

use crate::address::Endpoints;
use crate::clients::{connect_now, unless_stopped};
use crate::failure::Failure;
use crate::options::Settings;
use crate::roles::block_on;
use crate::shutdown::Shutdown;
use crate::{print, runfile};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Writes,
    Latency,
    Reads,
    FanOut,
    Proxy,
    FailOver,
}

impl What {
    const ALL: [(&str, What); 6] = [
        ("writes", What::Writes),
        ("latency", What::Latency),
        ("reads", What::Reads),
        ("fan-out", What::FanOut),
        ("proxy", What::Proxy),
        ("fail-over", What::FailOver),
    ];

    fn parse(word: &str) -> Result<What, Failure> {
        let found = What::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, what)| *what).ok_or_else(|| {
            let words = What::ALL.map(|(name, _)| name).join(", ");
            Failure::Usage(format!("--what {word}: there is no such measurement; use {words}"))
        })
    }
}

/// A result for people and for programs.
struct Shown {
    text: String,
    json: Value,
}

/// Measures.
///
/// # Errors
/// One sentence.
pub fn run(settings: &Settings, json: bool, shutdown: Shutdown) -> Result<(), Failure> {
    let what = What::parse(&settings.what)?;
    let shown = block_on(unless_stopped(shutdown, measure(settings, what)))?;
    print(&if json { format!("{}\n", shown.json) } else { shown.text });
    Ok(())
}

async fn measure(settings: &Settings, what: What) -> Result<Shown, Failure> {
    let at = Endpoints::to_connect(settings)?;
    if what != What::Proxy {
        connect_now(settings).await?.close().await;
    }
    let config = BenchConfig {
        clients: usize::from(match what {
            What::FanOut | What::Proxy => settings.publishers,
            _ => settings.clients,
        }),
        seconds: settings.seconds,
        warm_up_seconds: settings.warm_up,
        rounds: usize::from(settings.rounds),
        size_bytes: usize::try_from(settings.size).unwrap_or(usize::MAX),
        connections: settings.connections.map(usize::from),
        ..BenchConfig::new(at.fronts)
    };
    let subscribers = usize::from(settings.subscribers);
    match what {
        What::Writes => writes(&bench::run_writes(&config).await.map_err(Failure::failed)?),
        What::Latency => {
            let rate = u32::from(settings.rate);
            latency(&bench::run_latency(&config, rate).await.map_err(Failure::failed)?)
        }
        What::Reads => {
            let report = bench::run_reads(&config).await.map_err(Failure::failed)?;
            reads(&report)
        }
        What::FanOut => {
            let rounds = bench::run_fan_out(&config, &at.xpubs.into(), subscribers).await;
            fan_out(&rounds.map_err(Failure::failed)?)
        }
        What::Proxy => {
            let (Some(publishers), Some(listeners)) = (at.xsubs.first(), at.xpubs.first()) else {
                return Err(Failure::Usage("a proxy is needed; say where with --proxy".into()));
            };
            let rounds = bench::run_proxy(&config, publishers, listeners, subscribers).await;
            fan_out(&rounds.map_err(Failure::failed)?)
        }
        What::FailOver => fail_over(settings, &config).await,
    }
}

/// Nothing came of it: why.
fn nothing(what: &str, rounds: &[BenchReport]) -> Option<Failure> {
    if rounds.iter().any(|round| round.answers > 0) {
        return None;
    }
    let why = rounds.iter().find_map(|round| round.first_error.clone());
    let why = why.unwrap_or_else(|| "no answer came".into());
    Some(Failure::Failed(format!("nothing was {what}: {why}")))
}

fn spread(rounds: &[BenchReport], figure: impl Fn(&BenchReport) -> f64) -> Spread {
    Spread::of(rounds.iter().map(figure))
}

/// Rates and latencies, one for each round, as their medians; the longest of all is the longest.
fn closed_json(rounds: &[BenchReport], rate_key: &str) -> Value {
    let median = |figure: fn(&BenchReport) -> f64| spread(rounds, figure).median;
    let one = |round: &BenchReport| {
        json!({
            rate_key: round.per_s,
            "p50_ms": round.p50_ms,
            "p99_ms": round.p99_ms,
            "max_ms": round.max_ms,
            "longest_gap_ms": round.longest_gap_ms,
            "errors": round.errors,
        })
    };
    let mut shown = json!({
        rate_key: median(|round| round.per_s),
        "p50_ms": median(|round| round.p50_ms),
        "p99_ms": median(|round| round.p99_ms),
        "max_ms": spread(rounds, |round| round.max_ms).max,
        "errors": rounds.iter().map(|round| round.errors).sum::<u64>(),
    });
    if rounds.len() > 1 {
        shown["rounds"] = rounds.iter().map(one).collect();
    }
    shown
}

fn closed_text(rounds: &[BenchReport], what: &str) -> String {
    let per_s = spread(rounds, |round| round.per_s);
    let median = |figure: fn(&BenchReport) -> f64| spread(rounds, figure).median;
    let mut text = String::new();
    let answers: u64 = rounds.iter().map(|round| round.answers).sum();
    let seconds: f64 = rounds.iter().map(|round| round.seconds).sum();
    // Writing to a string can't fail, here and below.
    _ = writeln!(text, "{answers} {what} in {seconds:.1} s: {:.0} per s", per_s.median);
    if rounds.len() > 1 {
        let Spread { min, max, .. } = per_s;
        _ = writeln!(text, "median of {} rounds, {min:.0} to {max:.0} per s", rounds.len());
    }
    _ = writeln!(
        text,
        "latency: median {:.2} ms, 99 % within {:.2} ms, longest {:.2} ms",
        median(|round| round.p50_ms),
        median(|round| round.p99_ms),
        spread(rounds, |round| round.max_ms).max,
    );
    let gap = spread(rounds, |round| round.longest_gap_ms).max;
    _ = writeln!(text, "longest time without an answer: {gap:.0} ms");
    text + &errors_text(rounds.iter())
}

fn errors_text<'a>(rounds: impl Iterator<Item = &'a BenchReport> + Clone) -> String {
    let mut text = format!("errors: {}\n", rounds.clone().map(|round| round.errors).sum::<u64>());
    let mut rounds = rounds;
    if let Some(why) = rounds.find_map(|round| round.first_error.as_ref()) {
        _ = writeln!(text, "the first error: {why}");
    }
    text
}

fn writes(rounds: &[BenchReport]) -> Result<Shown, Failure> {
    if let Some(failure) = nothing("acknowledged", rounds) {
        return Err(failure);
    }
    let text = closed_text(rounds, "acknowledged");
    Ok(Shown { text, json: closed_json(rounds, "acks_per_s") })
}

fn reads(report: &bench::ReadReport) -> Result<Shown, Failure> {
    let failure = nothing("read", &report.history).or_else(|| nothing("read", &report.channels));
    if let Some(failure) = failure {
        return Err(failure);
    }
    let text = format!(
        "{}\n{}",
        closed_text(&report.history, "pages of history"),
        closed_text(&report.channels, "lists of channels")
    );
    let json = json!({
        "history": closed_json(&report.history, "pages_per_s"),
        "channels": closed_json(&report.channels, "lists_per_s"),
    });
    Ok(Shown { text, json })
}

fn latency(rounds: &[bench::LatencyReport]) -> Result<Shown, Failure> {
    let answers: Vec<BenchReport> = rounds.iter().map(|round| round.answers.clone()).collect();
    if let Some(failure) = nothing("acknowledged", &answers) {
        return Err(failure);
    }
    let sum = |count: fn(&bench::LatencyReport) -> u64| rounds.iter().map(count).sum::<u64>();
    let (due, behind) = (sum(|round| round.due), sum(|round| round.behind));
    let unanswered = sum(|round| round.unanswered);
    let median = |figure: fn(&BenchReport) -> f64| spread(&answers, figure).median;
    let [p50, p90, p99] =
        [median(|round| round.p50_ms), median(|round| round.p90_ms), median(|round| round.p99_ms)];
    let p999 = median(|round| round.p999_ms);
    let max = spread(&answers, |round| round.max_ms).max;
    let text = format!(
        "{due} due in {:.1} s, {behind} of them sent more than 1 ms late, {unanswered} unanswered\n\
         latency from when it was due: median {p50:.2} ms, 90 % within {p90:.2} ms, 99 % within \
         {p99:.2} ms, 99.9 % within {p999:.2} ms, longest {max:.2} ms\n{}",
        answers.iter().map(|round| round.seconds).sum::<f64>(),
        errors_text(answers.iter()),
    );
    let json = json!({
        "due": due,
        "behind": behind,
        "unanswered": unanswered,
        "acks_per_s": median(|round| round.per_s),
        "p50_ms": p50,
        "p90_ms": p90,
        "p99_ms": p99,
        "p999_ms": p999,
        "max_ms": max,
        "errors": answers.iter().map(|round| round.errors).sum::<u64>(),
    });
    Ok(Shown { text, json })
}

fn fan_out(rounds: &[FanOutReport]) -> Result<Shown, Failure> {
    let per_s = Spread::of(rounds.iter().map(|round| round.deliveries_per_s));
    if per_s.max == 0.0 {
        return Err(Failure::Failed(
            "nothing was delivered; look at the proxy's and the servers' logs".into(),
        ));
    }
    let sum = |count: fn(&FanOutReport) -> u64| rounds.iter().map(count).sum::<u64>();
    let (lost, repeated) = (sum(|round| round.lost), sum(|round| round.repeated));
    let published = sum(|round| round.published);
    let text = format!(
        "{} deliveries of {published} messages: {:.0} per s ({:.0} to {:.0})\n\
         lost: {lost}, repeated: {repeated}\n",
        sum(|round| round.deliveries),
        per_s.median,
        per_s.min,
        per_s.max,
    );
    let json = json!({
        "deliveries_per_s": per_s.median,
        "deliveries_per_s_min": per_s.min,
        "deliveries_per_s_max": per_s.max,
        "published": published,
        "lost": lost,
        "repeated": repeated,
    });
    Ok(Shown { text, json })
}

async fn fail_over(settings: &Settings, config: &BenchConfig) -> Result<Shown, Failure> {
    let Some(kills) = settings.kill_primary else {
        let rounds = bench::run_writes(config).await.map_err(Failure::failed)?;
        let mut shown = writes(&rounds)?;
        shown.json["longest_gap_ms"] = json!(spread(&rounds, |round| round.longest_gap_ms).max);
        return Ok(shown);
    };
    let kill = |primary: &MemberStatus| kill(settings, primary);
    let report = bench::run_fail_over(config, usize::from(kills), kill).await;
    let report = report.map_err(Failure::failed)?;
    let gap = Spread::of(report.gaps_ms.iter().copied());
    let text = format!(
        "the primary was killed {} times; longest time without an acknowledgement: median {:.0} \
         ms, {:.0} to {:.0} ms\n{} acknowledged\nerrors: {}\n",
        report.gaps_ms.len(),
        gap.median,
        gap.min,
        gap.max,
        report.acks,
        report.errors,
    );
    let json = json!({
        "gaps_ms": report.gaps_ms,
        "gap_p50_ms": gap.median,
        "gap_max_ms": gap.max,
        "acks": report.acks,
        "errors": report.errors,
        "first_error": report.first_error,
    });
    Ok(Shown { text, json })
}

/// Kills a primary that runs on this machine, as its run file says.
fn kill(settings: &Settings, primary: &MemberStatus) -> Result<(), String> {
    let data_dir = settings.data_dir();
    let here = runfile::read(data_dir, &primary.name).filter(|file| file.pid == primary.pid);
    let pid = here.and_then(|file| i32::try_from(file.pid).ok());
    let pid = pid.and_then(rustix::process::Pid::from_raw).ok_or_else(|| {
        format!(
            "the primary {} does not run under {}; give its --data-dir, or kill it yourself and \
             leave --kill-primary out",
            primary.name,
            data_dir.display()
        )
    })?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)
        .map_err(|why| format!("can't kill {}, process {}: {why}", primary.name, primary.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(per_s: f64) -> BenchReport {
        BenchReport {
            answers: 10,
            seconds: 1.0,
            per_s,
            p50_ms: per_s / 10.0,
            p90_ms: 0.0,
            p99_ms: 9.0,
            p999_ms: 0.0,
            max_ms: per_s,
            longest_gap_ms: 1.0,
            errors: 1,
            first_error: Some("late".into()),
        }
    }

    #[test]
    fn every_measurement_has_a_name_and_no_other_is_taken() {
        for (name, what) in What::ALL {
            assert_eq!(What::parse(name).unwrap(), what);
        }
        let failure = What::parse("weather").unwrap_err().to_string();
        assert!(failure.contains("weather") && failure.contains("fan-out"), "{failure}");
    }

    #[test]
    fn rounds_are_shown_as_median_and_spread() {
        let rounds = [round(30.0), round(10.0), round(20.0)];
        let shown = writes(&rounds).unwrap();
        assert_eq!(shown.json["acks_per_s"], 20.0);
        assert_eq!(shown.json["p50_ms"], 2.0);
        assert_eq!(shown.json["max_ms"], 30.0);
        assert_eq!(shown.json["errors"], 3);
        assert_eq!(shown.json["rounds"].as_array().unwrap().len(), 3);
        assert!(shown.text.contains("10 to 30 per s"), "{}", shown.text);
        assert!(shown.text.contains("the first error: late"), "{}", shown.text);
    }

    #[test]
    fn one_round_has_the_keys_that_programs_know() {
        let shown = writes(&[round(30.0)]).unwrap().json;
        let keys: Vec<_> = shown.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["acks_per_s", "p50_ms", "p99_ms", "max_ms", "errors"]);
    }

    #[test]
    fn nothing_measured_is_a_failure_with_its_reason() {
        let rounds = [BenchReport { answers: 0, ..round(0.0) }];
        let Err(failure) = writes(&rounds) else { panic!("nothing was taken for something") };
        assert_eq!(failure.to_string(), "nothing was acknowledged: late");
    }
}

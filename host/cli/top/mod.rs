//! `larder top`: a running host in a terminal, a line for each domain, once a second.
//!
//! It asks for `/v1/status` and makes rates of two answers. Where the output is no terminal, or `--once` says so, one reading
//! is printed as text, or as JSON, and that is all: for scripts.

mod figures;
mod screen;

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use serde_json::Value;
use tokio::time::Instant;

use self::figures::Figures;
use super::TopArgs;
use super::ask;
use super::out::say;
use super::remote::Remote;

const STEP: Duration = Duration::from_secs(1);
/// Readings whose totals the line at the top shows.
const HISTORY_MAX: usize = 240;

/// What is on the screen.
struct View {
    now: Option<Figures>,
    /// Answers per second, the newest last.
    history: VecDeque<u64>,
    sort: Sort,
    paused: bool,
    /// Why the host does not answer.
    lost: Option<String>,
}

/// What the lines are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Name,
    Traffic,
}

/// Shows it until `q` is pressed.
///
/// # Errors
/// The host does not answer at the start, or the terminal fails.
pub(crate) fn run(args: &TopArgs) -> Result<()> {
    let mut remote = Remote::new(&args.host)?;
    let first = ask::status(&mut remote)?;
    if args.once || args.host.json || !std::io::stdout().is_terminal() {
        return once(args, &first, &mut remote);
    }
    let mut terminal = ratatui::try_init().context("the terminal cannot be taken over; try --once")?;
    let outcome = watch(remote, first, &mut terminal);
    ratatui::restore();
    outcome
}

/// One reading, or with a second one a moment later the rates between them.
fn once(args: &TopArgs, first: &Value, remote: &mut Remote) -> Result<()> {
    if args.host.json {
        say(&format!("{}\n", serde_json::to_string_pretty(first)?))?;
        return Ok(());
    }
    std::thread::sleep(STEP);
    say(&screen::text(&Figures::between(first, &ask::status(remote)?)))?;
    Ok(())
}

fn watch(mut remote: Remote, first: Value, terminal: &mut ratatui::DefaultTerminal) -> Result<()> {
    let mut view = View { now: None, history: VecDeque::new(), sort: Sort::Traffic, paused: false, lost: None };
    let mut before = first;
    let mut due = Instant::now() + STEP;
    loop {
        terminal.draw(|frame| screen::draw(frame, &view)).context("the terminal cannot be drawn on")?;
        let left = due.saturating_duration_since(Instant::now());
        if event::poll(left).context("the keyboard cannot be read")? {
            if press(&mut view, &event::read().context("the keyboard cannot be read")?) {
                return Ok(());
            }
            continue;
        }
        due = Instant::now() + STEP;
        match ask::status(&mut remote) {
            Ok(now) => {
                let figures = Figures::between(&before, &now);
                if view.history.len() == HISTORY_MAX {
                    view.history.pop_front();
                }
                view.history.push_back(figures.total.per_second as u64);
                view.lost = None;
                if !view.paused {
                    view.now = Some(figures);
                }
                before = now;
            }
            Err(error) => view.lost = Some(format!("{error:#}")),
        }
    }
}

/// What a key does; whether it ends the view.
fn press(view: &mut View, event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    if key.kind != KeyEventKind::Press {
        return false;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
        KeyCode::Char('p') | KeyCode::Char(' ') => view.paused = !view.paused,
        KeyCode::Char('n') => view.sort = Sort::Name,
        KeyCode::Char('t') => view.sort = Sort::Traffic,
        _ => {}
    }
    false
}

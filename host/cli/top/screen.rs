//! Drawing figures: on a terminal, or as plain lines.

use std::fmt::Write as _;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as TextLine, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Row, Sparkline, Table, Wrap};

use super::figures::{Figures, Line};
use super::{Sort, View};

const ACCENT: Color = Color::Cyan;
const COLUMNS: [&str; 8] =
    ["domain", "answers/s", "hits", "errors/s", "half under", "99 % under", "generation", "faults"];
const WIDTHS: [u16; 8] = [20, 11, 8, 10, 11, 11, 11, 8];

/// Draws the view.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let troubles = view.now.as_ref().map_or(&[][..], |figures| &figures.troubles[..]);
    let parts = [
        Constraint::Length(6),
        Constraint::Length(troubles_height(troubles)),
        Constraint::Min(3),
        Constraint::Length(1),
    ];
    let [head, wrong, lines, foot] = Layout::vertical(parts).areas(frame.area());
    let text: Vec<TextLine<'_>> = troubles.iter().map(|it| TextLine::raw(it.as_str())).collect();
    frame.render_widget(Paragraph::new(text).style(Style::new().fg(Color::Red)).wrap(Wrap { trim: true }), wrong);
    match &view.now {
        Some(figures) => {
            draw_head(frame, head, figures, view);
            draw_domains(frame, lines, figures, view.sort);
        }
        None => frame.render_widget(Paragraph::new("reading …"), head),
    }
    let foot_line = match &view.lost {
        Some(lost) => TextLine::styled(format!("no answer: {lost}"), Style::new().fg(Color::Red)),
        None => {
            let paused = if view.paused { "paused; p goes on" } else { "p pauses" };
            TextLine::styled(format!("q ends · {paused} · t by traffic · n by name"), Style::new().fg(Color::DarkGray))
        }
    };
    frame.render_widget(Paragraph::new(foot_line), foot);
}

/// Two lines for each, as many as a small terminal can spare.
fn troubles_height(troubles: &[String]) -> u16 {
    u16::try_from(troubles.len() * 2).unwrap_or(u16::MAX).min(6)
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, figures: &Figures, view: &View) {
    let [left, right] = Layout::horizontal([Constraint::Percentage(45), Constraint::Percentage(55)]).areas(area);
    let [facts, memory] = Layout::vertical([Constraint::Length(4), Constraint::Length(2)]).areas(left);
    let strong = Style::new().add_modifier(Modifier::BOLD);
    let total = &figures.total;
    let text = vec![
        TextLine::from(vec![
            Span::styled(format!("larder {}", figures.version), strong.fg(ACCENT)),
            Span::raw(format!("   up {}", lasted(figures.uptime_ms))),
        ]),
        TextLine::from(format!(
            "{} answers/s   hits {}   errors {}/s",
            number(total.per_second),
            percent(total.hit_rate),
            number(total.errors_per_second)
        )),
        TextLine::from(format!("half under {}   99 % under {}", time(total.p50_ns), time(total.p99_ns))),
        TextLine::from(format!("{} RESP, {} HTTP connections   {} locks", figures.resp, figures.http, figures.locks)),
    ];
    frame.render_widget(Paragraph::new(text), facts);
    let label =
        format!("L1 {} of {}, {} entries", bytes(figures.l1_bytes), bytes(figures.l1_bytes_max), figures.l1_entries);
    let share = figures.l1_bytes as f64 / figures.l1_bytes_max.max(1) as f64;
    let gauge = Gauge::default().gauge_style(Style::new().fg(ACCENT)).ratio(share.clamp(0.0, 1.0)).label(label);
    frame.render_widget(gauge, memory);
    let history: Vec<u64> = view.history.iter().rev().take(usize::from(right.width)).rev().copied().collect();
    let block = Block::bordered().title("answers per second");
    frame.render_widget(Sparkline::default().block(block).style(Style::new().fg(ACCENT)).data(history), right);
}

fn draw_domains(frame: &mut Frame<'_>, area: Rect, figures: &Figures, sort: Sort) {
    let rows = sorted(figures, sort).into_iter().map(|line| {
        let style = if line.errors_per_second > 0.0 { Style::new().fg(Color::Red) } else { Style::new() };
        Row::new(cells(line)).style(style)
    });
    let header = Row::new(COLUMNS).style(Style::new().fg(Color::DarkGray));
    frame.render_widget(Table::new(rows, WIDTHS.map(Constraint::Length)).header(header), area);
}

/// The same as lines of text, for scripts and logs.
pub(super) fn text(figures: &Figures) -> String {
    let mut text = String::new();
    let lines = sorted(figures, Sort::Name).into_iter().chain([&figures.total]).map(cells);
    for cells in [COLUMNS.map(str::to_owned)].into_iter().chain(lines) {
        let line: String = cells
            .iter()
            .zip(WIDTHS)
            .map(|(cell, width)| format!("{cell:<width$} ", width = usize::from(width)))
            .collect();
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for trouble in &figures.troubles {
        let _ = writeln!(text, "! {trouble}");
    }
    text
}

fn sorted(figures: &Figures, sort: Sort) -> Vec<&Line> {
    let mut lines: Vec<&Line> = figures.domains.iter().collect();
    match sort {
        Sort::Name => lines.sort_by(|a, b| a.name.cmp(&b.name)),
        Sort::Traffic => lines.sort_by(|a, b| b.per_second.total_cmp(&a.per_second).then_with(|| a.name.cmp(&b.name))),
    }
    lines
}

fn cells(line: &Line) -> [String; 8] {
    [
        line.name.clone(),
        number(line.per_second),
        percent(line.hit_rate),
        number(line.errors_per_second),
        time(line.p50_ns),
        time(line.p99_ns),
        line.generation.to_string(),
        line.policy_faults.to_string(),
    ]
}

fn number(n: f64) -> String {
    match n {
        n if n >= 1e6 => format!("{:.2}M", n / 1e6),
        n if n >= 1e4 => format!("{:.1}k", n / 1e3),
        n if n >= 100.0 || n.fract() == 0.0 => format!("{n:.0}"),
        n => format!("{n:.1}"),
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn time(ns: Option<f64>) -> String {
    match ns {
        None => "-".to_owned(),
        Some(ns) if ns < 1e3 => format!("{ns:.0} ns"),
        Some(ns) if ns < 1e6 => format!("{:.1} us", ns / 1e3),
        Some(ns) if ns < 1e9 => format!("{:.1} ms", ns / 1e6),
        Some(ns) => format!("{:.1} s", ns / 1e9),
    }
}

fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = n as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

fn lasted(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    fn figures() -> Figures {
        let status = |at: u64, n: u64| {
            let domain = |name: &str, hits: u64| json!({ "domain": name, "generation": 3, "reads": { "l1-hit": hits, "miss": n }, "changes": {}, "latency": [0, n] });
            json!({
                "version": "9.9", "uptime_ms": at, "latency_bounds_ns": [1000], "connections": { "resp": 7, "http": 1 },
                "l1": { "bytes": 1536, "bytes_max": 4096, "entries": 2 }, "locks": 1,
                "domains": [domain("quiet", n), domain("busy", 3 * n)],
            })
        };
        Figures::between(&status(1000, 0), &status(2000, 100))
    }

    fn drawn(view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(100, 14)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let cells: Vec<&str> = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
        cells.chunks(100).map(|line| line.concat().trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn the_screen_says_what_happens() {
        let mut view = View {
            now: Some(figures()),
            history: VecDeque::from([1, 5, 9]),
            sort: Sort::Traffic,
            paused: false,
            lost: None,
        };
        let screen = drawn(&view);
        for part in ["larder 9.9", "600 answers/s", "66.7 %", "1.5 KiB of 4.0 KiB", "7 RESP", "q ends"] {
            assert!(screen.contains(part), "{part}:\n{screen}");
        }
        assert!(screen.find("busy") < screen.find("quiet"), "{screen}");
        view.sort = Sort::Name;
        view.lost = Some("gone".to_owned());
        let screen = drawn(&view);
        assert!(screen.contains("no answer: gone") && screen.contains("75.0 %"), "{screen}");
        view.now = None;
        assert!(drawn(&view).contains("reading"));
    }

    #[test]
    fn a_script_gets_lines() {
        let text = text(&figures());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].starts_with("busy") && lines[1].contains("400") && lines[3].starts_with("all"), "{text}");
    }
}

//! Pictures for the README, taken from the running program: `just screenshots` writes them.

use std::fmt::Write;
use std::path::Path;

use super::support::{Cluster, Terminal, chat};

const COLUMNS: u16 = 96;
const ROWS: u16 = 17;

/// Size of a cell, px.
const CELL_WIDTH: f32 = 8.4;
const CELL_HEIGHT: f32 = 18.0;
const FONT_PX: f32 = 14.0;
const MARGIN: f32 = 12.0;

const BACKGROUND: &str = "#1b1d23";
const FOREGROUND: &str = "#d7dae0";

/// The sixteen named colours.
const NAMED: [&str; 16] = [
    "#1b1d23", "#d16d6d", "#8fbf7f", "#d9b26a", "#6f9fd8", "#b58fd8", "#6fc0c0", "#b8bcc6",
    "#6b7080", "#ef8f8f", "#a8d898", "#f0cc88", "#8fbcf0", "#cfaaf0", "#8fdcdc", "#ffffff",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the pictures of the README: just screenshots"]
async fn screenshots() {
    let mut cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    for user in ["ana", "bob", "carla"] {
        client.login(user).await.unwrap();
    }
    for channel in ["general", "pão de queijo", "releases"] {
        client.create_channel(channel).await.unwrap();
    }
    let args = cluster.args(&["chat", "--user", "ana"]);
    let memory = cluster.dir().join("memory");
    let mut ana = Terminal::start(&args, &memory, (COLUMNS, ROWS), &[("COLORTERM", "truecolor")]);
    ana.wait_for("logged in as ana");
    for channel in ["releases", "\"pão de queijo\"", "general"] {
        ana.line(&format!("/join {channel}"));
        ana.wait_for(&format!("#{}", channel.trim_matches('"')));
    }
    for (from, channel, text) in [
        ("bob", "general", "good morning! ☕"),
        ("carla", "general", "bom dia 👋🏽"),
        ("bob", "general", "I killed server-1 an hour ago, did anybody notice?"),
        (
            "carla",
            "general",
            "No. The next one in rank took over; not a message is missing, I looked.",
        ),
        (
            "carla",
            "general",
            "你好 from the train, the tunnel cost me nothing either: what I missed came by itself",
        ),
    ] {
        client.publish(from, channel, text).await.unwrap();
    }
    ana.wait_for("came by itself");
    ana.line("And what I write says on how many disks it is 🙂");
    ana.wait_for("✓3/3");
    for (from, channel, text) in [
        ("bob", "pão de queijo", "straight out of the oven"),
        ("carla", "pão de queijo", "ana: shall we keep you some?"),
        ("bob", "releases", "0.1.0 is out"),
    ] {
        client.publish(from, channel, text).await.unwrap();
    }
    client.message("carla", "ana", "lunch?").await.unwrap();
    ana.wait_for("@carla");
    ana.wait_until("all counts are there", |screen| screen.matches("@1").count() == 2);
    ana.keys("On my way");
    ana.wait_for("› On my way");
    picture(&ana, "chat");

    ana.keys("\u{3}");
    cluster.kill("broker");
    ana.wait_for("is not connected");
    ana.line("Is the broker gone? This waits until it is back, and is sent once.");
    ana.wait_for("sent once. …");
    picture(&ana, "away");
}

/// Writes the screen as `docs/screenshots/<name>.svg`.
fn picture(terminal: &Terminal, name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name).with_extension("svg"), terminal.look(svg)).unwrap();
}

/// Cells that look alike and stand side by side.
#[derive(Default)]
struct Run {
    column: u16,
    columns: u16,
    text: String,
    style: Style,
}

#[derive(Clone, Default, PartialEq)]
struct Style {
    foreground: String,
    background: Option<String>,
    bold: bool,
}

fn svg(screen: &vt100::Screen) -> String {
    let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
    let width = f32::from(columns) * CELL_WIDTH + 2.0 * MARGIN;
    let height = f32::from(rows) * CELL_HEIGHT + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', \
         Menlo, Consolas, monospace\" font-size=\"{FONT_PX}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for row in 0..rows {
        for run in runs(screen, row, columns) {
            draw(&mut svg, row, &run);
        }
    }
    let (row, column) = screen.cursor_position();
    let (x, y) = place(row, column);
    _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"2\" height=\"{CELL_HEIGHT}\" fill=\"{FOREGROUND}\"/>"
    );
    svg + "</svg>\n"
}

fn runs(screen: &vt100::Screen, row: u16, columns: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column).filter(|cell| !cell.is_wide_continuation())
        else {
            continue;
        };
        let (text, style) = (cell.contents(), style(cell));
        let text = if text.is_empty() { " " } else { text };
        let plain = text.is_ascii();
        match runs.last_mut() {
            // A letter that may be drawn wider or narrower than a cell stands alone.
            Some(last) if plain && last.style == style && last.text.is_ascii() => {
                last.text.push_str(text);
                last.columns += 1;
            }
            _ => {
                let wide = if cell.is_wide() { 2 } else { 1 };
                runs.push(Run { column, columns: wide, text: text.to_owned(), style });
            }
        }
    }
    runs
}

fn style(cell: &vt100::Cell) -> Style {
    let mut foreground = colour(cell.fgcolor()).unwrap_or_else(|| FOREGROUND.to_owned());
    let mut background = colour(cell.bgcolor());
    if cell.inverse() {
        let behind = background.take().unwrap_or_else(|| BACKGROUND.to_owned());
        background = Some(std::mem::replace(&mut foreground, behind));
    }
    Style { foreground, background, bold: cell.bold() }
}

fn colour(colour: vt100::Color) -> Option<String> {
    match colour {
        vt100::Color::Default => None,
        vt100::Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
        vt100::Color::Idx(index @ 0..16) => Some(NAMED[usize::from(index)].to_owned()),
        vt100::Color::Idx(index @ 16..232) => {
            let step = |part: u8| if part == 0 { 0 } else { 55 + 40 * part };
            let index = index - 16;
            let [red, green, blue] = [index / 36, index / 6 % 6, index % 6].map(step);
            Some(format!("#{red:02x}{green:02x}{blue:02x}"))
        }
        vt100::Color::Idx(index) => {
            let grey = 8 + 10 * (index - 232);
            Some(format!("#{grey:02x}{grey:02x}{grey:02x}"))
        }
    }
}

/// The upper left corner of a cell.
fn place(row: u16, column: u16) -> (f32, f32) {
    (MARGIN + f32::from(column) * CELL_WIDTH, MARGIN + f32::from(row) * CELL_HEIGHT)
}

fn draw(svg: &mut String, row: u16, run: &Run) {
    let (x, y) = place(row, run.column);
    let width = f32::from(run.columns) * CELL_WIDTH;
    if let Some(background) = &run.style.background {
        _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{CELL_HEIGHT}\" \
             fill=\"{background}\"/>"
        );
    }
    if run.text.trim().is_empty() {
        return;
    }
    let text = run.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let bold = if run.style.bold { " font-weight=\"bold\"" } else { "" };
    let baseline = y + 13.5;
    _ = writeln!(
        svg,
        "<text xml:space=\"preserve\" x=\"{x:.1}\" y=\"{baseline:.1}\" textLength=\"{width:.1}\" \
         lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"{bold}>{text}</text>",
        run.style.foreground
    );
}

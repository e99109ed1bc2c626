//! The picture: for every phase one bar of CPU seconds and one of memory for each speaker. Draws what the lines say.

use e2e::figures::document;

use crate::report::Line;

const LABELS: f64 = 150.0;
const WIDTH: f64 = 330.0;
const ROW: f64 = 18.0;

/// Colours by speaker; ours stands out.
fn colour(subject: &str) -> &'static str {
    match subject {
        "sart" => "#c8401f",
        "bird" => "#2a6fb0",
        "frr" => "#6b8e3d",
        _ => "#8a8a8a",
    }
}

/// The whole document.
pub(crate) fn draw(lines: &[Line], scale: u32) -> String {
    let mut body = String::new();
    let (mut y, mut case) = (46.0, "");
    for line in lines.iter().filter(|line| line.runs > 0) {
        if line.case != case {
            case = &line.case;
            y += 8.0;
            body.push_str(&format!(
                "<text x=\"10\" y=\"{:.0}\" font-weight=\"bold\">{case}</text>\n",
                y + 12.0
            ));
        }
        body.push_str(&row(line, lines, y));
        y += ROW;
    }
    let (right, height) = (LABELS + 2.0 * WIDTH + 40.0, y + 14.0);
    let body = format!(
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"18\">{scale} prefixes: what each speaker needs (bars are relative to the most in their phase)</text>\n\
         <text x=\"{LABELS}\" y=\"38\">CPU seconds</text><text x=\"{:.0}\" y=\"38\">resident, MB</text>\n{body}",
        LABELS + WIDTH + 20.0
    );
    document(right, height, &body)
}

fn row(line: &Line, lines: &[Line], y: f64) -> String {
    let most = |figure: fn(&Line) -> f64| {
        lines.iter().filter(|other| other.case == line.case).map(figure).fold(f64::MIN_POSITIVE, f64::max)
    };
    let (cpu, memory) = (line.cpu_seconds, line.resident_mb);
    let bars = [
        (LABELS, cpu.median, cpu.high, most(|line| line.cpu_seconds.high)),
        (LABELS + WIDTH + 20.0, memory.median, memory.high, most(|line| line.resident_mb.high)),
    ];
    let mut text = format!("<text x=\"84\" y=\"{:.0}\">{}</text>", y + 12.0, line.subject);
    for (x, median, high, most) in bars {
        let scale = (WIDTH - 60.0) / most;
        text.push_str(&format!(
            "<rect x=\"{x:.0}\" y=\"{:.0}\" width=\"{:.1}\" height=\"12\" fill=\"{colour}\" opacity=\"0.35\"/>\
             <rect x=\"{x:.0}\" y=\"{:.0}\" width=\"{:.1}\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{median:.2}</text>",
            y + 2.0,
            high * scale,
            y + 2.0,
            median * scale,
            x + high * scale + 4.0,
            y + 12.0,
            colour = colour(&line.subject),
        ));
    }
    text.push('\n');
    text
}

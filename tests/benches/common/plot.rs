//! The plot: for each operation up to three bars on a logarithmic scale. It takes its colours from the reader's scheme.

const WIDTH: f64 = 920.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 64.0;
const BAR: f64 = 11.0;
const GAP: f64 = 12.0;
/// Where the scale begins, in milliseconds.
const LOWEST: f64 = 0.1;
/// The colours of the three, as the style names them.
const CLASSES: [&str; 3] = ["reference", "hawser", "floor"];

const STYLE: &str = "
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 } .small { font-size: 10.5px; fill: #57606a }
  .grid { stroke: #d0d7de } .reference { fill: #afb8c1 } .hawser { fill: #0969da } .floor { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d }
    .reference { fill: #656c76 } .hawser { fill: #4493f8 } .floor { fill: #3fb950 }
  }
";

/// What is drawn around the bars.
#[derive(Debug)]
pub struct Plot {
    /// Above everything.
    pub title: &'static str,
    /// For those who cannot see it.
    pub label: &'static str,
    /// The three whose times are drawn: the reference, ours, the floor.
    pub series: [&'static str; 3],
    /// The room for the operations' titles.
    pub left: f64,
    /// How far the scale goes, in powers of ten from a tenth of a millisecond.
    pub decades: i32,
}

/// One operation: its title, and its times in milliseconds in the order of [`Plot::series`].
#[derive(Debug)]
pub struct Row {
    /// Left of the bars.
    pub title: String,
    /// What was measured.
    pub times: [Option<f64>; 3],
}

impl Plot {
    /// The picture. An operation of which nothing was measured takes no room.
    pub fn svg(&self, rows: impl IntoIterator<Item = Row>) -> String {
        let mut y = TOP;
        let mut bars = String::new();
        for row in rows {
            if row.times.iter().any(Option::is_some) {
                let (text, height) = self.row(&row, y);
                bars += &text;
                y += height;
            }
        }
        let height = y + 28.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             aria-label=\"{}\">\n<style>{STYLE}</style>\n{}{}{bars}</svg>\n",
            self.label,
            self.legend(),
            self.grid(y)
        )
    }

    fn legend(&self) -> String {
        let left = self.left;
        let mut text = format!(
            "<text x=\"{left}\" y=\"20\" class=\"title\">{}</text>\n",
            self.title
        );
        let mut x = left;
        for (name, class) in self.series.into_iter().zip(CLASSES) {
            text +=
                &format!("<rect x=\"{x}\" y=\"32\" width=\"11\" height=\"11\" class=\"{class}\"/>");
            text += &format!("<text x=\"{}\" y=\"42\">{name}</text>\n", x + 17.0);
            x += 150.0;
        }
        text
    }

    fn grid(&self, bottom: f64) -> String {
        let mut text = String::new();
        for decade in 0..=self.decades {
            let value = LOWEST * 10_f64.powi(decade);
            let x = self.position(value);
            text += &format!(
                "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{bottom}\" class=\"grid\"/>",
                TOP - 8.0
            );
            text += &format!(
                "<text x=\"{x:.1}\" y=\"{}\" class=\"small\" text-anchor=\"middle\">{value}</text>\n",
                bottom + 15.0
            );
        }
        text
    }

    /// The bars of an operation, and how much room they take.
    fn row(&self, row: &Row, top: f64) -> (String, f64) {
        let left = self.left;
        let mut y = top;
        let mut text = String::new();
        for (time, class) in row.times.into_iter().zip(CLASSES) {
            let Some(time) = time else {
                continue;
            };
            let end = self.position(time);
            let width = (end - left).max(1.0);
            text += &format!(
                "<rect x=\"{left}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" class=\"{class}\"/>"
            );
            text += &format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" class=\"small\">{time:.1}</text>\n",
                end + 5.0,
                y + BAR - 1.5
            );
            y += BAR + 1.0;
        }
        let middle = f64::midpoint(top, y) + 3.5;
        text += &format!(
            "<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>\n",
            left - 10.0,
            row.title
        );
        (text, y - top + GAP)
    }

    fn position(&self, time: f64) -> f64 {
        let share = (time / LOWEST).log10() / f64::from(self.decades);
        self.left + share.clamp(0.0, 1.0) * (WIDTH - self.left - RIGHT)
    }
}

//! Many measurements of one thing.

/// The numbers of one series, in order of size; there is at least one.
#[derive(Debug)]
pub struct Series {
    sorted: Vec<f64>,
}

impl Series {
    /// The series of these numbers.
    pub fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        Self { sorted: numbers }
    }

    /// The number below which this share of the series lies, linearly between neighbours.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position in a series of some hundred numbers"
    )]
    pub fn quantile(&self, share: f64) -> f64 {
        let position = share * self.sorted.len().saturating_sub(1) as f64;
        let at = |index: usize| self.sorted.get(index).copied().unwrap_or(f64::NAN);
        let (low, high) = (at(position.floor() as usize), at(position.ceil() as usize));
        low + (high - low) * position.fract()
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.sorted.len()
    }
}

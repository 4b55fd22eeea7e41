//! Fair turns: in each round everyone once, and nobody always behind the same one.

/// The order of `count` participants in a round. The start moves by one each round, so that everyone is first equally
/// often; the direction changes after each time around, so that nobody always comes behind the same one.
pub fn order(round: usize, count: usize) -> Vec<usize> {
    let start = round % count;
    let turn = |step: usize| (start + step) % count;
    let mut order: Vec<_> = (0..count).map(turn).collect();
    if (round / count) % 2 == 1 {
        order.reverse();
    }
    order
}

//! What the benches have in common: the command line, series of numbers, the machine, tables and the plot.

pub mod machine;
pub mod options;
pub mod plot;
pub mod series;
pub mod table;

//! The executable `hawser-image`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hawser_image::main()
}

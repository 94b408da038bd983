//! Errors of usage, in one line as all others.

use clap::error::ErrorKind;

/// Whether this is the help that stands in for a command that is missing.
pub(crate) fn is_help(message: &clap::Error) -> bool {
    message.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// What clap says in several lines, without the usage and the pointer to `--help`.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty());
    let mut line = String::new();
    for part in said {
        if !line.is_empty() {
            line.push_str(if part.starts_with("tip:") || part.starts_with('[') {
                "; "
            } else {
                " "
            });
        }
        line.push_str(part);
    }
    line
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    fn said(arguments: &str) -> String {
        let arguments = std::iter::once("emma").chain(arguments.split(' '));
        one_line(&Cli::try_parse_from(arguments).unwrap_err())
    }

    #[test]
    fn usage_errors_are_one_line() {
        assert_eq!(
            said("score"),
            "error: the following required arguments were not provided: --model <FILE> --data <FILE>"
        );
        assert_eq!(
            said("score --modle a"),
            "error: unexpected argument '--modle' found; tip: a similar argument exists: '--model'"
        );
        assert_eq!(
            said("experiment3 --threshold-rule max_f"),
            "error: invalid value 'max_f' for '--threshold-rule <THRESHOLD_RULE>'; \
             [possible values: max_f1, roc_corner]; tip: a similar value exists: 'max_f1'"
        );
        assert_eq!(
            said("experiment3 --seeds 0"),
            "error: invalid value '0' for '--seeds <K>': expected a whole number from 1 to 100000"
        );
    }
}

//! The part of a request that comes in `CNI_*` variables (ENV-1 to ENV-7).
//!
//! The required sets are the specification's. The reference also demands `CNI_PATH` everywhere;
//! here it is only missed when a delegate has to be found, or by GC, for which it is required.

use crate::Error;
use cni::{Attachment, CniArgs, NameError, Verb, excerpt};
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

const COMMAND: &str = "CNI_COMMAND";
const CONTAINER_ID: &str = "CNI_CONTAINERID";
const NETNS: &str = "CNI_NETNS";
const IFNAME: &str = "CNI_IFNAME";
const ARGS: &str = "CNI_ARGS";
const PATH: &str = "CNI_PATH";
const NETNS_OVERRIDE: &str = "CNI_NETNS_OVERRIDE";

/// The variables as they are; an empty one counts as not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `CNI_COMMAND`.
    pub command: Option<OsString>,
    /// `CNI_CONTAINERID`.
    pub container_id: Option<OsString>,
    /// `CNI_NETNS`.
    pub netns: Option<OsString>,
    /// `CNI_IFNAME`.
    pub ifname: Option<OsString>,
    /// `CNI_ARGS`.
    pub args: Option<OsString>,
    /// `CNI_PATH`.
    pub path: Option<OsString>,
    /// `CNI_NETNS_OVERRIDE`.
    pub netns_override: Option<OsString>,
}

impl Environment {
    /// What this process was given.
    pub fn of_process() -> Self {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            command: variable(COMMAND),
            container_id: variable(CONTAINER_ID),
            netns: variable(NETNS),
            ifname: variable(IFNAME),
            args: variable(ARGS),
            path: variable(PATH),
            netns_override: variable(NETNS_OVERRIDE),
        }
    }

    /// Whether no runtime had a hand in this: somebody started the plugin to see what it is.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn has(&self, name: &str) -> bool {
        let value = match name {
            CONTAINER_ID => &self.container_id,
            NETNS => &self.netns,
            IFNAME => &self.ifname,
            PATH => &self.path,
            _ => return false,
        };
        value.is_some()
    }
}

/// What is asked for, about which attachment: the variables, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub(crate) verb: Verb,
    pub(crate) attachment: Option<Attachment>,
    pub(crate) netns: Option<PathBuf>,
    pub(crate) may_be_own_netns: bool,
    pub(crate) args: CniArgs,
    pub(crate) path: Vec<PathBuf>,
}

impl Call {
    /// Checks the variables, and names all that are missing at once.
    pub fn read(environment: &Environment) -> Result<Self, Error> {
        let verb = verb(environment)?;
        require(verb, environment)?;
        let path = environment.path.as_deref().map(folders);
        Ok(Self {
            verb,
            attachment: attachment(verb, environment)?,
            netns: netns(verb, environment),
            may_be_own_netns: environment.netns_override.as_deref().is_some_and(is_yes),
            args: args(verb, environment)?,
            path: path.unwrap_or_default(),
        })
    }
}

fn verb(environment: &Environment) -> Result<Verb, Error> {
    let command = environment
        .command
        .as_deref()
        .ok_or(Error::MissingCommand)?;
    let command = command.to_string_lossy();
    command
        .parse()
        .map_err(|_| Error::UnknownCommand(excerpt(&command)))
}

/// The variables that the specification has the runtime set (ENV-7).
const fn needed(verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Add | Verb::Check => &[CONTAINER_ID, NETNS, IFNAME],
        Verb::Del => &[CONTAINER_ID, IFNAME],
        Verb::Gc => &[PATH],
        Verb::Status | Verb::Version => &[],
    }
}

fn require(verb: Verb, environment: &Environment) -> Result<(), Error> {
    let needed = needed(verb);
    let names = needed.iter().copied();
    let missing: Vec<_> = names.filter(|name| !environment.has(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::MissingVariables {
        verb,
        missing,
        needed,
    })
}

const fn is_about_one_attachment(verb: Verb) -> bool {
    matches!(verb, Verb::Add | Verb::Del | Verb::Check)
}

fn attachment(verb: Verb, environment: &Environment) -> Result<Option<Attachment>, Error> {
    if !is_about_one_attachment(verb) {
        return Ok(None);
    }
    Ok(Some(Attachment {
        container_id: name(CONTAINER_ID, environment.container_id.as_deref())?,
        ifname: name(IFNAME, environment.ifname.as_deref())?,
    }))
}

fn name<T: FromStr<Err = NameError>>(
    variable: &'static str,
    value: Option<&OsStr>,
) -> Result<T, Error> {
    let text = value
        .unwrap_or_default()
        .to_str()
        .ok_or(Error::NotText(variable))?;
    text.parse().map_err(|why| Error::Name {
        variable,
        found: excerpt(text),
        why,
    })
}

fn netns(verb: Verb, environment: &Environment) -> Option<PathBuf> {
    let netns = environment.netns.as_ref().map(PathBuf::from);
    netns.filter(|_| is_about_one_attachment(verb))
}

/// Nothing in the arguments keeps a verb from removing things; a key that nobody knows is refused
/// while nothing is made yet.
fn args(verb: Verb, environment: &Environment) -> Result<CniArgs, Error> {
    let Some(value) = environment.args.as_deref() else {
        return Ok(CniArgs::default());
    };
    if !matches!(verb, Verb::Add | Verb::Check) {
        return Ok(CniArgs::parse_lenient(&value.to_string_lossy()));
    }
    let args = CniArgs::parse(value.to_str().ok_or(Error::NotText(ARGS))?)?;
    if verb == Verb::Add {
        args.reject_unknown()?;
    }
    Ok(args)
}

fn folders(path: &OsStr) -> Vec<PathBuf> {
    env::split_paths(path)
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect()
}

fn is_yes(value: &OsStr) -> bool {
    value == "1" || value.eq_ignore_ascii_case("true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cni::Code;
    use std::os::unix::ffi::OsStrExt;

    fn set(variables: &[(&str, &str)]) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in variables {
            let place = match *name {
                COMMAND => &mut environment.command,
                CONTAINER_ID => &mut environment.container_id,
                NETNS => &mut environment.netns,
                IFNAME => &mut environment.ifname,
                ARGS => &mut environment.args,
                PATH => &mut environment.path,
                other => panic!("{other}"),
            };
            *place = Some(value.into());
        }
        environment
    }

    fn whole(verb: &str) -> Environment {
        set(&[
            (COMMAND, verb),
            (CONTAINER_ID, "pod-1"),
            (NETNS, "/run/netns/a"),
            (IFNAME, "eth0"),
            (PATH, "/opt/cni/bin:/usr/lib/cni"),
        ])
    }

    #[test]
    fn a_call_has_what_its_verb_is_about() {
        for (verb, one_attachment) in [
            ("ADD", true),
            ("DEL", true),
            ("CHECK", true),
            ("GC", false),
            ("STATUS", false),
            ("VERSION", false),
        ] {
            let call = Call::read(&whole(verb)).unwrap();
            assert_eq!(call.verb.as_str(), verb);
            assert_eq!(call.attachment.is_some(), one_attachment, "{verb}");
            assert_eq!(call.netns.is_some(), one_attachment, "{verb}");
            assert_eq!(
                call.path,
                [PathBuf::from("/opt/cni/bin"), "/usr/lib/cni".into()]
            );
        }
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        for (variables, text) in [
            (
                &[(COMMAND, "ADD")][..],
                "missing in the environment: CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME; \
                 ADD needs CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME",
            ),
            (
                &[(COMMAND, "CHECK"), (CONTAINER_ID, "a"), (IFNAME, "e/0")],
                "missing in the environment: CNI_NETNS; \
                 CHECK needs CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME",
            ),
            (
                &[(COMMAND, "DEL"), (NETNS, "/x")],
                "missing in the environment: CNI_CONTAINERID, CNI_IFNAME; \
                 DEL needs CNI_CONTAINERID, CNI_IFNAME",
            ),
            (
                &[(COMMAND, "GC")],
                "missing in the environment: CNI_PATH; GC needs CNI_PATH",
            ),
            (
                &[(PATH, "/x")],
                "CNI_COMMAND is missing in the environment: wanted ADD, DEL, CHECK, GC, STATUS \
                 or VERSION",
            ),
            (
                &[(COMMAND, "add")],
                "CNI_COMMAND is \"add\", which is not one of ADD, DEL, CHECK, GC, STATUS, VERSION",
            ),
        ] {
            let error = Call::read(&set(variables)).unwrap_err();
            assert_eq!(error.code(), Code::InvalidEnvironment, "{text}");
            assert_eq!(error.to_string(), text);
        }
        for verb in ["STATUS", "VERSION"] {
            assert!(Call::read(&set(&[(COMMAND, verb)])).is_ok(), "{verb}");
        }
        let without_netns = set(&[(COMMAND, "DEL"), (CONTAINER_ID, "a"), (IFNAME, "eth0")]);
        assert_eq!(Call::read(&without_netns).unwrap().netns, None);
    }

    #[test]
    fn names_that_cannot_be_used_are_named_with_the_reason() {
        for (id, ifname, text) in [
            (
                "../a",
                "eth0",
                r#"CNI_CONTAINERID "../a" cannot be used: it starts with '.' instead of a letter or digit"#,
            ),
            (
                "a b",
                "eth0",
                r#"CNI_CONTAINERID "a b" cannot be used: it contains ' '"#,
            ),
            (
                "a",
                "a-long-interface",
                r#"CNI_IFNAME "a-long-interface" cannot be used: it is longer than 15 bytes"#,
            ),
            (
                "a",
                "..",
                r#"CNI_IFNAME ".." cannot be used: it is a directory's own name"#,
            ),
        ] {
            for verb in ["ADD", "DEL", "CHECK"] {
                let mut environment = whole(verb);
                environment.container_id = Some(id.into());
                environment.ifname = Some(ifname.into());
                let error = Call::read(&environment).unwrap_err();
                assert_eq!(error.code(), Code::InvalidEnvironment);
                assert_eq!(error.to_string(), text);
            }
        }
        let mut environment = whole("ADD");
        environment.ifname = Some(OsStr::from_bytes(b"eth\xff").to_owned());
        let error = Call::read(&environment).unwrap_err();
        assert_eq!(error.to_string(), "CNI_IFNAME is not UTF-8");
    }

    #[test]
    fn bad_arguments_stop_only_what_makes_something() {
        let read = |verb, args: &str| {
            let mut environment = whole(verb);
            environment.args = Some(args.into());
            Call::read(&environment).map_err(|error| error.code())
        };
        let refused = Err(Code::InvalidEnvironment);
        for (verb, malformed, unknown) in [
            ("ADD", true, true),
            ("CHECK", true, false),
            ("DEL", false, false),
            ("GC", false, false),
        ] {
            assert_eq!(read(verb, "IP=10.1.0.7;oops").is_err(), malformed, "{verb}");
            assert_eq!(read(verb, "IP=10.1.0.7;A=b").is_err(), unknown, "{verb}");
            let call = read(verb, "IP=10.1.0.7;MAC=02:00:00:00:00:07").unwrap();
            assert_eq!(call.args.get("IP"), Some("10.1.0.7"));
        }
        assert_eq!(read("ADD", "A=b"), refused);
        assert_eq!(
            read("DEL", "oops;IP=10.1.0.7").unwrap().args.get("IP"),
            Some("10.1.0.7")
        );
    }

    #[test]
    fn an_override_is_one_or_true() {
        for (value, yes) in [
            ("1", true),
            ("TRUE", true),
            ("True", true),
            ("0", false),
            ("yes", false),
        ] {
            assert_eq!(is_yes(OsStr::new(value)), yes, "{value}");
        }
    }
}

//! `resolvConf`: the DNS settings of a file in the format of resolv.conf(5), for the result. Pure.

use cni::Dns;

/// What the text of such a file asks for. Lines that say nothing to a pod are skipped, as resolvers do.
pub fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(keyword) = words.next() else {
            continue;
        };
        let mut values = words.map(str::to_owned).peekable();
        if keyword.starts_with(['#', ';']) || values.peek().is_none() {
            continue;
        }
        match keyword {
            "nameserver" => dns.nameservers.extend(values.next()),
            "domain" => dns.domain = values.next(),
            "search" => dns.search.extend(values),
            "options" => dns.options.extend(values),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_read() {
        let dns = parse(
            "# a comment\n; another\n\n nameserver 10.0.0.1 # first word only\nnameserver\tfd00::1\n\
             domain example.org\nsearch a.example.org b.example.org\nsearch c.example.org\n\
             options ndots:5 edns0\nnameserver\nsortlist 10.0.0.0\n#nameserver 1.1.1.1\n",
        );
        assert_eq!(dns.nameservers, ["10.0.0.1", "fd00::1"]);
        assert_eq!(dns.domain.as_deref(), Some("example.org"));
        assert_eq!(
            dns.search,
            ["a.example.org", "b.example.org", "c.example.org"]
        );
        assert_eq!(dns.options, ["ndots:5", "edns0"]);
    }

    #[test]
    fn the_last_domain_wins_and_nothing_is_nothing() {
        assert_eq!(parse("domain a\ndomain b\n").domain.as_deref(), Some("b"));
        assert_eq!(parse(""), Dns::default());
    }
}

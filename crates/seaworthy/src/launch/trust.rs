//! Tells servers of the uvicorn family, and gunicorn, to believe our forwarding headers.
//!
//! On a unix socket the peer has no address to compare, so the only word that works is `*`; nobody but Seaworthy reaches
//! that socket. With `*` these servers take the leftmost entry of X-Forwarded-For for the client, so what Seaworthy sends
//! there must hold vouched entries only. On loopback TCP they walk from the right past the addresses listed here, so the
//! proxies that Seaworthy itself trusts are listed too.

use std::net::{IpAddr, Ipv4Addr};

use seaworthy_core::address::Address;

use super::call::Call;
use super::edit::Edit;

/// The variable that uvicorn and gunicorn read.
pub(super) const VARIABLE: &str = "FORWARDED_ALLOW_IPS";
const OPTION: &[&str] = &["--forwarded-allow-ips"];

/// Widens whatever is set so that Seaworthy is believed; `own_variable` is the server's own, which beats the shared one.
///
/// With `always_option` the option is given even where only the variable was set, for servers whose config file beats the
/// variable.
pub(super) fn forwarded(
    call: &Call<'_>,
    edit: &mut Edit,
    target: &Address,
    proxies: &[String],
    own_variable: &str,
    always_option: bool,
) {
    let from_option = call.told(OPTION, "");
    let from_own = call
        .env(own_variable)
        .map(|value| (value.to_owned(), format!("{own_variable}={value}")));
    let by_option = from_option.is_some() || always_option;
    let told = from_option
        .or(from_own.clone())
        .or_else(|| call.told(&[], VARIABLE));
    let wanted = wanted(
        told.as_ref().map(|(value, _)| value.as_str()),
        target,
        proxies,
    );
    let Some(wanted) = wanted else { return };
    let after = if by_option {
        let option = format!("{}={wanted}", OPTION[0]);
        edit.swap(OPTION, &[&option]);
        option
    } else {
        let name = if from_own.is_some() {
            own_variable
        } else {
            VARIABLE
        };
        edit.set(name, &wanted);
        format!("{name}={wanted}")
    };
    let why = match target {
        Address::Unix(_) => "only Seaworthy reaches that socket",
        Address::Tcp(_) => "Seaworthy calls it from there",
    };
    match told {
        Some((_, before)) => edit.say(&format!(
            "{before} -> {after} ({why}; proxies in front belong in listen.trusted_proxies)"
        )),
        None => edit.say(&format!(
            "{after} ({why}, so its forwarding headers are believed)"
        )),
    }
}

/// The value that makes Seaworthy believed, or `None` where `told` already does.
fn wanted(told: Option<&str>, target: &Address, proxies: &[String]) -> Option<String> {
    if told.is_some_and(|told| told.trim() == "*") {
        return None;
    }
    let Address::Tcp(address) = target else {
        return Some("*".to_owned());
    };
    let peer = if address.is_ipv4() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        address.ip()
    };
    let mut list: Vec<String> = told
        .into_iter()
        .flat_map(|told| told.split(','))
        .map(|one| one.trim().to_owned())
        .collect();
    let known = list.len();
    for one in std::iter::once(peer.to_string()).chain(proxies.iter().cloned()) {
        if !list.contains(&one) {
            list.push(one);
        }
    }
    (list.len() > known).then(|| list.join(","))
}

/// Says so when the user has switched the reading of forwarding headers off; that is left as it is.
pub(super) fn note_switched_off(call: &Call<'_>, edit: &mut Edit, variable: &str) {
    let off = super::options::switch(call.args, &["--no-proxy-headers"])
        .map(str::to_owned)
        .or_else(|| {
            let value = call.env(variable)?;
            matches!(
                value.to_ascii_lowercase().as_str(),
                "0" | "false" | "no" | "off" | "n" | "f"
            )
            .then(|| format!("{variable}={value}"))
        });
    if let Some(off) = off {
        edit.say(&format!(
            "{off} kept: the app will not see its clients' addresses"
        ));
    }
}

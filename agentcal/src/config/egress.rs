//! Which servers may be spoken to that customers name, as it is said for each kind of them.

use super::settings::Setting;

/// Ports with commas between, or `any`, which is none by name; `None` where nothing was said.
pub(super) fn ports(text: Option<&str>) -> Result<Option<Vec<u16>>, &'static str> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text == "any" {
        return Ok(Some(Vec::new()));
    }
    let ports: Result<Vec<u16>, _> = text.split(',').map(|port| port.trim().parse()).collect();
    ports.map(Some).or(Err("must be port numbers with commas between, as in 443,8443, or `any`"))
}

/// Plain http to public addresses is refused in any case, so on its own the permission would do nothing.
pub(super) fn check_http(allow_http: bool, is_of_use: bool, others: [&Setting; 2]) -> Result<(), String> {
    if !allow_http || is_of_use {
        return Ok(());
    }
    let [private, loopback] = others.map(|setting| setting.variable);
    Err(format!("http is for private networks and this machine alone; set {private} or {loopback} too"))
}

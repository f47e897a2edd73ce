//! What a job tells an organization, as a report for it.

use agentcal_delivery_mail::{Contact, Report, ReportEvent};
use agentcal_engine::model::{NoticeWork, WebhookStanding};
use agentcal_engine::ports::OutboundNotice;

use super::Links;
use crate::looks::NoticeLook;

/// The report; `None` where the organization has no address that mail can be sent to.
pub(super) fn report(notice: &OutboundNotice, look: NoticeLook, links: &Links) -> Option<Report> {
    let address = look.email.as_deref()?.parse().ok()?;
    let NoticeWork::WebhookDisabled(ended) = &notice.work;
    let webhook_id = ended.endpoint_id.to_string();
    Some(Report {
        id: format!("webhook/{webhook_id}/{}", ended.at.as_micros()),
        event: ReportEvent::WebhookDisabled {
            webhook_id,
            url: ended.url.clone(),
            is_gone: ended.standing == WebhookStanding::Gone,
            failing_since: ended.failing_since,
            last_status: ended.last_status,
            api_url: links.public_url.clone(),
        },
        reader: Contact { name: look.name, address },
        language: look.language,
        branding: look.branding,
        at: ended.at,
    })
}

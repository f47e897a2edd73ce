//! What mails look like: templates and branding, an account's and its organization's.

mod body;
mod delete_branding;
mod delete_template;
mod get_branding;
mod get_template;
mod preview;
mod put_branding;
mod put_template;

use agentcal_engine::ports::MailOwner;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, AppState};
use crate::caller::{Caller, Cx};
use crate::error::{ApiError, Code};
use crate::parts::MailSettings;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(
            get_template::get_account_mail_template,
            put_template::put_account_mail_template,
            delete_template::delete_account_mail_template
        ))
        .routes(routes!(preview::preview_account_mail))
        .routes(routes!(
            get_branding::get_account_mail_branding,
            put_branding::put_account_mail_branding,
            delete_branding::delete_account_mail_branding
        ))
        .routes(routes!(
            get_template::get_mail_template,
            put_template::put_mail_template,
            delete_template::delete_mail_template
        ))
        .routes(routes!(preview::preview_mail))
        .routes(routes!(
            get_branding::get_mail_branding,
            put_branding::put_mail_branding,
            delete_branding::delete_mail_branding
        ))
}

impl App {
    fn mail(&self) -> Result<&MailSettings, ApiError> {
        let mail = self.parts.mail.as_ref();
        mail.ok_or_else(|| ApiError::new(Code::NotReady, "this node knows nothing of mail"))
    }
}

impl Caller {
    fn mail_owner(&self) -> MailOwner {
        MailOwner::Organization { organization_id: self.key.key.organization_id, mode: self.key.key.mode }
    }
}

impl Cx {
    fn mail_owner(&self) -> MailOwner {
        MailOwner::Account(self.tenant)
    }
}

//! The description of the api, generated from the handlers; `docs/openapi.json` is its checked-in copy.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Header, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema};

use crate::idempotency::KEY_LEN_MAX;
use crate::openapi_words::{describe_parameter, describe_schema, id_pattern};
use crate::problem::{PROBLEM_JSON, ProblemView};
use crate::v1;

/// Statuses any request may be refused with.
const REFUSALS: &[(&str, &str)] = &[
    ("400", "The request cannot be understood; `errors` names the field"),
    ("401", "No key, or not a valid one"),
    ("403", "Not for this key"),
    ("404", "Not there, or somebody else's"),
    ("409", "In conflict with what is there"),
    ("422", "Fields are not acceptable; `errors` names each"),
    ("429", "Too many requests; see `Retry-After`"),
    ("503", "Not possible at present; see `Retry-After`"),
];

/// Statuses a request with a body may be refused with besides.
const REFUSALS_OF_BODIES: &[(&str, &str)] =
    &[("408", "The body took too long to arrive"), ("413", "The body is too large"), ("415", "The body is not JSON")];

/// Fields of answers that tell of the key's limit.
const LIMIT_FIELDS: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "AgentCal",
        description = "Scheduling for software that talks: ask when somebody is free, and book it. \
                       Every refusal is a problem document (RFC 9457) with a stable `code`.",
        license(name = "AGPL-3.0-only", identifier = "AGPL-3.0-only")
    ),
    security(("api_key" = []))
)]
struct Document;

/// The description of the api.
pub fn openapi() -> OpenApi {
    let (_, routes) = v1::routes().split_for_parts();
    let mut document = Document::openapi().merge_from(routes);
    let components = document.components.get_or_insert_default();
    let key = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("`sk_..`, or `pk_..` in browsers"));
    components.add_security_scheme("api_key", SecurityScheme::Http(key.build()));
    let mut schemas = vec![(ProblemView::name().into_owned(), <ProblemView as utoipa::PartialSchema>::schema())];
    ProblemView::schemas(&mut schemas);
    components.schemas.extend(schemas);
    components.schemas.values_mut().for_each(describe_schema);
    components.headers.extend(LIMIT_FIELDS.map(str::to_owned).into_iter().zip(limit_fields()));
    for (path, item) in &mut document.paths.paths {
        let has_account = path.contains("{account_id}");
        let reads = [&mut item.get];
        let writes = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        reads.into_iter().flatten().for_each(|operation| complete(operation, false, has_account));
        writes.into_iter().flatten().for_each(|operation| complete(operation, true, has_account));
    }
    document
}

/// The description of the api as `docs/openapi.json` holds it.
pub fn openapi_json() -> String {
    let mut text = openapi().to_pretty_json().expect("the document is plain data");
    text.push('\n');
    text
}

/// Adds what holds for every operation.
fn complete(operation: &mut Operation, writes: bool, has_account: bool) {
    let of_bodies = operation.request_body.iter().flat_map(|_| REFUSALS_OF_BODIES);
    for &(status, description) in REFUSALS.iter().chain(of_bodies) {
        operation.responses.responses.insert(status.to_owned(), RefOr::T(problem(description)));
    }
    // Refusals of other kinds tell it too; the document is long enough.
    for (status, response) in &mut operation.responses.responses {
        let tells = status.starts_with('2') || status == "429";
        if let (true, RefOr::T(response)) = (tells, response) {
            tell_limits(response);
        }
    }
    let parameters = operation.parameters.get_or_insert_default();
    for parameter in parameters.iter_mut() {
        if let RefOr::T(parameter) = parameter {
            describe_parameter(parameter);
        }
    }
    if writes {
        let detail =
            "Names this request: repeating it within 24 hours repeats the answer, not the deed. 1 to 255 characters.";
        let key = text().min_length(Some(1)).max_length(Some(KEY_LEN_MAX)).pattern(Some("^[!-~]([ -~]*[!-~])?$"));
        parameters.push(RefOr::T(header("Idempotency-Key", detail, key)));
    }
    if has_account {
        let account = text().pattern(id_pattern("account_id"));
        parameters.push(RefOr::T(header("X-Account-ID", "Where sent, must be the account of the path.", account)));
    }
}

/// Says of an answer that it tells what is left of the key's limit.
fn tell_limits(response: &mut Response) {
    for name in LIMIT_FIELDS {
        let field = Ref::new(format!("#/components/headers/{name}"));
        response.headers.insert(name.to_owned(), RefOr::Ref(field));
    }
}

/// The fields that tell of limits, as [`LIMIT_FIELDS`] lists them.
fn limit_fields() -> [RefOr<Header>; 2] {
    let field = |description: &str, example: &str| {
        let schema = text().examples([example]).build();
        RefOr::T(HeaderBuilder::new().description(Some(description)).schema(Some(schema)).build())
    };
    let left = field(
        "What is left of the key's limit: `r`, requests that may be sent at once; `t`, seconds until that is as many as \
         ever. On every answer to a known key, unless keys have no limit.",
        r#""burst";r=59999;t=1"#,
    );
    let policy = field(
        "The key's limit (draft-ietf-httpapi-ratelimit-headers): requests at once, and in a minute on end.",
        r#""burst";q=60000, "sustained";q=1200000;w=60"#,
    );
    [left, policy]
}

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name(ProblemView::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn header(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema.build()))
        .build()
}

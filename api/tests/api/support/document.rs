//! The document the api describes itself with, taken apart.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use super::Schema;

/// One operation as it is described.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// The path, its parameters in braces.
    pub(crate) template: String,
    pub(crate) query: Vec<Parameter>,
    /// The names of headers it reads.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Option<Schema>,
    pub(crate) statuses: BTreeSet<u16>,
}

/// A parameter of a query.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) required: bool,
    pub(crate) schema: Schema,
}

impl Operation {
    /// Every operation of the document.
    pub(crate) fn all() -> Vec<Self> {
        let document: Value = serde_json::from_str(&agentcal_api::openapi_json()).expect("the document is JSON");
        let paths = document["paths"].as_object().expect("paths");
        let of_path = |(template, item): (&String, &Value)| {
            let operations = item.as_object().expect("operations").iter();
            let components = &document["components"];
            operations
                .map(|(method, operation)| Self::read(template, method, operation, components))
                .collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    fn read(template: &str, method: &str, operation: &Value, components: &Value) -> Self {
        let parameters = || operation["parameters"].as_array().into_iter().flatten();
        let is_in = |place: &'static str| parameters().filter(move |parameter| parameter["in"] == place);
        let name = |parameter: &Value| parameter["name"].as_str().expect("a name").to_owned();
        let query = is_in("query").map(|parameter| Parameter {
            name: name(parameter),
            required: parameter["required"] == true,
            schema: Schema::read(&parameter["schema"], components),
        });
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let statuses = operation["responses"].as_object().expect("responses").keys();
        Self {
            id: operation["operationId"].as_str().expect("an operation id").to_owned(),
            method: method.to_uppercase().parse().expect("a method"),
            template: template.to_owned(),
            query: query.collect(),
            headers: is_in("header").map(name).collect(),
            body: (!body.is_null()).then(|| Schema::read(body, components)),
            statuses: statuses.map(|status| status.parse().expect("a status")).collect(),
        }
    }

    /// The names of the path's parameters, in order.
    pub(crate) fn path_parameters(&self) -> Vec<&str> {
        self.template.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }
}

//! Schemas of the document, as far as requests use them, and values that do not fit them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Longer than any text that is read.
const FAR_TOO_LONG: usize = 5_000;

/// What a field or parameter may hold.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) nullable: bool,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Text {
        len_max: Option<usize>,
        format: Option<String>,
        has_pattern: bool,
    },
    Word,
    Whole {
        min: i64,
        max: i64,
    },
    Flag,
    List {
        items: Box<Schema>,
        len_min: usize,
        len_max: usize,
    },
    /// With members of its own, and no others.
    Closed {
        members: BTreeMap<String, Schema>,
        required: Vec<String>,
    },
    /// With whatever members the caller likes.
    Open,
}

impl Schema {
    /// Reads a schema of the document. Panics at what the tests could not put to the test.
    pub(crate) fn read(schema: &Value, components: &Value) -> Self {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.trim_start_matches("#/components/schemas/");
            return Self::read(&components["schemas"][name], components);
        }
        if let Some(variants) = schema["oneOf"].as_array() {
            let (nulls, others): (Vec<_>, Vec<_>) = variants.iter().partition(|variant| variant["type"] == "null");
            let [only] = others[..] else { panic!("one shape beside null, not {schema}") };
            return Self { nullable: !nulls.is_empty(), ..Self::read(only, components) };
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            several => several.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        };
        let nullable = types.contains(&"null");
        let named: Vec<&str> = types.into_iter().filter(|&name| name != "null").collect();
        let [name] = named[..] else { panic!("one type beside null, not {schema}") };
        Self { nullable, kind: Kind::read(name, schema, components) }
    }

    /// Values of other kinds, and of this kind that are not acceptable.
    pub(crate) fn wrong_values(&self) -> Vec<Value> {
        let others = [json!(null), json!(true), json!(7), json!(1.5), json!("x"), json!([[]]), json!({"a": 1})];
        let is_other = |value: &Value| match (&self.kind, value) {
            (_, Value::Null) => !self.nullable,
            (Kind::Text { .. } | Kind::Word, Value::String(_))
            | (Kind::Flag, Value::Bool(_))
            | (Kind::List { .. }, Value::Array(_))
            | (Kind::Closed { .. } | Kind::Open, Value::Object(_)) => false,
            (Kind::Whole { .. }, Value::Number(number)) => number.is_f64(),
            _ => true,
        };
        others.into_iter().filter(is_other).chain(self.kind.unacceptable()).collect()
    }

    /// Texts of a query parameter that do not fit.
    pub(crate) fn wrong_texts(&self) -> Vec<String> {
        let own: Vec<String> = match &self.kind {
            Kind::Whole { min, max } => {
                vec!["x".into(), "1.5".into(), (min - 1).to_string(), (max + 1).to_string(), "9".repeat(30)]
            }
            Kind::Flag => vec!["x".into(), "1".into(), "True".into()],
            Kind::Word => vec!["x".into()],
            Kind::Text { len_max, format, has_pattern } => {
                let odd = (format.is_some() || *has_pattern).then(|| "§".to_owned());
                odd.into_iter().chain([long_text(len_max.unwrap_or(FAR_TOO_LONG))]).collect()
            }
            kind => panic!("no parameter can be {kind:?}"),
        };
        own.into_iter().chain([String::new(), "%ff".into(), "%00".into()]).collect()
    }
}

impl Kind {
    fn read(name: &str, schema: &Value, components: &Value) -> Self {
        let size = |member: &str| schema[member].as_u64().and_then(|size| usize::try_from(size).ok());
        let bound = |member: &str| schema[member].as_i64().unwrap_or_else(|| panic!("no {member} in {schema}"));
        match name {
            "string" if schema["enum"].is_array() => Self::Word,
            "string" => Self::Text {
                len_max: size("maxLength"),
                format: schema["format"].as_str().map(str::to_owned),
                has_pattern: schema["pattern"].is_string(),
            },
            "integer" => Self::Whole { min: bound("minimum"), max: bound("maximum") },
            "boolean" => Self::Flag,
            "array" => Self::List {
                items: Box::new(Schema::read(&schema["items"], components)),
                len_min: size("minItems").unwrap_or(0),
                len_max: size("maxItems").unwrap_or_else(|| panic!("a list without bound: {schema}")),
            },
            "object" => Self::read_object(schema, components),
            other => panic!("no test knows values of type {other}"),
        }
    }

    fn read_object(schema: &Value, components: &Value) -> Self {
        let Some(members) = schema["properties"].as_object() else { return Self::Open };
        assert_eq!(schema["additionalProperties"], json!(false), "an object with members refuses others: {schema}");
        let members = members.iter().map(|(name, member)| (name.clone(), Schema::read(member, components)));
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Self::Closed { members: members.collect(), required: required.map(str::to_owned).collect() }
    }

    fn unacceptable(&self) -> Vec<Value> {
        match self {
            Self::Text { len_max, format, has_pattern } => {
                let is_bounded = len_max.is_some() || format.is_some() || *has_pattern;
                assert!(is_bounded, "the document says neither length nor form of a text");
                let bounded = len_max.unwrap_or(FAR_TOO_LONG);
                let mut texts = vec![json!(""), json!(long_text(bounded)), json!("a\u{0}b")];
                if format.as_deref().is_some_and(|format| format != "password") || *has_pattern {
                    texts.extend([json!("§"), json!("2026-13-45T99:99:99Z"), json!("9999-12-31T23:59:59Z")]);
                }
                texts
            }
            Self::Word => vec![json!(""), json!("x"), json!("INDIVIDUAL")],
            Self::Whole { min, max } => {
                vec![json!(min - 1), json!(max + 1), json!(i64::MIN), json!(u64::MAX), json!(1e300)]
            }
            Self::List { len_min, len_max, .. } => {
                let mut lists = vec![json!(vec![json!({}); len_max + 1])];
                lists.extend((*len_min > 0).then(|| json!([])));
                lists
            }
            Self::Open => {
                let many = (0..51).map(|index| (index.to_string(), json!(1)));
                vec![
                    Value::Object(many.collect::<Map<_, _>>()),
                    json!({"x".repeat(101): 1}),
                    json!({"": 1}),
                    json!({"a": long_text(17_000)}),
                    json!({"a": {"b": "\u{0}"}}),
                ]
            }
            Self::Flag | Self::Closed { .. } => Vec::new(),
        }
    }
}

fn long_text(len_max: usize) -> String {
    "x".repeat(len_max + 1)
}

//! As much of JSON Schema (draft 7) as the Open Cap Table Format's schemas use; a keyword that they do not use is a fault of
//! this file, and says so.

use regex::Regex;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

const BASE: &str = "https://schema.opencaptablecoalition.com/v/1.2.0/";

/// The published schemas, by their path.
pub(super) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    pub(super) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/ocf-1.2.0");
        let mut all = BTreeMap::new();
        let mut directories = vec![root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|kind| kind == "json") {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                    all.insert(name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap());
                }
            }
        }
        assert!(all.len() > 100, "the schemas are there");
        Self(all)
    }

    /// What is wrong with a value by the schema of this path.
    pub(super) fn faults(&self, path: &str, value: &Value) -> Vec<String> {
        let schema = self.0.get(path).unwrap_or_else(|| panic!("no schema {path}"));
        self.check(schema, value, path)
    }

    fn check(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (keyword, rule) in schema.as_object().unwrap() {
            let is_kept = match keyword.as_str() {
                "$schema"
                | "$id"
                | "$comment"
                | "title"
                | "description"
                | "default"
                | "examples"
                | "additionalProperties" => true,
                "$ref" => {
                    let path = rule.as_str().unwrap().strip_prefix(BASE).unwrap();
                    faults.extend(self.faults(path, value));
                    true
                }
                "allOf" => {
                    faults.extend(rule.as_array().unwrap().iter().flat_map(|one| self.check(one, value, at)));
                    true
                }
                "oneOf" => self.matching(rule, value, at) == 1,
                "anyOf" => self.matching(rule, value, at) > 0,
                "not" => !self.check(rule, value, at).is_empty(),
                "properties" => {
                    faults.extend(self.properties(schema, value, at));
                    true
                }
                "items" => {
                    let items = value.as_array().into_iter().flatten();
                    faults.extend(items.flat_map(|item| self.check(rule, item, at)));
                    true
                }
                _ => holds(keyword, rule, value),
            };
            if !is_kept {
                faults.push(format!("{at}: {keyword} {rule}, not {value}"));
            }
        }
        faults
    }

    fn matching(&self, rules: &Value, value: &Value, at: &str) -> usize {
        rules.as_array().unwrap().iter().filter(|rule| self.check(rule, value, at).is_empty()).count()
    }

    fn properties(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let known = schema["properties"].as_object().unwrap();
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let mut faults = Vec::new();
        for (name, field) in value.as_object().into_iter().flatten() {
            match known.get(name) {
                Some(rule) => faults.extend(self.check(rule, field, &format!("{at} {name}"))),
                None if is_closed => faults.push(format!("{at}: no such field as {name}")),
                None => {}
            }
        }
        faults
    }
}

/// A keyword that is about this value alone.
fn holds(keyword: &str, rule: &Value, value: &Value) -> bool {
    let size = |rule: &Value| usize::try_from(rule.as_u64().unwrap()).unwrap();
    let text = value.as_str();
    match keyword {
        "type" => match rule.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            other => panic!("type {other}"),
        },
        "const" => value == rule,
        "enum" => rule.as_array().unwrap().contains(value),
        "required" => {
            let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            value.as_object().is_none_or(|fields| names.into_iter().all(|name| fields.contains_key(name)))
        }
        "pattern" => text.is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
        "minLength" => text.is_none_or(|text| text.chars().count() >= size(rule)),
        "maxLength" => text.is_none_or(|text| text.chars().count() <= size(rule)),
        "minItems" => value.as_array().is_none_or(|items| items.len() >= size(rule)),
        "maxItems" => value.as_array().is_none_or(|items| items.len() <= size(rule)),
        "uniqueItems" => {
            value.as_array().is_none_or(|items| (1..items.len()).all(|at| !items[at..].contains(&items[at - 1])))
        }
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "format" => match rule.as_str().unwrap() {
            "date" => text.is_none_or(|text| Regex::new("^[0-9]{4}-[0-9]{2}-[0-9]{2}$").unwrap().is_match(text)),
            "date-time" => text.is_none_or(|text| {
                time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).is_ok()
            }),
            "email" | "uri" => true,
            other => panic!("format {other}"),
        },
        other => panic!("the schemas use {other}, which is not known here"),
    }
}

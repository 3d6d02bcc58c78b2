//! A validator of JSON Schema, of exactly the keywords that dsbench's schema uses: any other is a failure of the test.
//!
//! The second suite lets Python's `jsonschema` judge the same files, so that this one is not believed on its own word.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// A schema being asked.
pub(crate) struct Validator {
    root: Value,
    patterns: RefCell<BTreeMap<String, Regex>>,
}

impl Validator {
    pub(crate) fn new(root: Value) -> Self {
        Self { root, patterns: RefCell::default() }
    }

    pub(crate) fn accepts(&self, instance: &Value) -> bool {
        self.holds(&self.root, instance)
    }

    fn holds(&self, schema: &Value, instance: &Value) -> bool {
        let Value::Object(keywords) = schema else {
            return schema.as_bool().expect("a schema is an object, true or false");
        };
        keywords.iter().all(|(keyword, value)| self.keyword(keyword, value, keywords, instance))
    }

    fn matches(&self, pattern: &Value, text: &str) -> bool {
        let pattern = pattern.as_str().expect("a regular expression");
        let mut patterns = self.patterns.borrow_mut();
        let compiled = patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).expect("a pattern"));
        compiled.is_match(text)
    }

    fn keyword(
        &self,
        keyword: &str,
        value: &Value,
        siblings: &serde_json::Map<String, Value>,
        instance: &Value,
    ) -> bool {
        let all = |value: &Value| value.as_array().expect("a list of schemas").clone();
        match keyword {
            "$schema" | "$defs" | "title" | "description" | "examples" | "default" | "x-tombi-toml-version" => true,
            "$ref" => {
                let pointer =
                    value.as_str().and_then(|at| at.strip_prefix('#')).expect("a reference within the schema");
                self.holds(self.root.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not defined")), instance)
            }
            "type" => has_type(value.as_str().expect("one type"), instance),
            "enum" => value.as_array().expect("values").contains(instance),
            "pattern" => instance.as_str().is_none_or(|text| self.matches(value, text)),
            "minimum" => instance.as_i64().is_none_or(|number| number >= value.as_i64().expect("a number")),
            "maximum" => instance.as_i64().is_none_or(|number| number <= value.as_i64().expect("a number")),
            "minItems" => instance.as_array().is_none_or(|list| list.len() as u64 >= value.as_u64().expect("a number")),
            "items" => instance.as_array().is_none_or(|list| list.iter().all(|element| self.holds(value, element))),
            "anyOf" => all(value).iter().any(|schema| self.holds(schema, instance)),
            "allOf" => all(value).iter().all(|schema| self.holds(schema, instance)),
            "oneOf" => all(value).iter().filter(|schema| self.holds(schema, instance)).count() == 1,
            "not" => !self.holds(value, instance),
            "if" => !self.holds(value, instance) || siblings.get("then").is_none_or(|then| self.holds(then, instance)),
            "then" => true,
            keyword => {
                let Value::Object(table) = instance else { return true };
                let parts = || value.as_object().expect("a table of schemas").iter();
                match keyword {
                    "required" => all(value).iter().all(|key| table.contains_key(key.as_str().expect("a key"))),
                    "properties" => {
                        parts().all(|(key, schema)| table.get(key).is_none_or(|value| self.holds(schema, value)))
                    }
                    "additionalProperties" => {
                        let known = siblings.get("properties").and_then(Value::as_object);
                        let mut others =
                            table.iter().filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key)));
                        others.all(|(_, other)| self.holds(value, other))
                    }
                    "dependentSchemas" => {
                        parts().all(|(key, schema)| !table.contains_key(key) || self.holds(schema, instance))
                    }
                    "dependentRequired" => parts().all(|(key, needed)| {
                        !table.contains_key(key)
                            || all(needed).iter().all(|other| table.contains_key(other.as_str().expect("a key")))
                    }),
                    unknown => panic!("the validator of the tests does not know `{unknown}`: teach it"),
                }
            }
        }
    }
}

fn has_type(name: &str, instance: &Value) -> bool {
    match name {
        "string" => instance.is_string(),
        "integer" => instance.is_i64() || instance.is_u64(),
        "number" => instance.is_number(),
        "boolean" => instance.is_boolean(),
        "array" => instance.is_array(),
        "object" => instance.is_object(),
        unknown => panic!("the validator of the tests does not know the type `{unknown}`: teach it"),
    }
}

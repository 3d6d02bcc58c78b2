//! The good files really have everything: every key, verb and check of the language stands in one of them.

use std::collections::{BTreeMap, BTreeSet};

use dsbench_core::explain::GOOD;
use dsbench_core::scenario::KEYS;
use dsbench_core::table::{Key, Kind};
use dsbench_core::{condition, target};
use toml::{Table, Value};

fn documents() -> Vec<Table> {
    GOOD.iter().map(|(_, text)| toml::from_str(text).expect("a good file is TOML")).collect()
}

#[test]
fn every_key_of_the_language_stands_in_a_good_file() {
    let mut walk = Walk::default();
    walk.table(KEYS, &documents().iter().collect::<Vec<_>>(), "");
    let is_missing = |key: &&'static Key| !walk.used.contains(&(key.name, key.doc));
    let missing: Vec<String> =
        walk.declared.iter().filter(|(_, (_, key))| is_missing(key)).map(|(_, (path, _))| path.clone()).collect();
    assert!(
        missing.is_empty(),
        "these keys stand in none of bench/core/tests/good/*.toml: {missing:?}. Use each of them once in one of these files, sensibly and with \
         a comment: what stands there is what `dsbench explain` shows as the example, and what the schema is tested with."
    );
}

/// Goes through the tables of the language and the values of the files side by side.
#[derive(Default)]
struct Walk {
    /// The keys by name and doc (several tables may share them), each with the path at which it was met first.
    declared: BTreeMap<(&'static str, &'static str), (String, &'static Key)>,
    used: BTreeSet<(&'static str, &'static str)>,
    /// How deep it stands: some tables refer to themselves.
    depth: usize,
}

impl Walk {
    fn table(&mut self, keys: &'static [Key], tables: &[&Table], path: &str) {
        if self.depth > 8 {
            return;
        }
        self.depth += 1;
        for key in keys.iter().filter(|key| !key.kind.is_refused()) {
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            let values: Vec<&Value> = tables.iter().filter_map(|table| table.get(key.name)).collect();
            self.declared.entry((key.name, key.doc)).or_insert((path.clone(), key));
            if !values.is_empty() {
                self.used.insert((key.name, key.doc));
            }
            self.values(key.kind, &values, &path);
        }
        self.depth -= 1;
    }

    fn values(&mut self, kind: Kind, values: &[&Value], path: &str) {
        let tables =
            |values: &[&Value]| values.iter().filter_map(|value| value.as_table().cloned()).collect::<Vec<_>>();
        let elements = || values.iter().flat_map(|value| value.as_array().into_iter().flatten());
        match kind {
            Kind::Table(keys) | Kind::TableOr(_, keys) => self.inner(keys, &tables(values), path),
            Kind::Tables(keys) => self.inner(keys, &tables(&elements().collect::<Vec<_>>()), path),
            Kind::List(kind) => self.values(*kind, &elements().collect::<Vec<_>>(), path),
            Kind::Map(kind) => self.names(*kind, &[], values, path),
            Kind::MapWith(keys, kind) => {
                self.table(keys, &tables(values).iter().collect::<Vec<_>>(), path);
                self.names(*kind, keys, values, path);
            }
            Kind::Either(kinds) => kinds.iter().for_each(|kind| self.values(*kind, values, path)),
            _ => {}
        }
    }

    fn names(&mut self, kind: Kind, besides: &[Key], values: &[&Value], path: &str) {
        let is_name = |name: &str| !besides.iter().any(|key| key.name == name);
        let entries = values.iter().filter_map(|value| value.as_table()).flatten();
        let named: Vec<&Value> = entries.filter(|(name, _)| is_name(name)).map(|(_, value)| value).collect();
        self.values(kind, &named, &format!("{path}.NAME"));
    }

    fn inner(&mut self, keys: &'static [Key], tables: &[Table], path: &str) {
        self.table(keys, &tables.iter().collect::<Vec<_>>(), path);
    }
}

#[test]
fn conditions_and_targets_are_written_in_every_way() {
    let mut all = Vec::new();
    documents().into_iter().for_each(|document| collect(&Value::Table(document), &mut all));
    for key in condition::KEYS {
        assert!(all.contains(&key.name.to_owned()), "no condition of the good files has `{}`", key.name);
    }
    let of_hosts = target::WORDS.iter().filter(|word| **word != "isolated");
    for word in of_hosts {
        let is_used = all.iter().any(|text| text.trim_start_matches('!').split('/').next() == Some(word));
        assert!(is_used, "the target `{word}` stands nowhere in bench/core/tests/good/everything.toml");
    }
}

/// Every key and every text.
fn collect(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| collect(value, all)),
        Value::Table(table) => table.iter().for_each(|(key, value)| {
            all.push(key.clone());
            collect(value, all);
        }),
        _ => {}
    }
}

//! Which of the runs that the files mean are made: by their labels, by their tags, by their place in the list.

use std::str::FromStr;

use super::Selected;

/// What a run must be to be selected.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Its label has one of these in it; any will do if there are none.
    pub labels: Vec<Pattern>,
    /// It has one of these tags, and none of those with `!`.
    pub tags: Vec<Tag>,
    /// It belongs to this part of the rest.
    pub shard: Option<Shard>,
}

/// A text that a label contains, or, with `*` or `?` in it, one that it is as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// A tag, or one that must not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    word: String,
    is_wanted: bool,
}

/// The m-th of n parts of a list: together they are all of it, and none has what another has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    part: usize,
    of: usize,
}

impl Filter {
    /// The runs that fit, in their order.
    pub fn apply(&self, runs: Vec<Selected>) -> Vec<Selected> {
        let fits = |run: &Selected| self.fits(&run.label, &run.tags);
        let fitting = runs.into_iter().filter(fits).enumerate();
        fitting.filter(|(index, _)| self.shard.is_none_or(|shard| shard.has(*index))).map(|(_, run)| run).collect()
    }

    fn fits(&self, label: &str, tags: &[String]) -> bool {
        let has = |tag: &Tag| tags.contains(&tag.word);
        let mut wanted = self.tags.iter().filter(|tag| tag.is_wanted).peekable();
        (self.labels.is_empty() || self.labels.iter().any(|pattern| pattern.fits(label)))
            && (wanted.peek().is_none() || wanted.any(has))
            && !self.tags.iter().any(|tag| !tag.is_wanted && has(tag))
    }

    /// In words, for whoever selected nothing with it.
    pub fn in_words(&self) -> String {
        let labels = self.labels.iter().map(|pattern| format!("-k '{}'", pattern.0));
        let tags = self.tags.iter().map(|tag| format!("-t '{}{}'", if tag.is_wanted { "" } else { "!" }, tag.word));
        let shard = self.shard.iter().map(|shard| format!("--shard {}/{}", shard.part, shard.of));
        labels.chain(tags).chain(shard).collect::<Vec<_>>().join(" ")
    }
}

impl Pattern {
    fn fits(&self, label: &str) -> bool {
        if !self.0.contains(['*', '?']) {
            return label.contains(&self.0);
        }
        let (pattern, label): (Vec<char>, Vec<char>) = (self.0.chars().collect(), label.chars().collect());
        matches(&pattern, &label)
    }
}

/// `*` for any text, `?` for any letter. Goes back to the last `*` only: no pattern takes long.
fn matches(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[t] => (p, t) = (p + 1, t + 1),
            _ => match last_star {
                // The star takes one letter more.
                Some((star, from)) => {
                    last_star = Some((star, from + 1));
                    (p, t) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

impl Shard {
    /// Turns go round: parts differ by one run at most.
    fn has(self, index: usize) -> bool {
        index % self.of == self.part - 1
    }
}

impl FromStr for Pattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Err("a pattern is not empty") } else { Ok(Self(text.to_owned())) }
    }
}

impl FromStr for Tag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (is_wanted, word) = text.strip_prefix('!').map_or((true, text), |word| (false, word));
        if word.is_empty() { Err("a tag is not empty") } else { Ok(Self { word: word.to_owned(), is_wanted }) }
    }
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((part, of)) if (1..=of).contains(&part) => Ok(Self { part, of }),
            _ => Err("written m/n, the m-th of n parts: 1/4, 2/4, 3/4, 4/4"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(labels: &[&str], tags: &[&str], label: &str, of: &[&str]) -> bool {
        let filter = Filter {
            labels: labels.iter().map(|text| text.parse().unwrap()).collect(),
            tags: tags.iter().map(|text| text.parse().unwrap()).collect(),
            shard: None,
        };
        filter.fits(label, &of.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_word_is_looked_for_anywhere_and_a_pattern_is_the_whole_label() {
        let label = "leader-election[nodes.count=5]";
        for pattern in ["leader", "count=5", "[nodes", "*count=5]", "leader*", "leader-election[nodes.count=?]", "**"] {
            assert!(fits(&[pattern], &[], label, &[]), "{pattern}");
        }
        for pattern in ["follower", "*count=5", "leader?", "?"] {
            assert!(!fits(&[pattern], &[], label, &[]), "{pattern}");
        }
        assert!(fits(&["nothing", "leader"], &[], label, &[]), "one of several is enough");
    }

    #[test]
    fn one_wanted_tag_is_enough_and_one_unwanted_is_too_much() {
        assert!(fits(&[], &["smoke", "slow"], "x", &["smoke"]));
        assert!(!fits(&[], &["smoke"], "x", &[]));
        assert!(fits(&[], &["!slow"], "x", &[]));
        assert!(!fits(&[], &["smoke", "!slow"], "x", &["smoke", "slow"]));
    }

    #[test]
    fn a_shard_is_one_of_its_parts() {
        for text in ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn shards_are_a_partition_of_equal_parts(runs in 0..200_usize, of in 1..20_usize) {
            let parts: Vec<Vec<usize>> = (1..=of)
                .map(|part| (0..runs).filter(|index| Shard { part, of }.has(*index)).collect())
                .collect();
            let mut all: Vec<usize> = parts.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..runs).collect::<Vec<_>>());
            let sizes = parts.iter().map(Vec::len);
            prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        }

        #[test]
        fn a_pattern_means_what_the_regular_expression_means(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let expression: String = pattern.chars().map(|c| match c { '*' => ".*".into(), '?' => ".".into(), c => c.to_string() }).collect();
            let expected = regex::Regex::new(&format!("^(?:{expression})$")).unwrap().is_match(&text);
            let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), expected);
        }
    }
}

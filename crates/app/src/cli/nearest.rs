//! The known name that a mistyped one most likely meant.

/// The nearest of `known`, when it is near enough to be worth a hint: a third of the letters may differ.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<char> = typed.to_lowercase().chars().take(64).collect();
    known
        .map(|name| (distance(&typed, &name.to_lowercase().chars().take(64).collect::<Vec<_>>()), name))
        .filter(|(distance, name)| *distance <= name.chars().count().max(typed.len()).div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

/// Letters to insert, delete, replace or swap with their neighbour, to make one word into the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_mistyped_name_finds_the_one_that_was_meant() {
        let known = ["hello-python", "hello-node", "orders"];
        for (typed, meant) in
            [("helo-python", "hello-python"), ("oredrs", "orders"), ("Hello-Node", "hello-node")]
        {
            assert_eq!(nearest(typed, known.into_iter()), Some(meant), "{typed}");
        }
    }

    #[test]
    fn a_name_that_is_like_none_gets_no_hint() {
        assert_eq!(nearest("zzz", ["orders", "billing"].into_iter()), None);
        assert_eq!(nearest("", [].into_iter()), None);
    }
}

//! Sets of characters.

/// The last character.
const LAST: u32 = 0x10_FFFF;

/// Ranges of characters, in order and apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct CharSet {
    ranges: Vec<(u32, u32)>,
}

impl CharSet {
    pub(crate) fn all() -> Self {
        Self {
            ranges: vec![(0, LAST)],
        }
    }

    pub(crate) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Adds a range; `normalize` puts them in order.
    pub(crate) fn push(&mut self, low: u32, high: u32) {
        self.ranges.push((low, high));
    }

    pub(crate) fn push_char(&mut self, c: char) {
        self.push(u32::from(c), u32::from(c));
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.ranges.extend_from_slice(&other.ranges);
        // The same class a thousand times is one.
        if self.ranges.len() > 8192 {
            self.normalize();
        }
    }

    pub(crate) fn normalize(&mut self) {
        self.ranges.sort_unstable();
        let mut made: Vec<(u32, u32)> = Vec::with_capacity(self.ranges.len());
        for &(low, high) in &self.ranges {
            match made.last_mut() {
                Some((_, last)) if low <= last.saturating_add(1) => *last = (*last).max(high),
                _ => made.push((low, high)),
            }
        }
        self.ranges = made;
    }

    /// All other characters.
    pub(crate) fn complement(&self) -> Self {
        let (mut made, mut next) = (Vec::with_capacity(self.ranges.len() + 1), 0);
        for &(low, high) in &self.ranges {
            if low > next {
                made.push((next, low - 1));
            }
            next = high.saturating_add(1);
        }
        if next <= LAST {
            made.push((next, LAST));
        }
        Self { ranges: made }
    }

    pub(crate) fn contains(&self, c: char) -> bool {
        let code = u32::from(c);
        let at = self.ranges.partition_point(|(_, high)| *high < code);
        self.ranges.get(at).is_some_and(|(low, _)| *low <= code)
    }

    /// The only character of a set.
    pub(crate) fn single(&self) -> Option<char> {
        match self.ranges.as_slice() {
            [(low, high)] if low == high => char::from_u32(*low),
            _ => None,
        }
    }

    pub(crate) fn is_all(&self) -> bool {
        self.ranges == [(0, LAST)]
    }
}

/// Sets that are told apart, and which of them each character is in: characters that are in the same ones are of one
/// colour.
#[derive(Debug, Default)]
pub(crate) struct Colors {
    /// Of ASCII.
    ascii: Vec<u16>,
    /// Where ranges begin, and their colours.
    starts: Vec<u32>,
    colors: Vec<u16>,
    /// For each set its colours, a bit each.
    members: Vec<Vec<u64>>,
    count: usize,
}

impl Colors {
    /// `None` where there are more colours than have a number.
    pub(crate) fn new(sets: &[CharSet]) -> Option<Self> {
        let mut borders: Vec<(u32, usize, bool)> = Vec::new();
        for (at, set) in sets.iter().enumerate() {
            for &(low, high) in &set.ranges {
                borders.push((low, at, true));
                borders.push((high + 1, at, false));
            }
        }
        borders.sort_unstable();
        let mut known: std::collections::HashMap<Vec<usize>, u16> =
            std::collections::HashMap::new();
        let mut inside: std::collections::BTreeSet<usize> = std::collections::BTreeSet::new();
        let (mut starts, mut colors) = (vec![0], Vec::new());
        let mut color = |inside: &std::collections::BTreeSet<usize>| -> Option<u16> {
            let next = u16::try_from(known.len()).ok()?;
            let key: Vec<usize> = inside.iter().copied().collect();
            Some(*known.entry(key).or_insert(next))
        };
        let mut borders = borders.into_iter().peekable();
        let mut take = |inside: &mut std::collections::BTreeSet<usize>, place: u32| {
            while let Some((_, set, begins)) = borders.next_if(|(at, ..)| *at == place) {
                match begins {
                    true => inside.insert(set),
                    false => inside.remove(&set),
                };
            }
            borders.peek().map(|(at, ..)| *at)
        };
        let mut next = take(&mut inside, 0);
        colors.push(color(&inside)?);
        while let Some(place) = next.filter(|place| *place <= LAST) {
            next = take(&mut inside, place);
            starts.push(place);
            colors.push(color(&inside)?);
        }
        let count = known.len();
        let mut members = vec![vec![0_u64; count.div_ceil(64)]; sets.len()];
        for (sets, color) in &known {
            for set in sets {
                let word = members.get_mut(*set)?.get_mut(usize::from(*color) / 64)?;
                *word |= 1 << (color % 64);
            }
        }
        let mut made = Self {
            ascii: Vec::new(),
            starts,
            colors,
            members,
            count,
        };
        made.ascii = (0..128).map(|code| made.searched(code)).collect();
        Some(made)
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn searched(&self, code: u32) -> u16 {
        let at = self.starts.partition_point(|start| *start <= code);
        self.colors.get(at.saturating_sub(1)).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn of_ascii(&self, byte: u8) -> u16 {
        self.ascii.get(usize::from(byte)).copied().unwrap_or(0)
    }

    pub(crate) fn of(&self, c: char) -> u16 {
        self.searched(u32::from(c))
    }

    #[inline]
    pub(crate) fn has(&self, set: u32, color: u16) -> bool {
        let set = usize::try_from(set)
            .ok()
            .and_then(|set| self.members.get(set));
        set.and_then(|words| words.get(usize::from(color) / 64))
            .is_some_and(|word| word >> (color % 64) & 1 == 1)
    }
}

//! A match that is taken apart: which part of a pattern matched which part of it.

use super::{Result, Run};
use crate::classes::lower;
use crate::nfa::{Piece, PieceKind};

impl Run<'_> {
    fn forget(&mut self, piece: &Piece) {
        let (first, last) = piece.groups;
        if first == 0 {
            return;
        }
        for group in self.groups.iter_mut().take(last + 1).skip(first) {
            *group = None;
        }
    }

    /// Whether a piece matches a span whose automaton does, and where its groups are.
    pub(super) fn dissect(&mut self, at: usize, from: usize, to: usize) -> Result<bool> {
        let piece = self.piece(at)?;
        if !piece.matters {
            return Ok(true);
        }
        self.spend(16)?;
        let matches = match &piece.kind {
            PieceKind::Plain => true,
            PieceKind::Again { group, least, most } => {
                self.is_again(*group, *least, *most, from, to)
            }
            PieceKind::Sequence(parts) => self.sequence(parts, from, to)?,
            PieceKind::Either(parts) => self.either(parts, from, to)?,
            PieceKind::Repeat { part, least, most } => {
                self.repeat(*part, *least, *most, from, to)?
            }
            PieceKind::Around(part) => self.dissect(*part, from, to)?,
        };
        if matches && let Some(group) = self.groups.get_mut(piece.group).filter(|_| piece.group > 0)
        {
            *group = Some((from, to));
        }
        if !matches {
            self.forget(piece);
        }
        Ok(matches)
    }

    fn is_again(
        &self,
        group: usize,
        least: usize,
        most: Option<usize>,
        from: usize,
        to: usize,
    ) -> bool {
        let Some((start, end)) = self.groups.get(group).copied().flatten() else {
            return false;
        };
        let text = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        let (model, found) = (text(start, end), text(from, to));
        if model.is_empty() {
            return found.is_empty();
        }
        if found.is_empty() {
            return least == 0;
        }
        let (model, mut found) = (model.chars(), found.chars());
        let mut times = 0_usize;
        let is_same = |a: char, b: char| match self.program.insensitive {
            true => lower(a) == lower(b),
            false => a == b,
        };
        while !found.as_str().is_empty() {
            for c in model.clone() {
                if !found.next().is_some_and(|other| is_same(c, other)) {
                    return false;
                }
            }
            times += 1;
        }
        times >= least && most.is_none_or(|most| times <= most)
    }

    fn either(&mut self, parts: &[usize], from: usize, to: usize) -> Result<bool> {
        for part in parts {
            let piece = self.piece(*part)?;
            if self.is_whole(piece.auto, from, to)? && self.dissect(*part, from, to)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The parts of a sequence one behind the other: each as long or short as it prefers to be, as long as what is behind
    /// it can match the rest.
    fn sequence(&mut self, parts: &[(usize, usize)], from: usize, to: usize) -> Result<bool> {
        let mut starts = self.cache.rooms.pop().unwrap_or_default();
        starts.clear();
        starts.push(from);
        let found = self.in_sequence(parts, &mut starts, to);
        self.cache.rooms.push(starts);
        found
    }

    /// `starts` has where the parts begin that are told so far.
    fn in_sequence(
        &mut self,
        parts: &[(usize, usize)],
        starts: &mut Vec<usize>,
        to: usize,
    ) -> Result<bool> {
        // Where the one at work ended when it was tried last.
        let mut tried: Option<usize> = None;
        while let Some(start) = starts.last().copied() {
            self.spend(8)?;
            let at = starts.len() - 1;
            let Some((part, _)) = parts.get(at).copied() else {
                return Ok(false);
            };
            let Some((_, rest)) = parts.get(at + 1).copied() else {
                if self.dissect(part, start, to)? {
                    return Ok(true);
                }
                self.step_back(parts, starts, &mut tried)?;
                continue;
            };
            let piece = self.piece(part)?;
            // The only way to go on is the right one, as there is one.
            let mut is_right = false;
            let end = match (tried, piece.shorter) {
                (None, false) if !self.refers => {
                    let (end, only) = self.last_and_only(piece.auto, start, to)?;
                    is_right = only;
                    end
                }
                (None, true) => self.first_end(piece.auto, start, start, to)?,
                (None, false) => self.last_end(piece.auto, start, to)?,
                (Some(last), true) if last < to => {
                    let least = self.after(last);
                    self.first_end(piece.auto, start, least, to)?
                }
                (Some(last), false) if last > start => {
                    let limit = self.before(last);
                    self.last_end(piece.auto, start, limit)?
                }
                _ => None,
            };
            let Some(end) = end else {
                self.step_back(parts, starts, &mut tried)?;
                continue;
            };
            tried = Some(end);
            if (is_right || self.is_whole(rest, end, to)?) && self.dissect(part, start, end)? {
                starts.push(end);
                tried = None;
            }
        }
        Ok(false)
    }

    /// Takes the part before to be tried again.
    fn step_back(
        &mut self,
        parts: &[(usize, usize)],
        starts: &mut Vec<usize>,
        tried: &mut Option<usize>,
    ) -> Result<()> {
        *tried = starts.pop();
        if let Some(last) = starts.len().checked_sub(1)
            && let Some((part, _)) = parts.get(last)
        {
            let piece = self.piece(*part)?;
            self.forget(piece);
        }
        Ok(())
    }

    /// A part again and again: first ends for all the times that its automaton allows, then what is inside.
    fn repeat(
        &mut self,
        part: usize,
        least: usize,
        most: Option<usize>,
        from: usize,
        to: usize,
    ) -> Result<bool> {
        let piece = self.piece(part)?;
        // Where much is preferred one time is, so that its groups are set.
        if piece.shorter && least == 0 && from == to {
            return Ok(true);
        }
        let needed = least.max(1);
        let chars = self
            .text
            .get(from..to)
            .map_or(0, |span| span.chars().count());
        let most = most.map_or(chars, |most| chars.min(most)).max(needed);
        let mut ends = vec![from];
        let mut verified = 0;
        // The bound of the next end: the largest that it may be, or the least.
        let mut bound = if piece.shorter { from } else { to };
        while let Some(start) = ends.last().copied() {
            self.spend(8)?;
            let count = ends.len();
            let left = self
                .text
                .get(start..to)
                .map_or(0, |rest| rest.chars().count());
            let may_be_empty = count < needed && needed - count >= left;
            let end = match piece.shorter {
                true => {
                    if bound == start && bound != to && !may_be_empty {
                        bound = self.after(bound);
                    }
                    if count >= most {
                        bound = to;
                    }
                    self.first_end(piece.auto, start, bound, to)?
                }
                false => self.last_end(piece.auto, start, bound)?,
            };
            let mut goes_back = match end {
                None => true,
                Some(end) => {
                    ends.push(end);
                    verified = verified.min(count - 1);
                    if end == to {
                        match count < needed {
                            true => true,
                            false => {
                                let failed = self.verify(part, piece, &ends, &mut verified)?;
                                let Some(failed) = failed else {
                                    return Ok(true);
                                };
                                ends.truncate(failed + 1);
                                true
                            }
                        }
                    } else if count >= most {
                        ends.pop();
                        true
                    } else {
                        !piece.shorter && end == start && !may_be_empty
                    }
                }
            };
            if !goes_back {
                bound = if piece.shorter { end.unwrap_or(to) } else { to };
            }
            while goes_back {
                let Some((end, start)) = last_two(&ends) else {
                    ends.clear();
                    break;
                };
                let count = ends.len() - 1;
                let left = self
                    .text
                    .get(start..to)
                    .map_or(0, |rest| rest.chars().count());
                ends.pop();
                if piece.shorter {
                    if end < to {
                        bound = self.after(end);
                        goes_back = false;
                    }
                } else if end > start {
                    bound = self.before(end);
                    if bound > start || (count < needed && needed - count >= left) {
                        goes_back = false;
                    }
                }
            }
        }
        Ok(least == 0 && from == to)
    }

    /// Dissects the times that were not before; the one that failed.
    fn verify(
        &mut self,
        part: usize,
        piece: &Piece,
        ends: &[usize],
        verified: &mut usize,
    ) -> Result<Option<usize>> {
        for (at, pair) in ends.windows(2).enumerate().skip(*verified) {
            let &[start, end] = pair else {
                continue;
            };
            self.forget(piece);
            if !self.dissect(part, start, end)? {
                return Ok(Some(at + 1));
            }
            *verified = at + 1;
        }
        Ok(None)
    }
}

/// The last two ends.
fn last_two(ends: &[usize]) -> Option<(usize, usize)> {
    match ends {
        [.., start, end] => Some((*end, *start)),
        _ => None,
    }
}

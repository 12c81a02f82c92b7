//! A queue of numbered places, from any of which one can leave at once.

/// No place.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
}

/// Places in the order in which they came last.
#[derive(Debug)]
pub(super) struct Order {
    links: Vec<Link>,
    first: u32,
    last: u32,
}

impl Order {
    pub fn new() -> Order {
        Order {
            links: Vec::new(),
            first: NONE,
            last: NONE,
        }
    }

    /// The place that has been there longest.
    pub fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// Puts a place, which is not there, at the end.
    pub fn push(&mut self, place: u32) {
        let at = place as usize;
        if self.links.len() <= at {
            let link = Link {
                before: NONE,
                after: NONE,
            };
            self.links.resize(at + 1, link);
        }
        self.links[at] = Link {
            before: self.last,
            after: NONE,
        };
        match self.links.get_mut(self.last as usize) {
            Some(link) => link.after = place,
            None => self.first = place,
        }
        self.last = place;
    }

    /// Takes a place, which is there, out.
    pub fn remove(&mut self, place: u32) {
        let Some(Link { before, after }) = self.links.get(place as usize).copied() else {
            return;
        };
        match self.links.get_mut(before as usize) {
            Some(link) => link.after = after,
            None => self.first = after,
        }
        match self.links.get_mut(after as usize) {
            Some(link) => link.before = before,
            None => self.last = before,
        }
    }

    /// Moves a place, which is there, to the end.
    pub fn renew(&mut self, place: u32) {
        if self.last != place {
            self.remove(place);
            self.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_leave_in_the_order_they_came_or_from_the_middle() {
        let mut order = Order::new();
        for place in [3, 0, 2, 1] {
            order.push(place);
        }
        order.renew(0);
        order.remove(2);
        order.renew(0);
        let mut left = Vec::new();
        while let Some(place) = order.first() {
            order.remove(place);
            left.push(place);
        }
        assert_eq!(left, [3, 1, 0]);
        order.push(7);
        assert_eq!(order.first(), Some(7));
    }
}

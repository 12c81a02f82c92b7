//! Translations that are alike, kept once: flows that differ only in their keys are many, what is done with them is not.

use std::sync::Arc;

use hashbrown::HashSet;

use crate::datapath::Translation;

/// The different translations there are.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// Hashed with a seed of its own: nobody outside may know which translations meet.
    known: HashSet<Arc<Translation>>,
}

impl Shapes {
    /// The one copy of a translation.
    pub fn share(&mut self, translation: Translation) -> Arc<Translation> {
        if let Some(known) = self.known.get(&translation) {
            return Arc::clone(known);
        }
        let shared = Arc::new(translation);
        self.known.insert(Arc::clone(&shared));
        shared
    }

    /// Takes back what was shared; the last one to give it back ends it.
    pub fn give_back(&mut self, shared: Arc<Translation>) {
        if Arc::strong_count(&shared) <= 2 {
            self.known.remove(&*shared);
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::datapath::{Credits, DpAction};
    use weft_frame::FlowMask;

    /// A translation: out of one port.
    pub fn output(port_no: u32) -> Translation {
        let queue_id = None;
        Translation {
            actions: Box::new([DpAction::Output { port_no, queue_id }]),
            sights: Box::new([]),
            mask: FlowMask::ZERO,
            edited: FlowMask::ZERO,
            credits: Credits::default(),
            drop: None,
            cacheable: true,
            why_walked: None,
            passes: Box::new([]),
        }
    }

    #[test]
    fn what_is_alike_is_there_once_and_goes_with_its_last_user() {
        let mut shapes = Shapes::default();
        let first = shapes.share(output(1));
        let second = shapes.share(output(1));
        let other = shapes.share(output(2));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &other));
        assert_eq!(shapes.len(), 2);
        shapes.give_back(first);
        assert_eq!(shapes.len(), 2);
        shapes.give_back(second);
        assert_eq!(shapes.len(), 1);
        shapes.give_back(other);
        assert_eq!(shapes.len(), 0);
    }
}

//! Numbered storage.

/// Number of a flow. Used again once the flow is gone.
pub type FlowId = u32;

/// Values by number, with holes.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    /// Numbers that are free but not to be used again yet.
    held: Vec<u32>,
    holds: bool,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            slots: Vec::new(),
            free: Vec::new(),
            held: Vec::new(),
            holds: false,
        }
    }
}

impl<T> Slab<T> {
    pub fn insert(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = Some(value);
                id
            }
            None => {
                self.slots.push(Some(value));
                (self.slots.len() - 1) as u32
            }
        }
    }

    pub fn get(&self, id: u32) -> Option<&T> {
        self.slots.get(id as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    pub fn remove(&mut self, id: u32) -> Option<T> {
        let value = self.slots.get_mut(id as usize)?.take();
        if value.is_some() {
            let list = if self.holds {
                &mut self.held
            } else {
                &mut self.free
            };
            list.push(id);
        }
        value
    }

    /// From now on numbers that get free are not used again.
    pub fn hold(&mut self) {
        self.holds = true;
    }

    /// Puts a value back where it was. Until [`Slab::recount`] nothing may be inserted.
    pub fn put_back(&mut self, id: u32, value: T) {
        if let Some(slot) = self.slots.get_mut(id as usize) {
            *slot = Some(value);
        }
    }

    /// Finds out which numbers are free.
    pub fn recount(&mut self) {
        self.holds = false;
        self.held.clear();
        let empty = |(id, slot): (usize, &Option<T>)| slot.is_none().then_some(id as u32);
        self.free = self.slots.iter().enumerate().filter_map(empty).collect();
    }

    /// They may be used again.
    pub fn release(&mut self) {
        self.holds = false;
        self.free.append(&mut self.held);
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len() - self.held.len()
    }

    /// One more than the highest number ever used.
    pub fn bound(&self) -> u32 {
        self.slots.len() as u32
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(id, slot)| Some((id as u32, slot.as_ref()?)))
    }
}

//! Octet strings of any length in few allocations: one shelf for each multiple of 16 octets. Holds; must never look in.

const STEP: usize = 16;
/// Longer strings get an allocation of their own.
const LONGEST: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Arena {
    shelves: Vec<Shelf>,
    long: Vec<Box<[u8]>>,
    free_long: Vec<u32>,
}

#[derive(Debug, Default)]
struct Shelf {
    octets: Vec<u8>,
    free: Vec<u32>,
}

impl Arena {
    /// Where the string stands, together with its length.
    pub(crate) fn put(&mut self, octets: &[u8]) -> u32 {
        if octets.len() > LONGEST {
            return self.put_long(octets.into());
        }
        let (number, width) = shelf_of(octets.len());
        if self.shelves.len() <= number {
            self.shelves.resize_with(number + 1, Shelf::default);
        }
        let shelf = &mut self.shelves[number];
        if let Some(place) = shelf.free.pop() {
            shelf.octets[place as usize * width..][..octets.len()].copy_from_slice(octets);
            return place;
        }
        let start = shelf.octets.len();
        shelf.octets.extend_from_slice(octets);
        shelf.octets.resize(start + width, 0);
        (start / width) as u32
    }

    fn put_long(&mut self, octets: Box<[u8]>) -> u32 {
        if let Some(place) = self.free_long.pop() {
            self.long[place as usize] = octets;
            return place;
        }
        self.long.push(octets);
        self.long.len() as u32 - 1
    }

    pub(crate) fn get(&self, place: u32, len: usize) -> &[u8] {
        if len > LONGEST {
            return &self.long[place as usize];
        }
        let (number, width) = shelf_of(len);
        &self.shelves[number].octets[place as usize * width..][..len]
    }

    pub(crate) fn free(&mut self, place: u32, len: usize) {
        if len > LONGEST {
            self.long[place as usize] = Box::default();
            self.free_long.push(place);
        } else {
            self.shelves[shelf_of(len).0].free.push(place);
        }
    }
}

const fn shelf_of(len: usize) -> (usize, usize) {
    let number = len.div_ceil(STEP);
    (number, if number == 0 { 1 } else { number * STEP })
}

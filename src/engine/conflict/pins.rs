//! What is unfinished, and from where a session that begins again would have to read to find it once more.

use std::collections::BTreeMap;

use crate::engine::position::Position;

/// What one unfinished matter needs.
#[derive(Debug, Clone, Copy)]
struct Pin {
    /// On account of which region.
    region: usize,
    /// From where each region has to be read, bytes.
    places: [Option<u64>; 2],
}

/// All that is unfinished: there may be as many as there are keys that both regions wrote at once.
#[derive(Debug, Default)]
pub struct Pins {
    all: BTreeMap<u64, Pin>,
    /// How many there are on account of each region.
    count: [usize; 2],
    /// How many need each region from each place, bytes.
    needs: [BTreeMap<u64, (Position, usize)>; 2],
}

impl Pins {
    /// One more, by a number that is new.
    pub fn insert(&mut self, number: u64, region: usize, places: [Option<Position>; 2]) {
        let offsets = places.map(|place| place.map(|place| place.offset));
        self.all.insert(number, Pin { region, places: offsets });
        self.count[region] += 1;
        for (needs, place) in self.needs.iter_mut().zip(places) {
            place.into_iter().for_each(|place| needs.entry(place.offset).or_insert((place, 0)).1 += 1);
        }
    }

    /// It is finished.
    pub fn remove(&mut self, number: u64) {
        let Some(Pin { region, places }) = self.all.remove(&number) else { return };
        self.count[region] -= 1;
        for (needs, place) in self.needs.iter_mut().zip(places) {
            let Some(place) = place else { continue };
            if let Some((_, count)) = needs.get_mut(&place) {
                *count -= 1;
                if *count == 0 {
                    needs.remove(&place);
                }
            }
        }
    }

    /// From where one needs each region to be read.
    pub fn places(&self, number: u64) -> Option<[Option<Position>; 2]> {
        let Pin { places: [first, second], .. } = self.all.get(&number)?;
        let place = |region: usize, offset: &Option<u64>| Some(self.needs[region].get(offset.as_ref()?)?.0);
        Some([place(0, first), place(1, second)])
    }

    /// Those on account of a region.
    pub fn of(&self, region: usize) -> impl Iterator<Item = u64> {
        self.all.iter().filter(move |(_, pin)| pin.region == region).map(|(number, _)| *number)
    }

    /// How many those are.
    pub fn count(&self, region: usize) -> usize {
        self.count[region]
    }

    /// From where a region has to be read for all of them.
    pub fn lowest(&self, region: usize) -> Option<Position> {
        Some(self.needs[region].first_key_value()?.1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_place_is_that_of_what_is_left() {
        let at = |offset| Some(Position { offset, ..Position::NONE });
        let mut pins = Pins::default();
        pins.insert(1, 0, [at(10), at(40)]);
        pins.insert(2, 1, [at(20), None]);
        pins.insert(3, 0, [at(10), at(30)]);
        let lowest = |pins: &Pins| [0, 1].map(|region| pins.lowest(region).map(|place| place.offset));
        assert_eq!((lowest(&pins), pins.count(0), pins.count(1)), ([Some(10), Some(30)], 2, 1));
        pins.remove(3);
        pins.remove(3);
        assert_eq!((lowest(&pins), pins.count(0)), ([Some(10), Some(40)], 1));
        pins.remove(1);
        assert_eq!((lowest(&pins), pins.of(0).count(), pins.of(1).next()), ([Some(20), None], 0, Some(2)));
        assert_eq!(pins.places(2), Some([at(20), None]));
    }
}

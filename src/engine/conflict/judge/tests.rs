use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A write to one key in the tests' own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Write {
    Delete,
    Number(i64),
    Add(i64),
    Field(u8, i64),
    Remove(u8),
    FieldAdd(u8, i64),
    Push(i64),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Value {
    number: i64,
    fields: BTreeMap<u8, i64>,
    list: Vec<i64>,
}

const NAMES: [&[u8]; 3] = [b"a", b"b", b"c"];

fn execute(value: &mut Value, write: &Write, part: &Part) {
    let named = |field: &u8| *part == Part::Key || *part == Part::Element(NAMES[usize::from(*field)].to_vec());
    match write {
        Write::Delete => *value = Value::default(),
        Write::Number(number) => *value = Value { number: *number, ..Value::default() },
        Write::Add(by) => value.number += by,
        Write::Field(field, number) if named(field) => drop(value.fields.insert(*field, *number)),
        Write::Remove(field) if named(field) => drop(value.fields.remove(field)),
        Write::FieldAdd(field, by) if named(field) => *value.fields.entry(*field).or_default() += by,
        Write::Field(..) | Write::Remove(_) | Write::FieldAdd(..) => {}
        Write::Push(number) => value.list.push(*number),
    }
}

fn claimed(write: &Write) -> Claimed<'static> {
    let name = |field: &u8| vec![NAMES[usize::from(*field)]];
    let claim = match write {
        Write::Delete | Write::Number(_) => Claim::Whole,
        Write::Add(_) => Claim::Counter,
        Write::Field(field, _) => Claim::Elements { names: name(field), removes: false },
        Write::Remove(field) => Claim::Elements { names: name(field), removes: true },
        Write::FieldAdd(field, _) => Claim::ElementCounters(name(field)),
        Write::Push(_) => Claim::Sequence,
    };
    Claimed { claim, alone: true, family: 0 }
}

fn step(time_us: i64, local: bool, at: u64, write: &Write) -> Step<'static> {
    let order = Order(time_us, u8::from(local), at);
    Step { order, id: at, claimed: claimed(write), local, at, saw: 0, wiped: false, silent: false }
}

fn writes() -> impl Strategy<Value = Write> {
    prop_oneof![
        1 => Just(Write::Delete),
        1 => (0..99i64).prop_map(Write::Number),
        2 => (1..9i64).prop_map(Write::Add),
        3 => (0..3u8, 0..99i64).prop_map(|(field, number)| Write::Field(field, number)),
        2 => (0..3u8).prop_map(Write::Remove),
        3 => (0..3u8, 1..9i64).prop_map(|(field, by)| Write::FieldAdd(field, by)),
        1 => (0..99i64).prop_map(Write::Push),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Own writes and the other region's, each in order of time, executed in any interleaving.
    #[test]
    fn what_is_executed_again_gives_the_order_of_the_stamps(
        own in prop::collection::vec((writes(), 1..20i64), 0..6),
        others in prop::collection::vec((writes(), 1..20i64), 0..6),
        mixed in prop::collection::vec(any::<bool>(), 12),
        before in (0..9i64, prop::collection::btree_map(0..3u8, 0..9i64, 0..3), prop::collection::vec(0..9i64, 0..2)),
    ) {
        let timed = |writes: Vec<(Write, i64)>| {
            let mut time = 0;
            writes.into_iter().map(|(write, gap)| { time += gap; (write, time) }).collect::<std::collections::VecDeque<_>>()
        };
        let (mut own, mut others) = (timed(own), timed(others));
        let mut executed = Vec::new();
        for turn in mixed.into_iter().cycle().take(200) {
            let from = if turn { &mut own } else { &mut others };
            if let Some((write, time)) = from.pop_front() {
                let at = executed.len() as u64;
                executed.push((step(time, turn, at, &write), write));
            }
        }
        prop_assume!(own.is_empty() && others.is_empty());
        let value = Value { number: before.0, fields: before.1, list: before.2 };
        let steps: Vec<Step<'_>> = executed.iter().map(|(step, _)| step.clone()).collect();
        let mut is = value.clone();
        executed.iter().for_each(|(_, write)| execute(&mut is, write, &Part::Key));
        let mut sorted = executed.clone();
        sorted.sort_by_key(|(step, _)| step.order);
        let mut should = value;
        sorted.iter().for_each(|(_, write)| execute(&mut should, write, &Part::Key));
        match judge(&steps).verdict {
            Verdict::Right => {}
            Verdict::Again(again) => {
                prop_assert!(!again.is_empty());
                again.iter().for_each(|(index, part)| execute(&mut is, &executed[*index].1, part));
            }
            Verdict::Value => return Ok(()),
        }
        prop_assert_eq!(is, should);
    }
}

fn verdict_of(writes: &[(i64, bool, Write)]) -> Verdict {
    let steps: Vec<Step<'_>> = writes
        .iter()
        .enumerate()
        .map(|(at, (time_us, local, write))| step(*time_us, *local, at as u64 + 1, write))
        .collect();
    judge(&steps).verdict
}

#[test]
fn the_later_of_two_whole_writes_is_executed_again() {
    let set = |time, local| (time, local, Write::Number(time));
    assert_eq!(verdict_of(&[set(8, true), set(5, false)]), Verdict::Again(vec![(0, Part::Key)]));
    assert_eq!(verdict_of(&[set(5, true), set(8, false)]), Verdict::Right);
}

#[test]
fn pushes_of_both_sides_take_the_value() {
    assert_eq!(verdict_of(&[(8, true, Write::Push(1)), (5, false, Write::Push(2))]), Verdict::Value);
    assert_eq!(verdict_of(&[(5, true, Write::Push(1)), (8, false, Write::Push(2))]), Verdict::Right);
}

#[test]
fn additions_never_conflict() {
    assert_eq!(verdict_of(&[(8, true, Write::Add(1)), (5, false, Write::Add(2))]), Verdict::Right);
}

#[test]
fn a_write_that_was_deleted_by_an_earlier_deletion_comes_back() {
    let writes = [(8, true, Write::Push(1)), (9, true, Write::Push(2)), (5, false, Write::Delete)];
    assert_eq!(verdict_of(&writes), Verdict::Again(vec![(0, Part::Key), (1, Part::Key)]));
}

#[test]
fn of_concurrent_times_to_live_the_longest_stays() {
    let lifetime = |time_us, local, at, saw, until| {
        let order = Order(time_us, 0, at);
        let claimed = Claimed { claim: Claim::Lifetime(until), alone: true, family: 0 };
        Step { order, id: at, claimed, local, at, saw, wiped: false, silent: false }
    };
    let own = lifetime(5, true, 10, 0, 900);
    let unseen = lifetime(8, false, 20, 5, 700);
    let seen = lifetime(8, false, 20, 10, 700);
    assert_eq!(judge(&[own.clone(), unseen]).verdict, Verdict::Again(vec![(0, Part::Key)]));
    assert_eq!(judge(&[own, seen]).verdict, Verdict::Right);
}

#[test]
fn what_a_value_lacks_comes_on_top_of_it() {
    let mut under = step(5, true, 1, &Write::Push(1));
    under.wiped = true;
    let on_top = step(8, false, 3, &Write::Push(2));
    assert_eq!(judge(std::slice::from_ref(&under)).verdict, Verdict::Again(vec![(0, Part::Key)]));
    // The order would be another one: the value decides, once nothing is missing from it.
    assert_eq!(judge(&[under.clone(), on_top.clone()]).verdict, Verdict::Again(vec![(0, Part::Key)]));
    under.wiped = false;
    assert_eq!(judge(&[on_top, under]).verdict, Verdict::Value);
}

#[test]
fn elements_are_mended_one_by_one_also_where_one_was_removed() {
    let writes = [(8, true, Write::Field(0, 1)), (9, true, Write::Remove(1)), (5, false, Write::Field(1, 2))];
    assert_eq!(verdict_of(&writes), Verdict::Again(vec![(1, Part::Element(NAMES[1].to_vec()))]));
}

#[test]
fn a_time_to_live_may_have_gone_with_the_last_element_where_removals_changed_places() {
    let vanished = |writes: [(i64, bool, Write); 2]| {
        let steps: Vec<Step<'_>> =
            (1..).zip(&writes).map(|(at, (time, local, write))| step(*time, *local, at, write)).collect();
        judge(&steps).vanished
    };
    assert!(vanished([(8, true, Write::Field(0, 1)), (5, false, Write::Remove(1))]));
    assert!(vanished([(8, true, Write::Remove(1)), (5, false, Write::Field(0, 1))]));
    assert!(!vanished([(5, true, Write::Remove(1)), (8, false, Write::Field(0, 1))]));
    assert!(!vanished([(8, true, Write::Field(1, 1)), (5, false, Write::Field(0, 1))]));
}

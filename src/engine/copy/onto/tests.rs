use super::*;

fn write(text: &'static str) -> Write {
    Write::of(0, Bytes::from_static(text.as_bytes()), 1)
}

fn region() -> Onto {
    let mut onto = Onto::default();
    onto.begin(0);
    onto
}

const K: &[(u32, &[u8])] = &[(0, b"k")];

#[test]
fn a_value_goes_below_what_was_written_to_its_key() {
    let mut onto = region();
    assert!(!onto.wrote(K, Effect::Changes, &write("HSET k f v")));
    assert_eq!(onto.arrives(1, 0, b"k"), Arrival::Below(vec![write("HSET k f v")]));
    assert_eq!(onto.arrives(1, 0, b"other"), Arrival::Below(vec![]));
    assert_eq!(onto.arrives(1, 3, b"k"), Arrival::Below(vec![]), "another database");
}

#[test]
fn a_value_that_was_replaced_is_left_out() {
    let mut onto = region();
    onto.wrote(K, Effect::Changes, &write("INCR k"));
    onto.wrote(K, Effect::Replaces, &write("SET k v"));
    onto.wrote(K, Effect::Changes, &write("APPEND k w"));
    assert_eq!(onto.arrives(1, 0, b"k"), Arrival::LeftOut);
    onto.wrote(&[], Effect::Flushes, &write("FLUSHDB"));
    assert_eq!(onto.arrives(1, 0, b"other"), Arrival::LeftOut);
}

#[test]
fn a_key_that_was_not_in_the_dump_goes_below_what_was_written_to_it() {
    let mut onto = region();
    onto.wrote(K, Effect::Changes, &write("HSET k f v"));
    assert_eq!(onto.departs(1, 0, b"k"), Arrival::Below(vec![write("HSET k f v")]));
    onto.wrote(K, Effect::Replaces, &write("SET k v"));
    assert_eq!(onto.departs(1, 0, b"k"), Arrival::LeftOut);
    onto.doubt(&[(0, b"b")]);
    assert_eq!(onto.departs(1, 0, b"b"), Arrival::LeftOut);
    assert_eq!(onto.departs(1, 0, b"gone"), Arrival::Below(vec![]));
    onto.wrote(&[], Effect::Flushes, &write("FLUSHDB"));
    assert_eq!(onto.departs(1, 0, b"left"), Arrival::LeftOut, "nothing old is left in an emptied database");
    assert_eq!(onto.departs(1, 1, b"left"), Arrival::Below(vec![]));
}

#[test]
fn a_write_that_meets_a_value_on_its_way_is_executed_once_more() {
    let mut onto = region();
    assert_eq!(onto.arrives(7, 0, b"k"), Arrival::Below(vec![]));
    onto.carries(b"k", write("SET k 1"));
    assert!(onto.wrote(K, Effect::Changes, &write("INCR k")));
    assert_eq!(onto.take_mail(8), Some(vec![write("SET k 1"), write("INCR k")]));
    onto.echoed(7, 1);
    assert!(onto.wrote(K, Effect::Changes, &write("APPEND k 1")), "before its second arrival was seen");
    assert_eq!(onto.take_mail(9), Some(vec![write("SET k 1"), write("INCR k"), write("APPEND k 1")]));
    onto.echoed(9, 1);
    assert!(!onto.wrote(K, Effect::Changes, &write("INCR k")));
    onto.end();
    assert!(onto.is_quiet() && onto.take_late().is_empty());
}

#[test]
fn what_can_not_be_put_on_top_is_made_equal_by_its_value_when_the_copy_is_done() {
    let mut onto = region();
    onto.arrives(7, 0, b"k");
    assert!(!onto.wrote(K, Effect::Changes, &write("INCR k")), "a value in pieces is not kept");
    assert!(onto.take_late().is_empty());
    onto.end();
    assert_eq!(onto.take_late(), BTreeSet::from([(0, b"k".to_vec())]));
    assert!(!onto.wrote(K, Effect::Replaces, &write("SET k v")));
    assert_eq!(onto.take_late(), BTreeSet::from([(0, b"k".to_vec())]), "it was on its way when the copy ended");
}

#[test]
fn what_adds_to_a_value_in_pieces_is_executed_late() {
    let adding = Write { adds: true, ..write("INCR k") };
    let mut onto = region();
    onto.arrives(7, 0, b"k");
    assert!(!onto.wrote(K, Effect::Changes, &adding));
    onto.wrote(K, Effect::Changes, &write("APPEND k 1"));
    assert_eq!(onto.take_mail(8), None, "not before all that it met is known");
    assert!(!onto.echoed(6, 1) && onto.echoed(7, 2));
    assert!(!onto.has_arrived());
    assert!(!onto.wrote(K, Effect::Changes, &adding), "behind the value");
    assert_eq!(onto.take_mail(8), Some(vec![adding.clone()]));
    assert!(onto.has_arrived() && onto.take_mail(9).is_none());
    onto.end();
    assert_eq!(onto.take_late(), BTreeSet::from([(0, b"k".to_vec())]), "it may have changed places with what followed");
}

#[test]
fn what_adds_to_a_value_that_is_then_replaced_is_not_executed_again() {
    let mut onto = region();
    onto.arrives(7, 0, b"k");
    onto.wrote(K, Effect::Changes, &Write { adds: true, ..write("INCR k") });
    assert!(onto.wrote(K, Effect::Replaces, &write("SET k v")));
    assert!(!onto.echoed(7, 1));
    assert_eq!(onto.take_mail(8), Some(vec![write("SET k v")]));
}

#[test]
fn what_an_empty_region_held_before_anybody_read_it_is_deleted_unless_the_dump_holds_it() {
    let mut onto = Onto::default();
    onto.announce();
    onto.finds([(0, b"k".to_vec()), (0, b"stray".to_vec())].into_iter());
    onto.begin(0);
    onto.holds(0, b"k");
    assert_eq!(onto.take_missing(), BTreeSet::from([(0, b"stray".to_vec())]));
}

#[test]
fn a_write_that_is_read_again_is_told_once() {
    let mut onto = Onto::default();
    onto.begin(100);
    assert!(!onto.is_new(100) && onto.is_new(130) && !onto.is_new(120) && onto.is_new(131));
}

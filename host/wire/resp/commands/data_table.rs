//! Commands that the store carries out as they are, those on the key space, and those on transactions, as data.

use super::spec::{ALL_KEYS, COUNTED, Group, NO_KEYS, ONE_KEY, PAIRS, SECOND_KEY, Spec, TWO_KEYS};
use super::{help, space, strings, transaction};
use crate::config::users::Role;
use crate::engine::step::{Form, Grows, Newest, Wanted};
use crate::ports::policy::Shape;
use crate::wire::access::Of;

const HASH: Wanted = Wanted::Shape(Shape::Hash);
const LIST: Wanted = Wanted::Shape(Shape::List);
const SET: Wanted = Wanted::Shape(Shape::Set);

/// In order of their names.
pub(super) const DATA: &[Spec] = &[
    Spec::store("copy", -3, TWO_KEYS, Form::copies(Wanted::Any)).doc(Group::Generic, "6.2.0", "Copies a key."),
    Spec::read("dbsize", 1, NO_KEYS, space::size).fast().doc(Group::Server, "1.0.0", "How many keys there are."),
    Spec::session("discard", 1, transaction::discard).fast().doc(Group::Transactions, "2.0.0", "Drops a transaction."),
    Spec::turn("exec", 1, NO_KEYS, transaction::exec).doc(Group::Transactions, "1.2.0", "Carries a transaction out."),
    Spec::write("flushall", -1, NO_KEYS, space::flush).needs(Role::Admin, Of::Host).doc(
        Group::Server,
        "1.0.0",
        "Removes all keys that Larder serves, where that is allowed.",
    ),
    Spec::write("flushdb", -1, NO_KEYS, space::flush).needs(Role::Admin, Of::Host).doc(
        Group::Server,
        "1.0.0",
        "Removes all keys that Larder serves, where that is allowed.",
    ),
    Spec::read("getrange", 4, ONE_KEY, strings::get_range).doc(Group::String, "2.4.0", "Part of a value."),
    Spec::store("hdel", -3, ONE_KEY, Form::shrinks(HASH)).fast().doc(Group::Hash, "2.0.0", "Removes fields."),
    Spec::store("hexists", 3, ONE_KEY, Form::reads(HASH)).fast().doc(Group::Hash, "2.0.0", "Whether there is a field."),
    Spec::store("hget", 3, ONE_KEY, Form::reads(HASH)).fast().doc(Group::Hash, "2.0.0", "The value of a field."),
    Spec::store("hgetall", 2, ONE_KEY, Form::reads(HASH)).doc(Group::Hash, "2.0.0", "All fields and their values."),
    Spec::store("hincrby", 4, ONE_KEY, Form::grows(HASH)).fast().doc(
        Group::Hash,
        "2.0.0",
        "Adds to the number in a field.",
    ),
    Spec::store("hincrbyfloat", 4, ONE_KEY, Form::grows(HASH)).fast().doc(
        Group::Hash,
        "2.6.0",
        "Adds to the floating-point number in a field.",
    ),
    Spec::store("hkeys", 2, ONE_KEY, Form::reads(HASH)).doc(Group::Hash, "2.0.0", "All fields."),
    Spec::store("hlen", 2, ONE_KEY, Form::reads(HASH)).fast().doc(Group::Hash, "2.0.0", "How many fields there are."),
    Spec::store("hmget", -3, ONE_KEY, Form::reads(HASH)).fast().doc(Group::Hash, "2.0.0", "The values of fields."),
    Spec::store("hmset", -4, ONE_KEY, Form::grows(HASH)).fast().doc(Group::Hash, "2.0.0", "Writes fields."),
    Spec::store("hrandfield", -2, ONE_KEY, Form::reads(HASH)).doc(Group::Hash, "6.2.0", "Fields that chance picks."),
    Spec::store("hscan", -3, ONE_KEY, Form::reads(HASH)).doc(Group::Hash, "2.8.0", "Goes through the fields."),
    Spec::store("hset", -4, ONE_KEY, Form::grows(HASH)).fast().doc(Group::Hash, "2.0.0", "Writes fields."),
    Spec::store("hsetnx", 4, ONE_KEY, Form::grows(HASH)).fast().doc(
        Group::Hash,
        "2.0.0",
        "Writes a field if there is none.",
    ),
    Spec::store("hstrlen", 3, ONE_KEY, Form::reads(HASH)).fast().doc(
        Group::Hash,
        "3.2.0",
        "The length of a field's value.",
    ),
    Spec::store("hvals", 2, ONE_KEY, Form::reads(HASH)).doc(Group::Hash, "2.0.0", "All values."),
    Spec::store("incrbyfloat", 3, ONE_KEY, Form::grows(Wanted::Counter)).fast().doc(
        Group::String,
        "2.6.0",
        "Adds to a floating-point number.",
    ),
    Spec::read("keys", 2, NO_KEYS, space::keys).doc(Group::Generic, "1.0.0", "All keys that match a pattern."),
    Spec::store("lindex", 3, ONE_KEY, Form::reads(LIST)).doc(Group::List, "1.0.0", "The element at a place."),
    Spec::store("linsert", 5, ONE_KEY, Form::grows(LIST).at(Newest::Right)).doc(
        Group::List,
        "2.2.0",
        "Puts an element beside another.",
    ),
    Spec::store("llen", 2, ONE_KEY, Form::reads(LIST)).fast().doc(Group::List, "1.0.0", "The length of a list."),
    Spec::store("lmove", 5, TWO_KEYS, Form::moves(LIST, Grows::Key(1)).at(Newest::Said(4))).doc(
        Group::List,
        "6.2.0",
        "Moves an element to another list.",
    ),
    Spec::store("lpop", -2, ONE_KEY, Form::shrinks(LIST)).fast().doc(Group::List, "1.0.0", "Takes the first elements."),
    Spec::store("lpos", -3, ONE_KEY, Form::reads(LIST)).doc(Group::List, "6.0.6", "Where an element is."),
    Spec::store("lpush", -3, ONE_KEY, Form::grows(LIST).at(Newest::Left)).fast().doc(
        Group::List,
        "1.0.0",
        "Puts elements before the first.",
    ),
    Spec::store("lpushx", -3, ONE_KEY, Form::grows(LIST).at(Newest::Left)).fast().doc(
        Group::List,
        "2.2.0",
        "Puts elements before the first of a list that is there.",
    ),
    Spec::store("lrange", 4, ONE_KEY, Form::reads(LIST)).doc(
        Group::List,
        "1.0.0",
        "Elements from one place to another.",
    ),
    Spec::store("lrem", 4, ONE_KEY, Form::shrinks(LIST)).doc(Group::List, "1.0.0", "Removes elements that are equal."),
    Spec::store("lset", 4, ONE_KEY, Form::grows(LIST)).doc(Group::List, "1.0.0", "Writes an element."),
    Spec::store("ltrim", 4, ONE_KEY, Form::shrinks(LIST)).doc(
        Group::List,
        "1.0.0",
        "Leaves the elements from one place to another.",
    ),
    Spec::store("msetnx", -3, PAIRS, Form::moves(Wanted::String, Grows::All)).doc(
        Group::String,
        "1.0.1",
        "Writes many values if none of the keys exists.",
    ),
    Spec::session("multi", 1, transaction::multi).fast().doc(Group::Transactions, "1.2.0", "Begins a transaction."),
    Spec::container("object", OBJECT).doc(Group::Generic, "2.2.3", "How the store keeps a value."),
    Spec::read("randomkey", 1, NO_KEYS, space::random).doc(Group::Generic, "1.0.0", "A key that chance picks."),
    Spec::store("rename", 3, TWO_KEYS, Form::moves(Wanted::Any, Grows::Nothing)).doc(
        Group::Generic,
        "1.0.0",
        "Gives a key another name.",
    ),
    Spec::store("renamenx", 3, TWO_KEYS, Form::moves(Wanted::Any, Grows::Nothing)).fast().doc(
        Group::Generic,
        "1.0.0",
        "Gives a key another name if that is free.",
    ),
    Spec::store("rpop", -2, ONE_KEY, Form::shrinks(LIST)).fast().doc(Group::List, "1.0.0", "Takes the last elements."),
    Spec::store("rpoplpush", 3, TWO_KEYS, Form::moves(LIST, Grows::Key(1)).at(Newest::Left)).doc(
        Group::List,
        "1.2.0",
        "Moves the last element to the front of another list.",
    ),
    Spec::store("rpush", -3, ONE_KEY, Form::grows(LIST).at(Newest::Right)).fast().doc(
        Group::List,
        "1.0.0",
        "Puts elements behind the last.",
    ),
    Spec::store("rpushx", -3, ONE_KEY, Form::grows(LIST).at(Newest::Right)).fast().doc(
        Group::List,
        "2.2.0",
        "Puts elements behind the last of a list that is there.",
    ),
    Spec::store("sadd", -3, ONE_KEY, Form::grows(SET)).fast().doc(Group::Set, "1.0.0", "Adds members."),
    Spec::read("scan", -2, NO_KEYS, space::scan).doc(Group::Generic, "2.8.0", "Goes through the keys."),
    Spec::store("scard", 2, ONE_KEY, Form::reads(SET)).fast().doc(Group::Set, "1.0.0", "How many members there are."),
    Spec::store("sdiff", -2, ALL_KEYS, Form::reads(SET)).doc(
        Group::Set,
        "1.0.0",
        "The members of the first set that no other has.",
    ),
    Spec::store("sdiffstore", -3, ALL_KEYS, Form::grows(SET)).doc(Group::Set, "1.0.0", "The same, as a set."),
    Spec::write("setrange", 4, ONE_KEY, strings::set_range).doc(Group::String, "2.2.0", "Writes over part of a value."),
    Spec::store("sinter", -2, ALL_KEYS, Form::reads(SET)).doc(Group::Set, "1.0.0", "The members that all sets have."),
    Spec::store("sintercard", -3, COUNTED, Form::reads(SET)).doc(
        Group::Set,
        "7.0.0",
        "How many members all sets have.",
    ),
    Spec::store("sinterstore", -3, ALL_KEYS, Form::grows(SET)).doc(
        Group::Set,
        "1.0.0",
        "The members that all sets have, as a set.",
    ),
    Spec::store("sismember", 3, ONE_KEY, Form::reads(SET)).fast().doc(
        Group::Set,
        "1.0.0",
        "Whether a set has a member.",
    ),
    Spec::store("smembers", 2, ONE_KEY, Form::reads(SET)).doc(Group::Set, "1.0.0", "All members."),
    Spec::store("smismember", -3, ONE_KEY, Form::reads(SET)).fast().doc(
        Group::Set,
        "6.2.0",
        "Which of these a set has.",
    ),
    Spec::store("smove", 4, TWO_KEYS, Form::moves(SET, Grows::Key(1))).fast().doc(
        Group::Set,
        "1.0.0",
        "Moves a member to another set.",
    ),
    Spec::store("spop", -2, ONE_KEY, Form::shrinks(SET)).fast().doc(
        Group::Set,
        "1.0.0",
        "Takes members that chance picks.",
    ),
    Spec::store("srandmember", -2, ONE_KEY, Form::reads(SET)).doc(Group::Set, "1.0.0", "Members that chance picks."),
    Spec::store("srem", -3, ONE_KEY, Form::shrinks(SET)).fast().doc(Group::Set, "1.0.0", "Removes members."),
    Spec::store("sscan", -3, ONE_KEY, Form::reads(SET)).doc(Group::Set, "2.8.0", "Goes through the members."),
    Spec::read("substr", 4, ONE_KEY, strings::get_range).doc(Group::String, "1.0.0", "Part of a value."),
    Spec::store("sunion", -2, ALL_KEYS, Form::reads(SET)).doc(Group::Set, "1.0.0", "The members that any set has."),
    Spec::store("sunionstore", -3, ALL_KEYS, Form::grows(SET)).doc(Group::Set, "1.0.0", "The same, as a set."),
    Spec::store("touch", -2, ALL_KEYS, Form::reads(Wanted::Any).apart()).fast().doc(
        Group::Generic,
        "3.2.1",
        "How many of the keys exist; notes their use.",
    ),
    Spec::session("unwatch", 1, transaction::unwatch).fast().doc(
        Group::Transactions,
        "2.2.0",
        "Forgets what is watched.",
    ),
    Spec::turn("watch", -2, ALL_KEYS, transaction::watch).fast().doc(
        Group::Transactions,
        "2.2.0",
        "Lets the next transaction fail if a key is changed.",
    ),
];

const OBJECT: &[Spec] = &[
    Spec::store("object|encoding", 3, SECOND_KEY, Form::reads(Wanted::Any)).doc(
        Group::Generic,
        "2.2.3",
        "(key) How the store keeps a value.",
    ),
    Spec::store("object|freq", 3, SECOND_KEY, Form::reads(Wanted::Any)).doc(
        Group::Generic,
        "4.0.0",
        "(key) How often a value is used, where the store counts it.",
    ),
    Spec::session("object|help", 2, help).doc(Group::Generic, "6.2.0", "This list."),
    Spec::store("object|idletime", 3, SECOND_KEY, Form::reads(Wanted::Any)).doc(
        Group::Generic,
        "2.2.3",
        "(key) Seconds since a value was used.",
    ),
    Spec::store("object|refcount", 3, SECOND_KEY, Form::reads(Wanted::Any)).doc(
        Group::Generic,
        "2.2.3",
        "(key) How often the store refers to a value.",
    ),
];

//! `interface serializer` of `wit/parts.wit`, served by the host: the one flat `message` record between the component model
//! and the structs of `core/base/types.h`.
//!
//! A guest's values are views of its memory, and C's values are borrowed: a value is copied once, by whoever packs it.
//! Numbers that stand for kinds are checked where they pass: by the component model on the way in, by `of` on the way out.

use super::*;

// ---- The records of wit/types.wit, which with lists and kinds of C's are the structs of core/base/types.h ---------------

macro_rules! record {
    ($name:ident $(<$($parameter:ident),*>)?: $($field:ident $type:ty)*) => {
        #[derive(ComponentType, Lift, Lower, Clone, Copy)]
        #[component(record)]
        #[repr(C)]
        pub struct $name $(<$($parameter),*>)? {
            $($field: $type,)*
        }
    };
}
record!(Ballot: round u64  node u32  incarnation u32);
record!(BatchId: origin u32  incarnation u32  number u64);
record!(Payload<Words>: words Words  len u32);
record!(Entry<Kind, Words>: slot u64  ballot Ballot  kind Kind  value Payload<Words>);
record!(Message<Kind, Entries>: kind Kind  flags u8  ballot Ballot  from u64  to u64  floor u64  chosen u64  batch BatchId
    entries Entries);
record!(Outgoing<Message>: to u64  after u64  message Message);
record!(Delivery<Message>: sender u32  message Message);
record!(Decoded<Messages, Senders>: messages Messages  bad Senders);

/// An enum of WIT, which is a `uint8_t` to C.
macro_rules! kinds {
    ($name:ident: $($case:ident $wit:tt)*) => {
        #[derive(ComponentType, Lift, Lower, Clone, Copy)]
        #[component(enum)]
        #[repr(u8)]
        enum $name {
            $(#[component(name = $wit)] $case,)*
        }
        impl $name {
            fn of(kind: u8) -> Result<Self> {
                let kinds = [$($name::$case),*];
                kinds.get(kind as usize).copied().ok_or_else(|| format_err!("{} {kind}: there is none", stringify!($name)))
            }
        }
    };
}
kinds!(EntryKind: Noop "noop" Commands "commands" Configuration "configuration" Upgrade "upgrade");
kinds!(MessageKind: Prepare "prepare" Promise "promise" Accept "accept" Accepted "accepted" Nack "nack"
    Heartbeat "heartbeat" Alive "alive" Ask "ask" Lost "lost" Chosen "chosen" LearnRequest "learn-request" Learn "learn"
    ResultRequest "result-request" Executed "executed" Progress "progress" Forward "forward"
    Handover "handover" Snapshot "snapshot" SnapshotFetch "snapshot-fetch" SnapshotPart "snapshot-part"
    Configuration "configuration" ReadRound "read-round" ReadConfirmed "read-confirmed" Query "query"
    QueryAnswer "query-answer" ReadIndex "read-index");

// From a guest: values are views of its memory.
type MessageView = Message<MessageKind, Vec<Entry<EntryKind, WasmList<u64>>>>;
type MessageOut = Message<MessageKind, Vec<Entry<EntryKind, Words>>>; // to a guest: values are C's memory
type CEntry = Entry<u8, List<u64>>;
type CMessage = Message<u8, List<CEntry>>;
type CDecoded = Decoded<List<Delivery<CMessage>>, List<u32>>;

// host/wasmtime_typed.h asserts the same numbers of C's structs.
const _: () = assert!(size_of::<CEntry>() == 56 && size_of::<CMessage>() == 88);
const _: () = assert!(size_of::<Outgoing<CMessage>>() == 104 && size_of::<Delivery<CMessage>>() == 96);

impl<K, E> Message<K, E> {
    fn with<K2, E2>(&self, kind: K2, entries: E2) -> Message<K2, E2> {
        let &Message { flags, ballot, from, to, floor, chosen, batch, .. } = self;
        Message { kind, flags, ballot, from, to, floor, chosen, batch, entries }
    }
}

/// From a guest to C.
fn see_entry(e: &Entry<EntryKind, WasmList<u64>>, context: &Context<'_>) -> Result<CEntry> {
    let words =
        checked(e.value.len, e.value.words.as_le_slice(context)).map_err(|x| x.context(format!("slot {}", e.slot)))?;
    Ok(Entry { slot: e.slot, ballot: e.ballot, kind: e.kind as u8, value: Payload { words, len: e.value.len } })
}

/// Calls `then` with the messages as C sees them, which live as long as the call.
fn see<R>(
    messages: &[Outgoing<MessageView>], context: &Context<'_>, then: impl FnOnce(&[Outgoing<CMessage>]) -> R,
) -> Result<R> {
    let entries = messages.iter().flat_map(|o| &o.message.entries).map(|e| see_entry(e, context));
    let entries = entries.collect::<Result<Vec<_>>>()?;
    let mut rest = &entries[..];
    let seen = messages.iter().map(|o| {
        let (own, others) = rest.split_at(o.message.entries.len());
        rest = others;
        Outgoing { to: o.to, after: o.after, message: o.message.with(o.message.kind as u8, List::of(own)) }
    });
    Ok(then(&seen.collect::<Vec<_>>()))
}

/// From C to a guest. Safety as for `List::get`.
unsafe fn give_entry(e: &CEntry) -> Result<Entry<EntryKind, Words>> {
    let value = Payload { words: unsafe { words(&e.value.words, e.value.len) }?, len: e.value.len };
    Ok(Entry { slot: e.slot, ballot: e.ballot, kind: EntryKind::of(e.kind)?, value })
}

unsafe fn give_message(m: &CMessage) -> Result<MessageOut> {
    let entries = unsafe { m.entries.get("entries") }?;
    let entries = entries.iter().map(|e| unsafe { give_entry(e) }).collect::<Result<_>>()?;
    Ok(m.with(MessageKind::of(m.kind)?, entries))
}

unsafe fn give(decoded: &CDecoded) -> Result<Decoded<Vec<Delivery<MessageOut>>, &'static [u32]>> {
    let messages = unsafe { decoded.messages.get("messages") }?.iter();
    let messages = messages.map(|d| Ok(Delivery { sender: d.sender, message: unsafe { give_message(&d.message) }? }));
    Ok(Decoded { messages: messages.collect::<Result<_>>()?, bad: unsafe { decoded.bad.get("senders") }? })
}

// ---- The two functions ------------------------------------------------------------------------------------------------

type Encode = extern "C" fn(env: *mut c_void, messages: *const Outgoing<CMessage>, count: usize, call: &mut Call) -> i32;
type Decode = extern "C" fn(env: *mut c_void, call: &mut Call, decoded: &mut CDecoded) -> i32;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn typed_define_serializer(
    instance: *mut c_void, encode: Encode, decode: Decode, env: *mut c_void, message: *mut *mut c_char,
) -> i32 {
    let env = Env::of(env);
    let to = unsafe { linker_instance(instance) };
    let encode = to.func_wrap("encode", move |context: Context<'_>, (messages,): (Vec<Outgoing<MessageView>>,)| {
        let mut call = Call::empty();
        let code = see(&messages, &context, |m| encode(env.get(), m.as_ptr(), m.len(), &mut call))?;
        unsafe { outcome(&call, code)? };
        Ok((unsafe { borrow(&call.result_packets) }?,))
    });
    let decode = to.func_wrap("decode", move |context: Context<'_>, (bodies,): (Vec<PacketView>,)| {
        let bodies = views(&bodies, &context)?;
        let mut call = Call { packets: List::of(&bodies), ..Call::empty() };
        let mut decoded: CDecoded = Decoded { messages: List::of(&[]), bad: List::of(&[]) };
        let code = decode(env.get(), &mut call, &mut decoded);
        unsafe { outcome(&call, code)? };
        Ok((unsafe { give(&decoded) }?,))
    });
    unsafe { report(encode.and(decode), message) }
}

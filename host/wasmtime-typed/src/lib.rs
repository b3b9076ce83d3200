//! Typed component calls for the C host, and Wasmtime's whole C API beside them, as one static library.
//!
//! The C API of Wasmtime 48 calls components through dynamic values, which cost about 120 ns a *byte* of a list. This
//! crate binds the few call shapes that Synod uses to statically typed calls, where a list of 64-bit words is copied in bulk
//! or only looked at. It knows shapes, not interfaces. `host/wasmtime_typed.h` is its C side, with the contract of every
//! function.
//!
//! A shape is (zero to three `u64` scalars, then perhaps a `list<packet>`) -> nothing | `u64` | `list<packet>` |
//! `result<_, string>` | `result`. The same shapes serve in both directions:
//!
//! - *host functions*, which a guest calls (`typed_define`): its packets are views of the guest's memory, and what the
//!   C callback gives is lowered straight from C's memory;
//! - *guest functions*, which the host calls (`typed_func_*`): arguments are lowered straight from C's memory. Results are
//!   `Vec`s, one bulk copy each, because Wasmtime 48 runs the guest's post-return before `call` returns.
//!
//! Beside the shapes: whole messages for a serializer in the host (`message.rs`), and what nodes over WASI need (`wasi.rs`).
//!
//! No panic may cross into C: the profile says `panic = "abort"`, and nothing here unwraps.

pub use wasmtime_c_api::*;

mod message;
mod wasi;

use std::ffi::{CStr, CString, c_char, c_void};
use std::{mem, ptr, slice};
use wasmtime::component::{ComponentNamedList, ComponentType, Instance, Lift, LinkerInstance, Lower, WasmList, WasmStr};
use wasmtime::{AsContextMut, Error, Result, Store, StoreContextMut, Trap, UpdateDeadline, bail, format_err};

type Data = WasmtimeStoreData;
type Context<'a> = StoreContextMut<'a, Data>; // what C calls wasmtime_context_t *

// ---- Shared with C: keep in step with host/wasmtime_typed.h -----------------------------------------------------------

const OK: i32 = 0;
const REFUSED: i32 = 1;
const INTERRUPTED: i32 = 2;
const OUT_OF_FUEL: i32 = 3;
const TRAP: i32 = 4;
const HOST: i32 = 5;
const ERROR: i32 = 6;

const GIVES_NOTHING: u8 = 0;
const GIVES_U64: u8 = 1;
const GIVES_PACKETS: u8 = 2;
const GIVES_STATUS: u8 = 3;
const GIVES_RESULT: u8 = 4;

#[repr(C)]
pub struct Shape {
    scalars: u8,
    packets: bool,
    gives: u8,
}

/// A list as C has it: `struct words`, `struct packet_list` and the like.
#[repr(C)]
pub struct List<T> {
    ptr: *const T,
    len: usize,
}

impl<T> List<T> {
    fn of(items: &[T]) -> Self {
        List { ptr: items.as_ptr(), len: items.len() }
    }
    /// Borrows what C gave. Safety: it lives until what was made of it has been lowered, see `typed_callback`.
    unsafe fn get(&self, what: &str) -> Result<&'static [T]> {
        let List { ptr, len } = *self;
        match len {
            0 => Ok(&[]),
            _ if ptr.is_null() || !ptr.is_aligned() => bail!("{len} {what} at {ptr:p}: NULL, or not aligned"),
            _ => Ok(unsafe { slice::from_raw_parts(ptr, len) }),
        }
    }
}

/// `struct typed_call`: one call's arguments, and then its results.
#[repr(C)]
pub struct Call {
    scalars: [u64; 3],
    packets: List<CPacket>,
    result: u64,
    result_packets: List<CPacket>,
    error: *const c_char,
}

impl Call {
    fn empty() -> Self {
        unsafe { mem::zeroed() } // numbers and pointers: zero is "nothing" for each
    }
}

type Callback = extern "C" fn(env: *mut c_void, context: Context<'_>, call: &mut Call) -> i32;
type LogCallback = extern "C" fn(env: *mut c_void, level: u32, text: *const u8, len: usize);
type DeadlineCallback = extern "C" fn(env: *mut c_void) -> u64;

/// A pointer of C's on its way into a closure. Wasmtime wants closures that may be sent to other threads, which a number
/// may;
/// the header makes threads C's business.
#[derive(Clone, Copy)]
struct Env(usize);

impl Env {
    fn of(env: *mut c_void) -> Self {
        Env(env.expose_provenance())
    }
    fn get(self) -> *mut c_void {
        ptr::with_exposed_provenance_mut(self.0)
    }
}

// ---- The record `packet`, as each direction sees it -------------------------------------------------------------------

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
#[repr(C)]
pub struct Packet<Words> {
    id: u64,
    kind: u32,
    len: u32,
    words: Words,
}

impl<W> Packet<W> {
    fn with<V>(&self, words: V) -> Packet<V> {
        Packet { id: self.id, kind: self.kind, len: self.len, words }
    }
}

type CPacket = Packet<List<u64>>; // `struct packet`: `words` holds `(len + 7) / 8` words
type Words = &'static [u64]; // C's memory, borrowed until the call that lowers it has returned
type PacketView = Packet<WasmList<u64>>; // an argument of a host function: a view of the guest's memory
type PacketOut = Packet<Words>; // to a guest
type PacketBack = Packet<Vec<u64>>; // a result of a guest function: our own copy

/// Checks what a guest claims: `len` bytes need exactly that many words, so that C never reads past them.
fn checked(len: u32, words: &[u64]) -> Result<List<u64>> {
    if words.len() != (len as usize).div_ceil(8) {
        bail!("{len} bytes are claimed to be in {} words", words.len());
    }
    Ok(List::of(words))
}

fn view<W>(packet: &Packet<W>, words: &[u64]) -> Result<CPacket> {
    let words =
        checked(packet.len, words).map_err(|e| e.context(format!("packet {} of kind {}", packet.id, packet.kind)))?;
    Ok(packet.with(words))
}

fn views(packets: &[PacketView], context: &Context<'_>) -> Result<Vec<CPacket>> {
    packets.iter().map(|p| view(p, p.words.as_le_slice(context))).collect()
}

/// Borrows C's packets; safety as for `List::get`.
unsafe fn borrow(packets: &List<CPacket>) -> Result<Vec<PacketOut>> {
    let packets = unsafe { packets.get("packets") }?;
    packets.iter().map(|p| Ok(p.with(unsafe { words(&p.words, p.len) }?))).collect()
}

unsafe fn words(list: &List<u64>, len: u32) -> Result<Words> {
    let words = unsafe { list.get("words") }?;
    checked(len, words)?;
    Ok(words)
}

// ---- Parameters: zero to three scalars, then perhaps packets ----------------------------------------------------------

/// Parameters that a host function gets from a guest.
trait Taken: ComponentNamedList + Lift + Sized + 'static {
    fn take(self, context: &Context<'_>, call: &mut Call) -> Result<Vec<CPacket>>;
}
/// Parameters that a guest function gets from the host.
trait Made: ComponentNamedList + Lower + Sized + 'static {
    unsafe fn make(call: &Call) -> Result<Self>;
}

macro_rules! parameters {
    ([$($at:tt $scalar:ty),*], $last:tt) => {
        impl Taken for ($($scalar,)*) {
            fn take(self, _: &Context<'_>, _call: &mut Call) -> Result<Vec<CPacket>> {
                $(_call.scalars[$at] = self.$at;)*
                Ok(Vec::new())
            }
        }
        impl Taken for ($($scalar,)* Vec<PacketView>,) {
            fn take(self, context: &Context<'_>, _call: &mut Call) -> Result<Vec<CPacket>> {
                $(_call.scalars[$at] = self.$at;)*
                views(&self.$last, context)
            }
        }
        impl Made for ($($scalar,)*) {
            unsafe fn make(_call: &Call) -> Result<Self> {
                Ok(($(_call.scalars[$at],)*))
            }
        }
        impl Made for ($($scalar,)* Vec<PacketOut>,) {
            unsafe fn make(call: &Call) -> Result<Self> {
                Ok(($(call.scalars[$at],)* unsafe { borrow(&call.packets) }?,))
            }
        }
    };
}
parameters!([], 0);
parameters!([0 u64], 1);
parameters!([0 u64, 1 u64], 2);
parameters!([0 u64, 1 u64, 2 u64], 3);

/// Calls `$function::<parameters, $result>(arguments)` with the parameter types of a shape.
macro_rules! with_parameters {
    ($shape:expr, $packet:ty, $result:ty, $function:ident($($argument:expr),*)) => {
        match ($shape.scalars, $shape.packets) {
            (0, false) => $function::<(), $result>($($argument),*),
            (1, false) => $function::<(u64,), $result>($($argument),*),
            (2, false) => $function::<(u64, u64), $result>($($argument),*),
            (3, false) => $function::<(u64, u64, u64), $result>($($argument),*),
            (0, true) => $function::<(Vec<$packet>,), $result>($($argument),*),
            (1, true) => $function::<(u64, Vec<$packet>), $result>($($argument),*),
            (2, true) => $function::<(u64, u64, Vec<$packet>), $result>($($argument),*),
            (3, true) => $function::<(u64, u64, u64, Vec<$packet>), $result>($($argument),*),
            _ => Err(format_err!("a shape has at most three scalars")),
        }
    };
}

// ---- Host functions ---------------------------------------------------------------------------------------------------

/// Results that a host function gives to a guest.
trait Given: ComponentNamedList + Lower + Sized + 'static {
    unsafe fn give(call: &Call) -> Result<Self>;
}

#[rustfmt::skip]
mod given {
    use super::*;
    impl Given for () { unsafe fn give(_: &Call) -> Result<Self> { Ok(()) } }
    impl Given for (u64,) { unsafe fn give(call: &Call) -> Result<Self> { Ok((call.result,)) } }
    impl Given for (Vec<PacketOut>,) {
        unsafe fn give(call: &Call) -> Result<Self> { Ok((unsafe { borrow(&call.result_packets) }?,)) }
    }
}

/// A callback's own failure, told apart from the guest's traps.
#[derive(Debug)]
struct HostError(String);

impl std::error::Error for HostError {}
#[rustfmt::skip]
impl std::fmt::Display for HostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) }
}

/// Whether a callback did what it was called for.
unsafe fn outcome(call: &Call, code: i32) -> Result<()> {
    match code {
        0.. => Ok(()),
        _ if call.error.is_null() => Err(HostError(format!("error {code}")).into()),
        _ => Err(HostError(unsafe { CStr::from_ptr(call.error) }.to_string_lossy().into_owned()).into()),
    }
}

fn define<P: Taken, R: Given>(
    instance: &mut LinkerInstance<'_, Data>, name: &str, callback: Callback, env: Env,
) -> Result<()> {
    instance.func_wrap(name, move |mut context: Context<'_>, parameters: P| -> Result<R> {
        let mut call = Call::empty();
        let packets = parameters.take(&context, &mut call)?;
        call.packets = List::of(&packets);
        let code = callback(env.get(), context.as_context_mut(), &mut call);
        unsafe { outcome(&call, code)? };
        unsafe { R::give(&call) }
    })
}

/// Safety, here and below: pointers come from C as `host/wasmtime_typed.h` demands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn typed_define(
    instance: *mut c_void, name: *const c_char, shape: Shape, callback: Callback, env: *mut c_void,
    message: *mut *mut c_char,
) -> i32 {
    let env = Env::of(env);
    let define = |name: &str| {
        let to = unsafe { linker_instance(instance) };
        match shape.gives {
            GIVES_NOTHING => with_parameters!(shape, PacketView, (), define(to, name, callback, env)),
            GIVES_U64 => with_parameters!(shape, PacketView, (u64,), define(to, name, callback, env)),
            GIVES_PACKETS => with_parameters!(shape, PacketView, (Vec<PacketOut>,), define(to, name, callback, env)),
            other => Err(format_err!("a host function cannot give {other}")),
        }
    };
    unsafe { report(text(name).and_then(define), message) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn typed_define_log(
    instance: *mut c_void, name: *const c_char, callback: LogCallback, env: *mut c_void, message: *mut *mut c_char,
) -> i32 {
    let env = Env::of(env);
    let define = |name: &str| {
        let to = unsafe { linker_instance(instance) };
        to.func_wrap(name, move |context: Context<'_>, (level, text): (u32, WasmStr)| {
            let text = text.to_str(&context)?;
            callback(env.get(), level, text.as_ptr(), text.len());
            Ok(())
        })
    };
    unsafe { report(text(name).and_then(define), message) }
}

/// `wasmtime_component_linker_instance_t` is a transparent wrapper whose field is private to the C API's crate.
unsafe fn linker_instance<'a>(instance: *mut c_void) -> &'a mut LinkerInstance<'a, Data> {
    unsafe { &mut *instance.cast() }
}
const _: () = assert!(size_of::<wasmtime_component_linker_instance_t<'_>>() == size_of::<LinkerInstance<'_, Data>>());

// ---- Guest functions --------------------------------------------------------------------------------------------------

#[derive(Default)]
struct Answer {
    result: u64,
    packets: Vec<PacketBack>,
    refused: Option<String>,
}

/// Results that the host gets from a guest function.
trait Received: ComponentNamedList + Lift + Sized + 'static {
    fn receive(self) -> Answer;
}

#[rustfmt::skip]
mod received {
    use super::*;
    impl Received for () { fn receive(self) -> Answer { Answer::default() } }
    impl Received for (u64,) { fn receive(self) -> Answer { Answer { result: self.0, ..Answer::default() } } }
    impl Received for (Vec<PacketBack>,) { fn receive(self) -> Answer { Answer { packets: self.0, ..Answer::default() } } }
    impl Received for (Result<(), String>,) {
        fn receive(self) -> Answer { Answer { refused: self.0.err(), ..Answer::default() } }
    }
    impl Received for (Result<(), ()>,) {
        fn receive(self) -> Answer {
            Answer { refused: self.0.err().map(|()| "it says that it failed".to_owned()), ..Answer::default() }
        }
    }
}

type BoxedCall = Box<dyn Fn(Context<'_>, &Call) -> Result<Answer>>;
/// `typed_func`: a looked-up function, and the packets of its last result, which C still reads.
pub struct Func {
    call: BoxedCall,
    kept: Vec<PacketBack>,
    view: Vec<CPacket>,
}

impl Func {
    fn call(&mut self, context: Context<'_>, call: &mut Call) -> Result<Option<String>> {
        let answer = (self.call)(context, call)?;
        self.kept = answer.packets;
        self.view = self.kept.iter().map(|p| view(p, &p.words)).collect::<Result<_>>()?;
        call.result = answer.result;
        call.result_packets = List::of(&self.view);
        Ok(answer.refused)
    }
}

fn find<P: Made, R: Received>(mut context: Context<'_>, instance: &Instance, path: (&str, &str)) -> Result<BoxedCall> {
    let index = instance.get_export_index(&mut context, None, path.0);
    let index = index.and_then(|i| instance.get_export_index(&mut context, Some(&i), path.1));
    let Some(index) = index else { bail!("the component exports no {}#{}", path.0, path.1) };
    let func = instance.get_typed_func::<P, R>(&mut context, &index)?;
    Ok(Box::new(move |context, call| Ok(func.call(context, unsafe { P::make(call) }?)?.receive())))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn typed_func_new(
    context: Context<'_>, instance: &Instance, interface: *const c_char, function: *const c_char, shape: Shape,
    message: *mut *mut c_char,
) -> Option<Box<Func>> {
    let find = |interface: &str, function: &str| {
        let path = (interface, function);
        match shape.gives {
            GIVES_NOTHING => with_parameters!(shape, PacketOut, (), find(context, instance, path)),
            GIVES_U64 => with_parameters!(shape, PacketOut, (u64,), find(context, instance, path)),
            GIVES_PACKETS => with_parameters!(shape, PacketOut, (Vec<PacketBack>,), find(context, instance, path)),
            GIVES_STATUS => with_parameters!(shape, PacketOut, (Result<(), String>,), find(context, instance, path)),
            GIVES_RESULT => with_parameters!(shape, PacketOut, (Result<(), ()>,), find(context, instance, path)),
            other => Err(format_err!("a guest function cannot give {other}")),
        }
    };
    let found = unsafe { text(interface).and_then(|i| find(i, text(function)?)) };
    let mut func = None;
    let found = found.map(|call| func = Some(Box::new(Func { call, kept: Vec::new(), view: Vec::new() })));
    unsafe { report(found, message) };
    func
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn typed_func_call(
    func: &mut Func, context: Context<'_>, call: &mut Call, message: *mut *mut c_char,
) -> i32 {
    match func.call(context, call) {
        Ok(Some(why)) => unsafe { hand_over(why, REFUSED, message) },
        other => unsafe { report(other.map(|_| ()), message) },
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn typed_func_free(_: Option<Box<Func>>) {}

// ---- Deadlines --------------------------------------------------------------------------------------------------------

// The C API has such a callback, too, but none of its answers ends the guest's call as a passed deadline does.
const _: () = assert!(size_of::<wasmtime_store_t>() == size_of::<Store<Data>>());

#[unsafe(no_mangle)]
pub unsafe extern "C" fn typed_on_deadline(store: *mut wasmtime_store_t, callback: DeadlineCallback, env: *mut c_void) {
    let env = Env::of(env);
    let store = unsafe { &mut *store.cast::<Store<Data>>() };
    store.epoch_deadline_callback(move |_| match callback(env.get()) {
        0 => Ok(UpdateDeadline::Interrupt),
        ticks => Ok(UpdateDeadline::Continue(ticks)),
    });
}

// ---- Strings and errors -----------------------------------------------------------------------------------------------

unsafe fn text<'a>(string: *const c_char) -> Result<&'a str> {
    Ok(unsafe { CStr::from_ptr(string) }.to_str()?)
}

fn status(error: &Error) -> i32 {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => INTERRUPTED,
        Some(Trap::OutOfFuel) => OUT_OF_FUEL,
        Some(_) => TRAP,
        None if error.is::<HostError>() => HOST,
        None => ERROR,
    }
}

unsafe fn report(outcome: Result<()>, message: *mut *mut c_char) -> i32 {
    match outcome {
        Ok(()) => OK,
        Err(error) => unsafe { hand_over(format!("{error:?}"), status(&error), message) },
    }
}

/// Gives C a string of its own, if it asked for one, and passes the status through.
unsafe fn hand_over(text: String, status: i32, message: *mut *mut c_char) -> i32 {
    if !message.is_null() {
        let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
        unsafe { *message = text.into_raw() };
    }
    status
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn typed_message_free(message: *mut c_char) {
    drop((!message.is_null()).then(|| unsafe { CString::from_raw(message) }));
}

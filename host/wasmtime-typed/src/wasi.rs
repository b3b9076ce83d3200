//! WASI for a node: a sandbox with one folder and the sockets that C allows, and a pollable that stands for C's event loop.

use super::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use tokio::io::{Interest, unix::AsyncFd};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::runtime::{spawn_blocking, with_ambient_tokio_runtime};
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiView};

// ---- The sandbox ------------------------------------------------------------------------------------------------------

/// `struct typed_socket`: what a guest wants to do, and with which address.
#[repr(C)]
pub struct Socket {
    wish: u8,   // enum typed_socket_wish
    family: u8, // 4 or 6
    port: u16,
    address: [u8; 16],
}

type SocketCheck = extern "C" fn(env: *mut c_void, socket: &Socket, may_wait: bool) -> bool;
type Release = extern "C" fn(env: *mut c_void);

/// `struct typed_wasi`.
#[repr(C)]
pub struct Wasi {
    folder: *const c_char,
    tcp: bool,
    udp: bool,
    names: bool,
    check: SocketCheck,
    release: Release,
    env: *mut c_void,
}

/// What decides about sockets. Checks on other threads may outlive the store, so the last one releases it.
struct Judge {
    check: SocketCheck,
    release: Release,
    env: Env,
}

impl Drop for Judge {
    fn drop(&mut self) {
        (self.release)(self.env.get());
    }
}

impl Judge {
    fn allows(&self, to: SocketAddr, wish: SocketAddrUse, may_wait: bool) -> bool {
        let mut socket = Socket { wish: wish as u8, family: 6, port: to.port(), address: [0; 16] };
        match to.ip() {
            IpAddr::V4(ip) => {
                socket.family = 4;
                socket.address[..4].copy_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => socket.address = ip.octets(),
        }
        (self.check)(self.env.get(), &socket, may_wait)
    }
}

const _: () = assert!(SocketAddrUse::TcpBind as u8 == 0 && SocketAddrUse::UdpReceive as u8 == 6); // enum typed_socket_wish

// The C API's `wasi_config_t` wraps exactly one builder, of which it shows little.
const _: () = assert!(size_of::<wasi_config_t>() == size_of::<WasiCtxBuilder>());

unsafe fn set_wasi(context: Context<'_>, wasi: &Wasi) -> Result<()> {
    let judge = Arc::new(Judge { check: wasi.check, release: wasi.release, env: Env::of(wasi.env) });
    let mut config = wasi_config_new();
    let builder = unsafe { &mut *ptr::from_mut(&mut *config).cast::<WasiCtxBuilder>() };
    builder.allow_tcp(wasi.tcp).allow_udp(wasi.udp).allow_ip_name_lookup(wasi.names);
    let names = wasi.names;
    builder.socket_addr_check(move |to, wish| {
        let allowed = judge.allows(to, wish, !names);
        if allowed || !names {
            return Box::pin(std::future::ready(allowed));
        }
        let judge = judge.clone();
        Box::pin(spawn_blocking(move || judge.allows(to, wish, true)))
    });
    builder.allow_blocking_current_thread(true); // files are used on the node's own thread: two switches less a call
    if !wasi.folder.is_null() {
        builder.preopened_dir(unsafe { text(wasi.folder) }?, ".", FsPerms::ReadWrite)?;
    }
    match wasmtime_context_set_wasi(context, config) {
        Some(error) => Err((*error).into()),
        None => Ok(()),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn typed_wasi_set(context: Context<'_>, wasi: &Wasi, message: *mut *mut c_char) -> i32 {
    unsafe { report(set_wasi(context, wasi), message) }
}

// ---- The pollable -----------------------------------------------------------------------------------------------------

/// Ready while a descriptor is readable.
struct Readable(Arc<AsyncFd<OwnedFd>>);

#[wasmtime_wasi::async_trait]
impl Pollable for Readable {
    async fn ready(&mut self) {
        // What the runtime remembers may be over, since C reads the descriptor behind its back: so ask the system, too.
        while let Ok(mut guard) = self.0.readable().await {
            let mut asked = [PollFd::new(self.0.get_ref(), PollFlags::IN)];
            if poll(&mut asked, Some(&Timespec::default())) != Ok(0) {
                return;
            }
            guard.clear_ready();
        }
    }
}

unsafe fn define_pollable(instance: *mut c_void, name: &str, fd: i32) -> Result<()> {
    // A duplicate: the descriptor stays C's, and the runtime can watch for several stores at once.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?;
    let watch = || unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    let watched = Arc::new(with_ambient_tokio_runtime(watch).map_err(std::io::Error::from)?);
    let to = unsafe { linker_instance(instance) };
    to.func_wrap(name, move |mut context: Context<'_>, ()| {
        let table = context.data_mut().ctx().table;
        let readable = table.push(Readable(watched.clone()))?;
        let pollable: Resource<DynPollable> = subscribe(table, readable)?;
        Ok((pollable,))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn typed_define_pollable(
    instance: *mut c_void, name: *const c_char, fd: i32, message: *mut *mut c_char,
) -> i32 {
    unsafe { report(text(name).and_then(|name| define_pollable(instance, name, fd)), message) }
}

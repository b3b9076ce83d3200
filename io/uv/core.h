/* The inside of the two implementations of io/uv/list.h: what they have alike, and what each of them defines for that.
 *
 *   loop.c     iterations, timers, handles, requests that are done
 *   stream.c   connections that are being made, writes that wait
 *   lookup.c   lookups of names
 *   text.c     texts of errors and addresses
 *
 * Rules of the inside:
 * 1. Callbacks run from within uv_run only. What is done earlier is put on the loop's list of requests that are done.
 * 2. Handles are freed by their owners in close callbacks, requests in their own ones. Close callbacks run last in an
 *    iteration, so what was ready when it began is still there when its turn comes, if only to be found closed. */
#ifndef SYNOD_IO_UV_CORE_H
#define SYNOD_IO_UV_CORE_H

#include <uv.h>

/* ---- loop.c ---- */

void uvcore_handle_init(uv_loop_t *loop, uv_handle_t *handle, const struct uv__kind *kind);

/* Counts a request that has begun; `owner` is the handle it is about, or NULL. */
void uvcore_request_begin(uv_loop_t *loop, uv_req_t *request, uv_handle_t *owner, void (*call_back)(uv_req_t *request));
/* It is over: calls back in the next iteration. */
void uvcore_request_done(uv_loop_t *loop, uv_req_t *request, int status);
/* The same, at once: from within an iteration. */
void uvcore_request_end(uv_loop_t *loop, uv_req_t *request, int status);

/* ---- stream.c ---- */

void uvcore_connect_begin(uv_connect_t *request, uv_tcp_t *tcp, uv_connect_cb callback);
/* From within an iteration. */
void uvcore_connect_end(uv_tcp_t *tcp, int status);

/* Passes over buffers that are written. */
bool uvcore_cursor_is_at_end(struct uv__cursor *c);
/* The socket takes bytes again: from within an iteration. */
void uvcore_writes_go_on(uv_tcp_t *tcp);
/* The handle closes: its requests get UV_ECANCELED. */
void uvcore_stream_cancel(uv_tcp_t *tcp);

/* ---- lookup.c ---- */

/* Adds an address to what is found. */
void uvcore_lookup_add(uv_getaddrinfo_t *r, const struct sockaddr_storage *address, size_t size);

/* ---- What each implementation defines ---- */

/* The time. */
uint64_t uvsys_now_ms(const uv_loop_t *loop);
/* Lets everything that is ready do its work: a step of uv_run. */
void uvsys_poll(uv_loop_t *loop);
/* 0: bytes may be written; UV_EAGAIN: later; or why not at all. */
int uvsys_may_write(const uv_tcp_t *tcp);
/* Writes what the socket takes, perhaps nothing. Returns how many bytes, or an error if it took none. */
ssize_t uvsys_write_some(uv_tcp_t *tcp, struct uv__cursor *c);
/* Calls uvcore_writes_go_on when the socket takes bytes again, for as long as writes wait. */
void uvsys_await_room(uv_tcp_t *tcp);
/* Begins to look up a name. 0: all addresses are added; UV_EAGAIN: it is on its way; or an error. */
int uvsys_lookup_begin(uv_getaddrinfo_t *r, const char *name);
/* One that is on its way: waits until it is over, and returns 0 or an error. */
int uvsys_lookup_wait(uv_getaddrinfo_t *r);
/* One that is on its way: ends the request when it is over. */
void uvsys_lookup_watch(uv_getaddrinfo_t *r);
/* False: it is over. */
bool uvsys_lookup_cancel(uv_getaddrinfo_t *r);

#endif

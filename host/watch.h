/* Watches over a thread: notices, from a thread of its own, when no sign of life has come for too long. */
#ifndef SYNOD_HOST_WATCH_H
#define SYNOD_HOST_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct watch;

/* Signs are wanted more often than every `timeout` microseconds, from the first watch_expect on. `on_silence` is called when
 * there was none for that long, and again after each further one, with how often: 1, 2, ... False: there is no thread to be
 * had. */
bool watch_start(struct watch **out, uint64_t timeout, void (*on_silence)(void *context, unsigned times), void *context);

/* The time that must pass between signs at the most, so that none is missed, as of the start: microseconds. */
uint64_t watch_interval(const struct watch *w);

/* From its next look on, silence of another length is what counts; not shorter than the one of the start. Any thread. */
void watch_allow(struct watch *w, uint64_t timeout);

/* A sign of life. Any thread; costs next to nothing. */
void watch_sign(struct watch *w);

/* Whether signs are expected: not while the watched thread waits for something that takes its time, such as a disk. A sign,
 * too. */
void watch_expect(struct watch *w, bool expected);

/* When it returns, `on_silence` is not running and will not be called any more. */
void watch_stop(struct watch *w);

#endif

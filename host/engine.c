/* The engine: compiles components once, keeps them, and counts epochs.
 *
 * A turn that runs too long is ended by Wasmtime's epoch interruption: compiled code compares the engine's epoch with its
 * store's deadline at every loop and call, and one thread counts the epoch up. At each new epoch the host looks at a guest
 * that computes (host/node_deadline.c). The thread wakes four times in the shortest turn timeout, and every 250 ms at least,
 * whether or not anything runs. With the default of one second that is four times a second for a whole process. To note the
 * beginning and end of each turn would be more work. */
#include "host/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <wasmtime.h>

#include "core/base/memory.h"
#include "host/compiled_cache.h"

enum { COMPONENT_BYTES_MAX = 256 << 20 };
enum { TICKS_A_TIMEOUT = 4, TICK_MIN_US = 1000, TICK_MAX_US = 250000 };

/* Everything that changes what the compiler makes of a component. */
static const char SETTINGS[] = "wasmtime " WASMTIME_VERSION "; cranelift speed; epochs; memory 4 GiB, guard 32 MiB; 1";

struct compiled {
    struct compiled *next;
    wasmtime_component_t *component;
    bool loading; /* it is being loaded: `component` is not there yet */
    char file[];
};

struct engine {
    wasm_engine_t *wasm;
    struct engine_options options;
    int cache; /* descriptor of the folder, -1: none */
    uint64_t tick_us;
    pthread_t ticker;
    pthread_mutex_t ticker_lock; /* guards `stop` */
    pthread_cond_t stopping;
    bool stop;
    pthread_mutex_t lock;  /* guards what follows */
    pthread_cond_t loaded; /* a file has been loaded, or could not be */
    struct compiled *compiled;
    struct engine_statistics statistics;
};

static void notice(const struct engine *e, const char *text)
{
    if (e->options.on_notice != NULL)
        e->options.on_notice(e->options.context, text);
}

static void one_line(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r' || *c == '\t')
            *c = ' ';
}

bool engine_problem(struct problem *problem, int exit_code, const char *about, wasmtime_error_t *error)
{
    wasm_byte_vec_t message;
    wasmtime_error_message(error, &message);
    wasmtime_error_delete(error);
    problem_set(problem, exit_code, "%s: %.*s", about, (int)message.size, message.data);
    one_line(problem->text);
    wasm_byte_vec_delete(&message);
    return false;
}

/* Each tick is a full one after the last: a process that was stopped for a while does not catch up on its ticks, which would
 * end turns that have only begun. */
static void *tick(void *argument)
{
    struct engine *e = argument;
    pthread_mutex_lock(&e->ticker_lock);
    while (!e->stop) {
        struct timespec at;
        clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_nsec += (long)(e->tick_us * 1000);
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        if (pthread_cond_timedwait(&e->stopping, &e->ticker_lock, &at) == ETIMEDOUT)
            wasmtime_engine_increment_epoch(e->wasm);
    }
    pthread_mutex_unlock(&e->ticker_lock);
    return NULL;
}

static bool start_ticker(struct engine *e, struct problem *problem)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&e->stopping, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&e->ticker_lock, NULL);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->loaded, NULL);
    e->tick_us = e->options.turn_timeout / TICKS_A_TIMEOUT;
    if (e->tick_us < TICK_MIN_US)
        e->tick_us = TICK_MIN_US;
    if (e->tick_us > TICK_MAX_US)
        e->tick_us = TICK_MAX_US;
    int error = pthread_create(&e->ticker, NULL, tick, e);
    return error == 0 || problem_set(problem, EXIT_TROUBLE, "cannot start a thread: %s", strerror(error));
}

static wasm_engine_t *new_engine(void)
{
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT);
    wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_SPEED);
    wasmtime_config_parallel_compilation_set(config, true);
    wasmtime_config_epoch_interruption_set(config, true);
    wasmtime_config_wasm_component_model_set(config, true);
    wasmtime_config_concurrency_support_set(config, false); /* a node is one thread: no bookkeeping for guest tasks */
    /* Address space, not memory: with all of a 32-bit memory reserved and the guard after it, an access needs no check. */
    wasmtime_config_memory_reservation_set(config, UINT64_C(4) << 30);
    wasmtime_config_memory_guard_size_set(config, UINT64_C(32) << 20);
    wasmtime_config_memory_may_move_set(config, false);
    return wasm_engine_new_with_config(config);
}

bool engine_open(struct engine **out, const struct engine_options *options, struct problem *problem)
{
    char why[4300];
    struct engine *e = memory_new(1, sizeof *e);
    e->options = *options;
    e->wasm = new_engine();
    if (e->wasm == NULL) {
        free(e);
        return problem_set(problem, EXIT_TROUBLE, "Wasmtime does not start with these settings");
    }
    if (!start_ticker(e, problem)) {
        wasm_engine_delete(e->wasm);
        free(e);
        return false;
    }
    e->cache = compiled_cache_open(options->cache_folder, why, sizeof why);
    if (e->cache < 0) {
        char text[sizeof why + 64];
        snprintf(text, sizeof text, "compiled components are not kept: %s", why);
        notice(e, text);
    }
    *out = e;
    return true;
}

void engine_close(struct engine *e)
{
    pthread_mutex_lock(&e->ticker_lock);
    e->stop = true;
    pthread_cond_signal(&e->stopping);
    pthread_mutex_unlock(&e->ticker_lock);
    pthread_join(e->ticker, NULL);
    pthread_cond_destroy(&e->stopping);
    pthread_mutex_destroy(&e->ticker_lock);
    pthread_cond_destroy(&e->loaded);
    pthread_mutex_destroy(&e->lock);
    while (e->compiled != NULL) {
        struct compiled *c = e->compiled;
        e->compiled = c->next;
        wasmtime_component_delete(c->component);
        free(c);
    }
    if (e->cache >= 0)
        close(e->cache);
    wasm_engine_delete(e->wasm);
    free(e);
}

wasm_engine_t *engine_wasm(const struct engine *e) { return e->wasm; }

struct engine_statistics engine_statistics(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    struct engine_statistics statistics = e->statistics;
    pthread_mutex_unlock(&e->lock);
    return statistics;
}

static bool read_component(const char *file, uint8_t **bytes, size_t *len, struct problem *problem)
{
    struct stat status;
    int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        problem_set(problem, EXIT_BAD_INPUT, "component %s: %s", file, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (status.st_size > COMPONENT_BYTES_MAX) {
        close(fd);
        return problem_set(problem, EXIT_BAD_INPUT, "component %s: larger than %d MiB", file, COMPONENT_BYTES_MAX >> 20);
    }
    *len = (size_t)status.st_size;
    *bytes = memory_new(*len, 1);
    ssize_t got = S_ISREG(status.st_mode) ? read(fd, *bytes, *len) : -1;
    close(fd);
    if (got == (ssize_t)*len)
        return true;
    free(*bytes);
    return problem_set(problem, EXIT_BAD_INPUT, "component %s: it cannot be read as a whole", file);
}

/* A core module and a component begin alike. The error says which it is, because one is easily taken for the other. */
static bool looks_like_component(const char *file, const uint8_t *bytes, size_t len, struct problem *problem)
{
    static const uint8_t magic[4] = {0, 'a', 's', 'm'};
    if (len < 8 || memcmp(bytes, magic, sizeof magic) != 0)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: not a WebAssembly file", file);
    if (bytes[6] != 1 || bytes[7] != 0)
        return problem_set(problem, EXIT_BAD_INPUT,
                           "%s: a core module, not a component (`wasm-tools component new` makes one)", file);
    return true;
}

bool engine_read_component(const char *file, uint8_t **bytes, size_t *len, struct problem *problem)
{
    if (!read_component(file, bytes, len, problem))
        return false;
    if (looks_like_component(file, *bytes, *len, problem))
        return true;
    free(*bytes);
    return false;
}

static void count(struct engine *e, uint64_t *statistic)
{
    pthread_mutex_lock(&e->lock);
    ++*statistic;
    pthread_mutex_unlock(&e->lock);
}

static wasmtime_component_t *from_cache(struct engine *e, const uint8_t key[COMPILED_KEY_SIZE])
{
    wasmtime_component_t *component = NULL;
    size_t len;
    uint8_t *code = compiled_cache_get(e->cache, key, &len);
    if (code == NULL)
        return NULL;
    /* Wasmtime checks its own version, its settings and the processor's features here. */
    wasmtime_error_t *error = wasmtime_component_deserialize(e->wasm, code, len, &component);
    free(code);
    if (error != NULL) {
        wasmtime_error_delete(error);
        return NULL;
    }
    count(e, &e->statistics.from_cache);
    return component;
}

static void to_cache(struct engine *e, const uint8_t key[COMPILED_KEY_SIZE], const wasmtime_component_t *component)
{
    wasm_byte_vec_t code;
    wasmtime_error_t *error = wasmtime_component_serialize(component, &code);
    if (error != NULL) {
        wasmtime_error_delete(error);
        return;
    }
    if (!compiled_cache_put(e->cache, key, (const uint8_t *)code.data, code.size)) {
        char text[160];
        snprintf(text, sizeof text, "a compiled component could not be kept: %s", strerror(errno));
        notice(e, text);
    }
    wasm_byte_vec_delete(&code);
}

static bool compile(struct engine *e, const char *file, const uint8_t *bytes, size_t len, wasmtime_component_t **out,
                    struct problem *problem)
{
    char about[600];
    wasmtime_error_t *error = wasmtime_component_new(e->wasm, bytes, len, out);
    snprintf(about, sizeof about, "component %.500s", file);
    if (error != NULL)
        return engine_problem(problem, EXIT_BAD_INPUT, about, error);
    count(e, &e->statistics.compiled);
    return true;
}

/* The processes of a cluster that start together want the same code: the first one compiles it, the others wait and find
 * it. */
static bool compile_for_all(struct engine *e, const char *file, const uint8_t *bytes, size_t len,
                            const uint8_t key[COMPILED_KEY_SIZE], wasmtime_component_t **out, struct problem *problem)
{
    int lock = compiled_cache_lock(e->cache);
    *out = from_cache(e, key);
    bool sound = *out != NULL || compile(e, file, bytes, len, out, problem);
    if (sound)
        to_cache(e, key, *out);
    if (lock >= 0)
        close(lock);
    return sound;
}

static bool load(struct engine *e, const char *file, wasmtime_component_t **out, struct problem *problem)
{
    uint8_t *bytes, key[COMPILED_KEY_SIZE];
    size_t len;
    if (!engine_read_component(file, &bytes, &len, problem))
        return false;
    bool sound = true, keyed = e->cache >= 0 && compiled_cache_key(bytes, len, SETTINGS, key);
    *out = keyed ? from_cache(e, key) : NULL;
    if (*out == NULL)
        sound = keyed ? compile_for_all(e, file, bytes, len, key, out, problem) : compile(e, file, bytes, len, out, problem);
    free(bytes);
    return sound;
}

/* The entry of a file, once it is not being loaded; NULL: there is none. */
static struct compiled *find_loaded(struct engine *e, const char *file)
{
    for (;;) {
        struct compiled *c = e->compiled;
        while (c != NULL && strcmp(c->file, file) != 0)
            c = c->next;
        if (c == NULL || !c->loading)
            return c;
        pthread_cond_wait(&e->loaded, &e->lock);
    }
}

static struct compiled *add_loading(struct engine *e, const char *file)
{
    size_t len = strlen(file) + 1;
    struct compiled *c = memory_new(1, sizeof *c + len);
    memcpy(c->file, file, len);
    c->loading = true;
    c->next = e->compiled;
    e->compiled = c;
    return c;
}

static void forget(struct engine *e, struct compiled *gone)
{
    struct compiled **at = &e->compiled;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    free(gone);
}

/* Nodes that start together want the same file: one loads it, without the lock, so that nodes that want another file do not
 * wait. */
bool engine_component(struct engine *e, const char *file, const wasmtime_component_t **out, struct problem *problem)
{
    pthread_mutex_lock(&e->lock);
    struct compiled *c = find_loaded(e, file);
    bool sound = c != NULL;
    if (!sound) {
        c = add_loading(e, file);
        pthread_mutex_unlock(&e->lock);
        sound = load(e, file, &c->component, problem);
        pthread_mutex_lock(&e->lock);
        c->loading = false;
        pthread_cond_broadcast(&e->loaded);
    }
    if (sound)
        *out = c->component;
    else
        forget(e, c);
    pthread_mutex_unlock(&e->lock);
    return sound;
}

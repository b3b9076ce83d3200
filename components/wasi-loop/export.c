/* The loop of a node whose network is in the sandbox (`wasi:cli/run`).
 *
 *   turn -> the host's loop -> what each part waits for -> one poll of all that, the host and a timer -> the host's loop
 *    '-----------------------------------------------------------------------------------------------------------'
 *
 * The host's loop runs twice: before the wait, so that it begins at once what the turn has asked of it (a group of its
 * journal), and after the wait, so that the next turn finds what is done.
 *
 *  1. A turn comes when something is ready or a deadline has come: the runner's, a part's, the host's, or half a second. The
 *     last one is the loop's sign of life, and lets storage in the sandbox renew its lease.
 *  2. Pollables are made for one poll. They are dropped before the part that gave them is called again, because only then it
 *     may close what they belong to.
 *  3. `waiting: polling` (an experiment) does a turn every `tick` instead: parts do what there is to do, without a wait.
 *  4. When told to stop, the loop goes on until no client waits for an answer or half of the grace period is over. Then it
 *     goes on a little longer, for what is on its way out of the sockets. The runner hears of the stop by itself. */
#include "components/packet.h"
#include "core/base/memory.h"
#include "core/formats/config_frame.h"
#include "core/runners/ports.h"
#include "io/config_packet.h"
#include "io/logger.h"

enum {
    WAIT_MAX_US = 500000,
    LINGER_US = 100000,
};

/* The record `waits` of any part. */
struct waits {
    struct {
        wasi_io_poll_own_pollable_t *ptr;
        size_t len;
    } pollables;
    uint64_t timeout;
};
SAME_LAYOUT(struct waits, synod_paxos_network_server_waits_waits_t, pollables, pollables.ptr, pollables.len, timeout);
SAME_LAYOUT(struct waits, synod_paxos_network_client_waits_waits_t, pollables, pollables.ptr, pollables.len, timeout);
SAME_LAYOUT(struct waits, synod_paxos_client_server_waits_waits_t, pollables, pollables.ptr, pollables.len, timeout);
SAME_LAYOUT(wasi_io_poll_own_pollable_t, wasi_io_poll_borrow_pollable_t, __handle);
SAME_LIST(struct packet_list, synod_paxos_settings_list_packet_t);
SAME_LIST(struct packet_list, synod_paxos_identity_list_packet_t);
SAME_LIST(struct packet_list, synod_paxos_runner_list_packet_t);

struct loop {
    struct node_settings settings;
    struct logger *logger;
    /* What the next poll waits for. */
    wasi_io_poll_own_pollable_t *pollables;
    size_t pollable_count, pollable_capacity;
    uint64_t until; /* the latest end */
    /* The end of the loop; 0: not yet. */
    uint64_t stop_at;
    uint64_t end_at;
};

/* Lists that imports return go here; what is kept of them is copied. */
static struct arena results;

static uint64_t now_us(void) { return wasi_clocks_monotonic_clock_now() / 1000; }

static uint64_t later(uint64_t now, uint64_t duration) { return duration < UINT64_MAX - now ? now + duration : UINT64_MAX; }

static _Noreturn void fail(const struct loop *l, uint64_t exit_code, const char *text, size_t len)
{
    logger_log(l->logger, LOG_ERROR, "node", "%.*s", (int)len, text);
    synod_paxos_host_control_fail(exit_code);
    __builtin_trap();
}

/* ---- The beginning ---- */

static void get_settings(struct loop *l)
{
    static const char none[] = "what the host gave as settings is none, or of another version";
    struct packet_list list;
    shim_results_begin(&results);
    synod_paxos_settings_get((synod_paxos_settings_list_packet_t *)&list);
    shim_results_end();
    bool understood = list.len >= 1 && config_packet_decode(&list.ptr[0], &l->settings);
    l->logger = logger_new(l->settings.node, understood ? l->settings.config.log_level : LOG_ERROR);
    if (!understood)
        fail(l, EXIT_BAD_INPUT, none, sizeof none - 1);
}

/* Opens the data folder, in the host or the sandbox. Returns this life's incarnation. */
static uint32_t open_identity(struct loop *l)
{
    static const char none[] = "nobody says whose data folder this is";
    struct packet_list list;
    shim_results_begin(&results);
    synod_paxos_identity_open((synod_paxos_identity_list_packet_t *)&list);
    shim_results_end();
    if (list.len != 1)
        fail(l, EXIT_TROUBLE, none, sizeof none - 1);
    if (list.ptr->id == 0)
        fail(l, list.ptr->kind, (const char *)list.ptr->words.ptr, list.ptr->len);
    return list.ptr->kind;
}

static void start_runner(struct loop *l, uint32_t incarnation)
{
    uint64_t words[CONFIG_FRAME_WORDS];
    struct packet packet;
    struct node_config config = l->settings.config.node_config;
    world_string_t refusal;
    config.node = l->settings.node;
    config.incarnation = incarnation;
    config.seed = (struct seed){wasi_random_random_get_random_u64(), wasi_random_random_get_random_u64()};
    config_frame_encode(&config, words, &packet);
    struct packet_list list = {&packet, 1};
    shim_results_begin(&results);
    bool started = synod_paxos_runner_start((synod_paxos_runner_list_packet_t *)&list, &refusal);
    shim_results_end();
    if (!started)
        fail(l, EXIT_TROUBLE, (const char *)refusal.ptr, refusal.len);
}

static void say_started(const struct loop *l, uint32_t incarnation)
{
    const struct config_node *self = config_find(&l->settings.config, l->settings.node);
    bool polls = l->settings.config.waiting == WAITING_POLLING;
    logger_log(l->logger, LOG_INFO, "node",
               "started with its loop in the sandbox%s: %s, incarnation %u, nodes at %s port %u",
               polls ? ", which polls" : "", role_name(self->role), incarnation, self->address.host, self->address.port);
    if (self->client.host[0] != '\0')
        logger_log(l->logger, LOG_INFO, "node", "clients at %s port %u", self->client.host, self->client.port);
}

/* ---- Waiting ---- */

static void add_pollable(struct loop *l, wasi_io_poll_own_pollable_t pollable)
{
    l->pollables = memory_reserve(l->pollables, &l->pollable_capacity, l->pollable_count + 1, sizeof *l->pollables);
    l->pollables[l->pollable_count++] = pollable;
}

/* Ends the wait no later than `at`. */
static void until(struct loop *l, uint64_t at) { l->until = at < l->until ? at : l->until; }

static void add_waits(struct loop *l, const struct waits *w)
{
    for (size_t i = 0; i < w->pollables.len; i++)
        add_pollable(l, w->pollables.ptr[i]);
    until(l, later(now_us(), w->timeout));
}

/* Lets each part do what can be done, and asks what it waits for then. */
static void ask_parts(struct loop *l)
{
    struct waits w;
    shim_results_begin(&results);
    synod_paxos_network_server_waits_wait_for((synod_paxos_network_server_waits_waits_t *)&w);
    shim_results_end();
    add_waits(l, &w);
    shim_results_begin(&results);
    synod_paxos_network_client_waits_wait_for((synod_paxos_network_client_waits_waits_t *)&w);
    shim_results_end();
    add_waits(l, &w);
    shim_results_begin(&results);
    synod_paxos_client_server_waits_wait_for((synod_paxos_client_server_waits_waits_t *)&w);
    shim_results_end();
    add_waits(l, &w);
}

static void drop_pollables(struct loop *l)
{
    for (size_t i = 0; i < l->pollable_count; i++)
        wasi_io_poll_pollable_drop_own(l->pollables[i]);
    l->pollable_count = 0;
}

/* Returns when something is ready, or at `until`. */
static void wait(struct loop *l)
{
    if (l->settings.config.waiting == WAITING_POLLING) {
        drop_pollables(l);
        l->until = later(now_us(), l->settings.config.tick);
    } else if (l->until > now_us()) {
        add_pollable(l, synod_paxos_host_loop_subscribe());
    } else {
        drop_pollables(l);
        return;
    }
    wasi_loop_world_list_u32_t ready;
    add_pollable(l, wasi_clocks_monotonic_clock_subscribe_instant(l->until * 1000));
    /* An owned handle is a handle: borrowing it gives the same number. */
    wasi_io_poll_list_borrow_pollable_t all = {(wasi_io_poll_borrow_pollable_t *)l->pollables, l->pollable_count};
    shim_results_begin(&results);
    wasi_io_poll_poll(&all, &ready);
    shim_results_end();
    drop_pollables(l);
}

/* ---- The end ---- */

static bool is_drained(void)
{
    struct packet_list list;
    struct node_status status;
    shim_results_begin(&results);
    synod_paxos_runner_status((synod_paxos_runner_list_packet_t *)&list);
    shim_results_end();
    return list.len == 1 && status_frame_decode(&list.ptr[0], &status) && status.batches_waiting == 0;
}

/* Whether the loop is over, after the turn at `now`. The turn in which the request to stop is first seen may have missed
 * it. */
static bool is_over(struct loop *l, uint64_t now)
{
    const uint64_t half = l->settings.config.grace_period / 2;
    if (l->stop_at == 0) {
        if (synod_paxos_host_control_command() != CONTROL_STOP)
            return false;
        logger_log(l->logger, LOG_INFO, "node", "stopping");
        l->stop_at = now;
        until(l, now);
        return false;
    }
    if (l->end_at == 0 && (now - l->stop_at >= half || is_drained()))
        l->end_at = now + (half < LINGER_US ? half : LINGER_US);
    until(l, l->end_at != 0 ? l->end_at : l->stop_at + half);
    return l->end_at != 0 && now >= l->end_at;
}

bool exports_wasi_cli_run_run(void)
{
    static struct loop loop;
    struct loop *l = &loop;
    get_settings(l);
    uint32_t incarnation = open_identity(l);
    start_runner(l, incarnation);
    say_started(l, incarnation);
    for (;;) {
        uint64_t now = now_us();
        uint64_t deadline = synod_paxos_runner_turn(now, NEWS_BITS, 0);
        l->until = later(now, WAIT_MAX_US);
        until(l, deadline);
        if (is_over(l, now))
            break;
        uint64_t host_timeout = synod_paxos_host_loop_run();
        until(l, later(now_us(), host_timeout));
        ask_parts(l);
        wait(l);
        (void)synod_paxos_host_loop_run();
    }
    synod_paxos_identity_close();
    logger_log(l->logger, LOG_INFO, "node", "ended");
    return true;
}

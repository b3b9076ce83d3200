#include <stdarg.h>
#include <stdio.h>

#include "host/node_host_internal.h"

typedef unsigned long long number;

/* Puts formatted text after the first `*len` bytes, as far as there is room. */
static void add(char *out, size_t size, size_t *len, const char *format, ...) __attribute__((format(printf, 4, 5)));

static void add(char *out, size_t size, size_t *len, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out + *len, size - *len, format, args);
    va_end(args);
    if (n > 0)
        *len = *len + (size_t)n < size ? *len + (size_t)n : size - 1;
}

size_t info_of(void *context, char *out, size_t size)
{
    const struct node_host *h = context;
    const struct supervisor *s = &h->supervisor;
    size_t len = 0;
    add(out, size, &len,
        "synod_life:%s\r\nsynod_turns:%llu\r\nsynod_turn_us_total:%llu\r\nsynod_turn_us_max:%llu\r\n"
        "synod_turn_timeout_us:%llu\r\n",
        s->life != NULL ? s->life->name : "none", (number)h->turns, (number)h->turn_us_total, (number)h->turn_us_max,
        (number)s->turn_timeout);
    add(out, size, &len,
        "synod_restarts:%llu\r\nsynod_last_restart_us:%llu\r\nsynod_restart_us_max:%llu\r\nsynod_spare:%d\r\n"
        "synod_last_fault:%s\r\n",
        (number)s->restarts, (number)s->restart_us, (number)s->restart_us_max, s->spare != NULL, s->last_fault);
    if (h->ports.network != NULL) {
        struct network_statistics net = network_statistics(h->ports.network);
        add(out, size, &len,
            "synod_frames_in:%llu\r\nsynod_frames_out:%llu\r\nsynod_bytes_in:%llu\r\nsynod_bytes_out:%llu\r\n"
            "synod_frames_dropped:%llu\r\nsynod_bad_frames:%llu\r\nsynod_reconnects:%llu\r\n",
            (number)net.frames_in, (number)net.frames_out, (number)net.bytes_in, (number)net.bytes_out, (number)net.dropped,
            (number)net.bad_frames, (number)net.reconnects);
    }
    if (h->ports.journal != NULL) {
        struct journal_statistics log = journal_statistics(h->ports.journal);
        add(out, size, &len,
            "synod_journal_groups:%llu\r\nsynod_journal_records:%llu\r\nsynod_journal_bytes:%llu\r\n"
            "synod_journal_syncs:%llu\r\nsynod_journal_sync_us_total:%llu\r\nsynod_journal_sync_us_max:%llu\r\n"
            "synod_journal_wait_us_total:%llu\r\nsynod_journal_told_us_total:%llu\r\nsynod_journal_torn_tails:%llu\r\n",
            (number)log.groups, (number)log.records, (number)log.bytes, (number)log.syncs, (number)log.sync_us_total,
            (number)log.sync_us_max, (number)log.wait_us_total, (number)log.told_us_total, (number)log.torn_tails);
    }
    for (node_set all = h->folder != NULL ? roster_all(&h->members.own.now) : 0; all != 0; all &= all - 1)
        if (data_folder_known_life(h->folder, node_set_first(all)) != 0)
            add(out, size, &len, "synod_heard_%u:%u\r\n", node_set_first(all),
                data_folder_known_life(h->folder, node_set_first(all)));
    add(out, size, &len, "synod_configuration:%llu\r\n", (number)h->members.own.now.slot);
    return len;
}

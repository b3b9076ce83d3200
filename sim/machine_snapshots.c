/* The snapshots of a simulated node: the front that ships (io/snapshot_front.h) on its simulated disk, whose steps take
 * virtual time, beside the journal. What a step has changed is in the cache at once; it is durable, and the node hears of
 * it, when the step's time is over. */
#include "sim/world.h"

enum {
    BYTES_MIN = 64, /* at least so many are told, read ahead and read in a step */
    BYTES_MAX = 65536,
    STEP_MIN_US = 10, /* what a step takes beside what it writes */
    STEP_MAX_US = 300,
};

static uint32_t draw_bytes(struct dice *d) { return (uint32_t)dice_range(d, BYTES_MIN, BYTES_MAX); }

bool machine_snapshots_open(struct machine *m, const char *folder)
{
    struct dice *d = &m->snapshots.dice;
    const struct snapshot_front_options options = {
        .disk = disk_sim_disk(m->disk),
        .data_folder = folder,
        .cluster = identity_origin(data_folder_identity(m->folder)).cluster,
        .keep = m->config.snapshots_max,
        .use = (m->world->plan.roles[m->id] & DUTY_LEARNS) != 0 ? SNAPSHOTS_LOADED : SNAPSHOTS_NONE,
        .told_bytes = draw_bytes(d),
        .ahead_bytes = draw_bytes(d),
        .step_bytes = draw_bytes(d),
    };
    return snapshot_front_open(&m->snapshots.front, &options, &m->problem);
}

void machine_snapshots_close(struct machine *m)
{
    if (m->snapshots.front != NULL)
        snapshot_front_close(m->snapshots.front);
    m->snapshots.front = NULL;
    m->snapshots.flying = false;
}

void machine_snapshots_go(struct machine *m)
{
    struct snapshots *s = &m->snapshots;
    if (s->flying || !snapshot_front_next(s->front))
        return;
    snapshot_front_work(s->front);
    s->flying = true;
    s->flying_until = m->world->now + disk_sim_time(m->disk) + dice_range(&s->dice, STEP_MIN_US, STEP_MAX_US);
}

void machine_snapshots_flown(struct machine *m)
{
    struct snapshots *s = &m->snapshots;
    char text[sizeof m->problem.text];
    s->flying = false;
    disk_sim_settle(m->disk);
    if (snapshot_front_done(s->front))
        m->wake_at = m->world->now;
    while (snapshot_front_notice(s->front, text, sizeof text))
        checks_reached(m->world->checks)[REACHED_SNAPSHOT_LOST]++;
    machine_snapshots_go(m);
}

void machine_snapshots_begin(struct machine *m)
{
    struct snapshots *s = &m->snapshots;
    s->received = s->loaded = 0;
    if (snapshot_front_next(s->front)) { /* which looks for one, and reads a header at most */
        snapshot_front_work(s->front);
        snapshot_front_done(s->front);
    }
    machine_snapshots_go(m);
}

void machine_snapshots_ask(struct machine *m, const struct packet *asks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (asks[i].kind == SNAPSHOT_RECEIVE)
            m->snapshots.received = asks[i].id;
    snapshot_front_ask(m->snapshots.front, asks, count);
    machine_snapshots_go(m);
}

struct packet_list machine_snapshots_told(struct machine *m)
{
    struct packet_list list = snapshot_front_told(m->snapshots.front);
    machine_snapshots_go(m); /* there may be room to read on */
    return list;
}

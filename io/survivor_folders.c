#include "io/survivor_folders.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/agents/configurations.h"
#include "core/formats/batch.h"
#include "core/formats/configuration.h"
#include "core/formats/record.h"
#include "io/journal_store.h"
#include "io/kept_configurations.h"
#include "io/snapshot_copy.h"

/* The snapshots of a folder, by their names. */
struct names {
    uint64_t *slots; /* of whole ones */
    size_t count, capacity;
    uint64_t oldest; /* of all that were whole once; 0: none */
};

struct opened_folder {
    struct names snapshots;
    struct journal_look *journal;
    struct journal_group group; /* read last: */
    uint32_t segment;
    uint64_t offset; /* 0: none was */
};

/* A configuration that is known, and whether by votes alone. */
struct known {
    struct configuration configuration;
    bool voted;
};

struct survivor_folders {
    struct disk *disk;
    const struct backup_notices *notices;
    struct survivor_findings findings;
    struct survivor_folder *folders;
    struct opened_folder opened[NODE_ID_MAX];
    struct survivors survivors;
    char *snapshot;

    struct known *known; /* by rising slot; the first one may be that of slot 0 */
    size_t known_count, known_capacity;
    struct configuration_text *newest_text; /* of the newest that is not by votes; slot 0: none */
    uint64_t newest_slot;

    struct batch_id first[NODE_ID_MAX + 1]; /* the last batch of each origin that the snapshot has */
    struct batch_id last[NODE_ID_MAX + 1];  /* that was given out, by the number that it had */
    struct ballot first_led, led;           /* of the latest leader (P25), in the same way */
    uint64_t given[NODE_ID_MAX + 1];        /* how many of each origin were */
    struct batch_commands commands;
    struct payload value; /* of the entry that was given out last */
};

/* ---- Configurations ---- */

static void know(struct survivor_folders *s, const struct configuration *c, const struct payload *text, bool voted)
{
    size_t at = s->known_count;
    while (at > 0 && s->known[at - 1].configuration.slot >= c->slot)
        at--;
    if (at < s->known_count && s->known[at].configuration.slot == c->slot)
        return;
    s->known = memory_reserve(s->known, &s->known_capacity, s->known_count + 1, sizeof *s->known);
    memmove(s->known + at + 1, s->known + at, (s->known_count++ - at) * sizeof *s->known);
    s->known[at] = (struct known){.configuration = *c, .voted = voted};
    if (voted || c->slot <= s->newest_slot)
        return;
    const char *wrong = configuration_read(payload_bytes(text), text->len, s->newest_text);
    invariant(wrong == NULL); /* it was unpacked */
    s->newest_slot = c->slot;
}

static void know_packet(struct survivor_folders *s, const struct packet *packet)
{
    const struct payload text = {.words = packet->words, .len = packet->len};
    struct configuration c;
    if (packet->id != 0 && configuration_unpack(&text, packet->id, &c))
        know(s, &c, &text, false);
}

static bool read_kept(struct survivor_folders *s, const struct survivor_folder *folder, struct problem *problem)
{
    const struct folder_files files = {.disk = s->disk, .path = folder->path};
    struct kept_configurations kept;
    if (!kept_configurations_read(&files, folder->identity.admitted, &kept, problem))
        return false;
    know_packet(s, &kept.before);
    know_packet(s, &kept.newest);
    kept_configurations_free(&kept);
    return true;
}

static const struct configuration *newest_of(const struct survivor_folders *s)
{
    return &s->known[s->known_count - 1].configuration;
}

/* ---- Snapshots ---- */

static void note_snapshot(void *context, const char *name)
{
    struct names *n = context;
    struct snapshot_stored said;
    const enum snapshot_file kind = snapshot_file_of(name, &said);
    if (kind != SNAPSHOT_FILE_WHOLE && kind != SNAPSHOT_FILE_DAMAGED)
        return;
    n->oldest = n->oldest == 0 || said.slot < n->oldest ? said.slot : n->oldest;
    if (kind == SNAPSHOT_FILE_DAMAGED)
        return;
    n->slots = memory_reserve(n->slots, &n->capacity, n->count + 1, sizeof *n->slots);
    n->slots[n->count++] = said.slot;
}

static bool list_snapshots(struct survivor_folders *s, size_t i, struct problem *problem)
{
    char *path = disk_path(s->folders[i].path, "snapshots");
    const int error = disk_list(s->disk, path, note_snapshot, &s->opened[i].snapshots);
    const bool ok = error == 0 || error == -ENOENT || problem_set_error(problem, EXIT_DATA, error, "%s: ", path);
    free(path);
    return ok;
}

static uint64_t cluster_of(const struct survivor_folders *s)
{
    const char *name = s->folders[0].identity.cluster;
    return journal_cluster_hash(name, strlen(name));
}

/* Takes what the learner remembered in a sound snapshot. */
static bool read_first(struct survivor_folders *s, const char *path, uint64_t slot, struct problem *problem)
{
    struct snapshot_reader r;
    struct snapshot_piece piece;
    struct execution_piece *said = memory_new(1, sizeof *said);
    const uint64_t *body;
    bool ok = snapshot_reader_open(&r, s->disk, path, cluster_of(s), slot, problem) == SNAPSHOT_READ_PIECE &&
              snapshot_reader_next(&r, &piece, &body, problem) == SNAPSHOT_READ_PIECE;
    if (ok && !snapshot_copy_first(&piece, body, said))
        ok = problem_set(problem, EXIT_DATA, "%s: what the learner remembers is malformed", path);
    for (size_t i = 0; ok && i < said->configuration_count; i++)
        know(s, &said->configurations[i].configuration, &said->configurations[i].text, false);
    if (ok) {
        memcpy(s->first, said->last, sizeof s->first);
        s->first_led = said->reached.ballot;
    }
    snapshot_reader_close(&r);
    free(said);
    return ok;
}

/* Whether a snapshot is sound; if so, it is the one to begin with. */
static bool take_snapshot(struct survivor_folders *s, size_t i, uint64_t slot)
{
    struct problem problem;
    struct snapshot_stored found = {0};
    char name[96];
    snprintf(name, sizeof name, "snapshots/snapshot-%020" PRIu64, slot);
    char *path = disk_path(s->folders[i].path, name);
    if (!backup_check(s->disk, path, &found, &problem) || !read_first(s, path, slot, &problem)) {
        s->notices->on_notice(s->notices->context, problem.text);
        free(path);
        return false;
    }
    s->findings.snapshot = s->snapshot = path;
    s->findings.snapshot_of = &s->folders[i];
    s->findings.stored = found;
    return true;
}

/* The newest sound one of all folders. */
static void find_snapshot(struct survivor_folders *s)
{
    for (;;) {
        struct names *best = NULL;
        size_t folder = 0, at = 0;
        for (size_t i = 0; i < s->findings.count; i++) {
            struct names *n = &s->opened[i].snapshots;
            for (size_t k = 0; k < n->count; k++) {
                if (best != NULL && n->slots[k] <= best->slots[at])
                    continue;
                best = n;
                folder = i;
                at = k;
            }
        }
        if (best == NULL || take_snapshot(s, folder, best->slots[at]))
            return;
        best->slots[at] = best->slots[--best->count];
    }
}

/* ---- Journals ---- */

struct reading {
    struct survivor_folders *s;
    struct survivor *said;
    uint32_t survivor, segment; /* the latter: which one is shown, from 1 */
    bool is_whole;              /* the journal begins with its first record */
    bool has_votes, is_far;
};

static void on_segment(void *context, const char *name, uint64_t bytes)
{
    struct reading *r = context;
    (void)bytes;
    if (r->segment++ == 0)
        r->is_whole = strcmp(name, "journal-00000000000000000001.log") == 0;
}

static void raise(uint64_t *slot, uint64_t to) { *slot = to > *slot ? to : *slot; }

/* A learner that goes on with another one's snapshot has no values of the slots that it leaps over. */
static void note_mark(struct survivor *said, uint64_t from, uint64_t to)
{
    if (from > said->chosen)
        said->complete = from;
    raise(&said->chosen, to);
}

static void on_record(struct reading *r, const struct packet *packet, uint64_t offset)
{
    struct log_record record;
    if (!record_decode(packet, &record))
        return;
    const struct survivors_place place = {r->survivor, r->segment - 1, offset, record.lsn};
    if (record.kind == RECORD_ACCEPTED || record.kind == RECORD_LEARNED)
        r->is_far = !survivors_record(&r->s->survivors, &record.entry, &place) || r->is_far;
    r->has_votes = r->has_votes || record.kind == RECORD_ACCEPTED || record.kind == RECORD_PROMISED;
    if (record.kind == RECORD_LEARNED) /* a learner executes in the order of slots */
        raise(&r->said->chosen, record.entry.slot + 1);
    else if (record.kind == RECORD_CHOSEN)
        note_mark(r->said, record.entry.slot, record.to);
    else if (record.kind == RECORD_FLOOR)
        raise(&r->said->floor, record.entry.slot);
}

static void on_carried(void *context, const struct packet *packet) { on_record(context, packet, 0); }

static void on_group(void *context, uint64_t offset, const struct journal_group *g)
{
    struct packet packet;
    uint32_t at = 0, index = 0;
    while (journal_group_next(g, &at, &index, &packet))
        on_record(context, &packet, offset);
}

static void on_end(void *context, uint64_t next_lsn, uint64_t offset, uint64_t torn)
{
    (void)context, (void)next_lsn, (void)offset, (void)torn;
}

/* A journal goes back to the oldest snapshot that the folder had when it was cut, or to the last slot to which its learner
 * leapt, and to the acceptor's floor. */
static bool read_journal(struct survivor_folders *s, size_t i, struct problem *problem)
{
    struct survivor_folder *folder = &s->folders[i];
    struct survivor *said = &folder->journal;
    struct reading r = {.s = s, .said = said, .survivor = (uint32_t)i, .is_whole = true};
    const struct journal_view view = {
        .segment = on_segment, .carried = on_carried, .group = on_group, .end = on_end, .context = &r};
    const struct journal_store_options options = {.disk = s->disk, .folder = folder->path, .identity = folder->identity};
    *said = (struct survivor){.node = folder->identity.node, .complete = 1, .chosen = 1, .floor = 1};
    if (!journal_look_open(&s->opened[i].journal, &options, problem) ||
        !journal_look_show(s->opened[i].journal, &view, problem))
        return false;
    const uint64_t oldest = s->opened[i].snapshots.oldest;
    raise(&said->complete, r.is_whole ? 1 : oldest != 0 ? oldest : said->chosen);
    said->votes = !r.has_votes && said->floor == 1 ? 0 : r.is_whole ? 1 : said->floor;
    survivors_add(&s->survivors, said);
    return !r.is_far ||
           problem_set(problem, EXIT_DATA, "%s: its journal has a slot that is too far from the others", folder->path);
}

/* The value of a slot's record. It points into the group that was read last of its survivor. */
static bool read_value(struct survivor_folders *s, const struct survivors_slot *slot, struct entry *entry,
                       struct problem *problem)
{
    const struct survivors_place *place = &slot->place;
    struct opened_folder *o = &s->opened[place->survivor];
    struct log_record record;
    struct packet packet;
    uint32_t at = 0, index = 0;
    if (o->offset != place->offset || o->segment != place->segment) {
        o->offset = 0;
        if (!journal_look_group(o->journal, place->segment, place->offset, &o->group, problem))
            return false;
        o->offset = place->offset;
        o->segment = place->segment;
    }
    while (journal_group_next(&o->group, &at, &index, &packet)) {
        if (packet.id != place->lsn || !record_decode(&packet, &record))
            continue;
        *entry = record.entry;
        return true;
    }
    return problem_set(problem, EXIT_DATA, "%s: its journal has changed while it was read",
                       s->folders[place->survivor].path);
}

/* Those that are in the log count by the rules by which learners judge them (core/agents/execution.c). */
static bool read_logged(struct survivor_folders *s, struct problem *problem)
{
    const struct survivors_found *f = &s->findings.found;
    for (uint64_t slot = f->begin; slot < f->end; slot++) {
        const struct survivors_slot *at = survivors_at(&s->survivors, slot);
        struct configuration c;
        struct entry entry;
        if (at == NULL || at->kind != ENTRY_CONFIGURATION)
            continue;
        if (!read_value(s, at, &entry, problem))
            return false;
        const struct configuration *newest = newest_of(s);
        if (configuration_unpack(&entry.value, slot, &c) && c.replaces == newest->slot && slot > newest->slot &&
            slot >= newest->governs && c.governs - slot == newest->alpha)
            know(s, &c, &entry.value, slot >= f->known);
    }
    return true;
}

/* ---- Folders ---- */

static bool check_absent(const struct survivor_folders *s, const char *folder, const char *name, const char *what,
                         struct problem *problem)
{
    char *path = disk_path(folder, name);
    const int64_t size = disk_size(s->disk, path);
    free(path);
    return size == -ENOENT || problem_set(problem, EXIT_DATA, "%s: there is a file %s: %s", folder, name, what);
}

static bool read_folder(struct survivor_folders *s, size_t i, struct problem *problem)
{
    struct survivor_folder *folder = &s->folders[i];
    struct identity *id = &folder->identity;
    const char *first = s->folders[0].identity.cluster;
    if (!data_folder_look_governed(s->disk, folder->path, id, folder->governed, problem))
        return false;
    if (strcmp(id->cluster, first) != 0)
        return problem_set(problem, EXIT_DATA, "%s is of cluster '%s', and %s of cluster '%s'", folder->path, id->cluster,
                           s->folders[0].path, first);
    for (size_t k = 0; k < i; k++)
        if (s->folders[k].identity.node == id->node)
            return problem_set(problem, EXIT_DATA, "%s and %s are both of node %u", s->folders[k].path, folder->path,
                               id->node);
    return check_absent(s, folder->path, "expelled", "it is an older copy, as other nodes said; leave it out", problem) &&
           check_absent(s, folder->path, "lease",
                        "a node in a sandbox uses the folder, or was killed; if none runs, remove that file", problem) &&
           read_kept(s, folder, problem) && list_snapshots(s, i, problem);
}

/* A node makes each of its lives durable before another one hears of it. So a folder of which another one remembers a later
 * life is an older copy, whose votes are not all that its node has given. One of the same life is not noticed. */
static bool check_lives(const struct survivor_folders *s, struct problem *problem)
{
    uint32_t lives[NODE_ID_MAX + 1];
    for (size_t i = 0; i < s->findings.count; i++) {
        if (!data_folder_look_lives(s->disk, s->folders[i].path, lives, problem))
            return false;
        for (size_t k = 0; k < s->findings.count; k++)
            if (k != i && lives[s->folders[k].identity.node] > s->folders[k].identity.incarnation)
                return problem_set(
                    problem, EXIT_DATA,
                    "%s is an older copy, or of a disk that was replaced: %s remembers a later life of node %u; "
                    "leave it out",
                    s->folders[k].path, s->folders[i].path, s->folders[k].identity.node);
    }
    return true;
}

/* A leader proposes so many slots ahead at most. */
static uint32_t largest_alpha(const struct survivor_folders *s, uint32_t first)
{
    uint32_t alpha = first;
    for (size_t i = 0; i < s->known_count; i++)
        alpha = s->known[i].configuration.alpha > alpha ? s->known[i].configuration.alpha : alpha;
    return alpha;
}

/* Before a configuration was chosen, the one with which the folders were formatted counts. */
static bool know_first(struct survivor_folders *s, struct problem *problem)
{
    struct node_config config = {0};
    struct configurations c;
    if (!governed_apply(s->folders[0].governed, &config))
        return problem_set(problem, EXIT_DATA, "%s: its identity has no governed settings", s->folders[0].path);
    configurations_init(&c, &config);
    s->findings.alpha = largest_alpha(s, config.alpha);
    if (s->known_count == 0)
        know(s, &c.newest, NULL, true);
    return true;
}

/* A folder of a disk that was replaced has votes that do not count any more. */
static bool check_members(const struct survivor_folders *s, struct problem *problem)
{
    for (size_t i = 0; s->newest_slot != 0 && i < s->findings.count; i++) {
        const struct survivor_folder *folder = &s->folders[i];
        const struct member *member = &s->newest_text->members[folder->identity.node];
        const bool same = memcmp(member->instance, folder->identity.instance, sizeof member->instance) == 0;
        if (member->node == 0 || !same)
            return problem_set(problem, EXIT_DATA,
                               "%s is of a disk of node %u that %s: leave it out (the configuration of slot %" PRIu64 ")",
                               folder->path, folder->identity.node, member->node == 0 ? "was removed" : "was replaced",
                               s->newest_slot);
    }
    return true;
}

/* Whether the configuration before this one, which governs until this one does, is not known. That of slot 0 is as the one
 * that replaces it. */
static bool is_after_unknown(const struct survivor_folders *s, size_t i)
{
    const uint64_t replaces = s->known[i].configuration.replaces;
    return replaces != 0 && (i == 0 || s->known[i - 1].configuration.slot != replaces);
}

/* Whether nothing that was chosen from `known` on can be missing. */
static bool is_exact(const struct survivor_folders *s)
{
    const struct survivors_found *f = &s->findings.found;
    node_set voters = f->voters;
    bool exact = f->forgotten == 0 && f->lost_gaps == 0 && f->chosen <= f->end;
    for (size_t i = s->known_count; i-- > 0 && exact;) {
        const struct configuration *c = &s->known[i].configuration;
        exact = survivors_meet(voters, c);
        if (c->governs <= f->known)
            return exact;
        if (is_after_unknown(s, i))
            return false;
        /* What they voted for before was on other disks. If this one is only voted for, the old disks are left, whose votes
         * do not count under it: the one before has the same acceptors and quorums, so it is judged without them. */
        voters &= ~c->fresh;
    }
    return exact;
}

/* What the state may take is what the configuration says that governs a slot. One that is not known may have said something
 * else, if the value was ever changed: then the text has the first one (core/formats/configuration.h). */
static void note_state(struct survivor_folders *s)
{
    struct survivor_findings *f = &s->findings;
    const bool was_set = configuration_setting(s->newest_text, "first_state_bytes_max") != NULL;
    for (size_t i = s->known_count; i-- > 0;) {
        const struct configuration *c = &s->known[i].configuration;
        if (c->governs < f->found.end) {
            if (f->state_bytes_max == 0)
                f->state_bytes_max = c->state_bytes_max;
            f->state_changed = f->state_changed || (c->state_bytes_max != 0 && c->state_bytes_max != f->state_bytes_max);
            if (c->governs <= f->found.begin)
                return;
        }
        f->state_changed = f->state_changed || (was_set && is_after_unknown(s, i));
    }
}

static void conclude(struct survivor_folders *s)
{
    struct survivor_findings *f = &s->findings;
    node_set survived = 0;
    for (size_t i = 0; i < f->count; i++)
        survived |= node_set_of(s->folders[i].identity.node);
    for (size_t i = 0; i < s->known_count; i++)
        if (!s->known[i].voted || s->known[i].configuration.slot == 0)
            f->newest = s->known[i].configuration;
    if (newest_of(s)->slot != f->newest.slot)
        f->voted = *newest_of(s);
    f->members = f->newest.proposers | f->newest.acceptors | f->newest.learners;
    f->lost = f->members & ~survived;
    f->is_exact = is_exact(s);
    note_state(s);
    const node_set learners = configuration_counted(&f->newest);
    f->lost_alone = node_set_count(f->newest.acceptors & f->lost) >= f->newest.phase2_quorum &&
                    2 * node_set_count(learners & f->lost) > node_set_count(learners);
}

static bool read_all(struct survivor_folders *s, struct problem *problem)
{
    struct survivor_findings *f = &s->findings;
    for (size_t i = 0; i < f->count; i++)
        if (!read_folder(s, i, problem))
            return false;
    if (!check_lives(s, problem))
        return false;
    find_snapshot(s);
    survivors_init(&s->survivors, f->snapshot != NULL ? f->stored.slot : 1);
    for (size_t i = 0; i < f->count; i++)
        if (!read_journal(s, i, problem))
            return false;
    if (!know_first(s, problem))
        return false;
    f->found = survivors_decide(&s->survivors, f->alpha);
    if (f->found.lacks != 0)
        return problem_set(problem, EXIT_DATA,
                           "slot %" PRIu64 " is known to be chosen, and no journal has its value: a snapshot or a "
                           "part of a journal is missing",
                           f->found.lacks);
    if (f->found.end == 1)
        return problem_set(problem, EXIT_DATA, "there is nothing to begin with: no folder has a sound snapshot, and %s",
                           f->found.forgotten != 0 ? "no journal reaches back to slot 1" : "no journal has a vote");
    if (!read_logged(s, problem) || !check_members(s, problem))
        return false;
    f->alpha = largest_alpha(s, f->alpha); /* the log may have a larger one, which proves less */
    f->found = survivors_decide(&s->survivors, f->alpha);
    conclude(s);
    return true;
}

bool survivor_folders_open(struct survivor_folders **out, struct disk *disk, const char *const *paths, size_t count,
                           const struct backup_notices *notices, struct problem *problem)
{
    if (count == 0 || count > NODE_ID_MAX)
        return problem_set(problem, EXIT_BAD_INPUT, "1 to %u folders, not %zu", NODE_ID_MAX, count);
    struct survivor_folders *s = memory_new(1, sizeof *s);
    s->disk = disk;
    s->notices = notices;
    s->newest_text = memory_new(1, sizeof *s->newest_text);
    s->findings.folders = s->folders = memory_new(count, sizeof *s->folders);
    s->findings.count = count;
    for (size_t i = 0; i < count; i++)
        s->folders[i].path = paths[i];
    *out = s;
    if (read_all(s, problem))
        return true;
    survivor_folders_close(s);
    return false;
}

void survivor_folders_close(struct survivor_folders *s)
{
    for (size_t i = 0; i < s->findings.count; i++) {
        struct opened_folder *o = &s->opened[i];
        if (o->journal != NULL)
            journal_look_close(o->journal);
        journal_group_free(&o->group);
        free(o->snapshots.slots);
    }
    survivors_close(&s->survivors);
    batch_commands_free(&s->commands);
    payload_free(&s->value);
    free(s->known);
    free(s->newest_text);
    free(s->folders);
    free(s->snapshot);
    free(s);
}

const struct survivor_findings *survivor_folders_findings(const struct survivor_folders *s) { return &s->findings; }

/* ---- What the new cluster gets ---- */

/* As core/agents/execution.c judges it: whether the old cluster executes a batch, or a no-op lets time pass. */
static bool is_executed(struct survivor_folders *s, const struct entry *e, struct batch_header *h)
{
    struct stamp stamp;
    if (stamp_read(e, &stamp) && execution_is_left_behind(stamp, s->led))
        return false;
    if (e->kind == ENTRY_NOOP)
        return true;
    return e->kind == ENTRY_COMMANDS && batch_header_read(&e->value, h) && h->id.origin <= NODE_ID_MAX &&
           execution_is_newer_batch(h->id, s->last[h->id.origin]) && batch_commands_read(&s->commands, &e->value);
}

static void renumber(struct survivor_folders *s, const struct batch_header *h)
{
    const uint32_t origin = h->id.origin;
    s->last[origin] = h->id;
    const struct batch_id id = {.origin = origin, .incarnation = 0, .number = ++s->given[origin]};
    batch_header_stamp(&s->value, id, h->answerer);
}

/* The new cluster's leaders begin with ballots of their own, and what they stamp must count. So what is kept has none. */
static void stamp_anew(struct survivor_folders *s, uint8_t kind, struct stamp stamp)
{
    s->led = stamp.ballot;
    stamp.ballot = (struct ballot){0};
    if (kind == ENTRY_COMMANDS)
        batch_time_stamp(&s->value, stamp);
    else
        stamp_pack(stamp, s->value.words.ptr);
}

bool survivor_folders_entry(void *folders, uint64_t slot, struct entry *entry, struct problem *problem)
{
    struct survivor_folders *s = folders;
    const struct survivors_slot *at = survivors_at(&s->survivors, slot);
    struct batch_header header;
    if (slot == s->findings.found.begin) {
        memcpy(s->last, s->first, sizeof s->last);
        memset(s->given, 0, sizeof s->given);
        s->led = s->first_led;
    }
    payload_free(&s->value);
    *entry = (struct entry){.slot = slot, .kind = ENTRY_NOOP, .ballot = {.round = 1, .node = 1, .incarnation = 1}};
    if (at == NULL)
        return true;
    struct entry kept;
    if (!read_value(s, at, &kept, problem))
        return false;
    struct stamp stamp;
    entry->ballot = kept.ballot;
    if (!is_executed(s, &kept, &header))
        return true;
    s->value = payload_copy(&kept.value); /* of a no-op, too: something may have ended by its time */
    if (stamp_read(&kept, &stamp))
        stamp_anew(s, kept.kind, stamp);
    if (kept.kind == ENTRY_COMMANDS)
        renumber(s, &header);
    entry->kind = kept.kind;
    entry->value = s->value;
    return true;
}

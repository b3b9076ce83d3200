#include "io/snapshot_front.h"

#include <stdio.h>

#include "core/base/cursor.h"

enum {
    TOLD_BYTES = 4 << 20,
    AHEAD_BYTES = 4 << 20,
    STEP_BYTES = 1 << 20,
    ASKED_BYTES_MAX = 64 << 20,
    NOTICES_MAX = 16, /* that wait; more are left out */
};

/* A packet in a queue. */
struct item {
    struct item *next;
    struct packet packet;
    uint64_t words[];
};

struct queue {
    struct item *first, *last;
    uint64_t bytes;
};

struct notice {
    struct notice *next;
    char text[sizeof((struct problem *)0)->text + 128];
};

/* What takes several steps. */
enum job {
    JOB_NONE,          /* the next ask */
    JOB_START,         /* takes the newest snapshot that is left, to check it */
    JOB_CHECK_NEWEST,  /* that one; then it is told what there is */
    JOB_CHECK_ASKED,   /* one that is to be loaded */
    JOB_GIVE,          /* tells the pieces of one that was checked */
    JOB_CHECK_PART,    /* what was received in an earlier life */
    JOB_CHECK_RECEIVED /* what was received, all of it */
};

struct snapshot_front {
    struct snapshot_front_options options;
    struct snapshot_store *store; /* SNAPSHOTS_NONE: NULL */
    struct queue asks, tells;
    struct queue given; /* told last */
    struct packet *packets;
    size_t packet_capacity;
    struct notice *notices;
    size_t notice_count;
    bool reborn;

    /* Of the step. */
    enum job job;
    bool starting;    /* the job is not what an ask wanted */
    bool listed;      /* what is stored was told */
    struct item *ask; /* NULL: the job goes on */
    struct queue results;
    struct notice *found; /* to be told */
    uint64_t slot;        /* of the job */
    struct snapshot_reader reader;
    uint64_t written;              /* bytes of bodies */
    struct snapshot_stored wanted; /* what is received, */
    uint64_t at;                   /* and how much of it has come */
};

/* ---- Queues ---- */

static void queue_push(struct queue *q, struct item *item)
{
    item->next = NULL;
    if (q->last != NULL)
        q->last->next = item;
    else
        q->first = item;
    q->last = item;
    q->bytes += item->packet.len;
}

static struct item *queue_pop(struct queue *q)
{
    struct item *item = q->first;
    q->first = item->next;
    if (q->first == NULL)
        q->last = NULL;
    q->bytes -= item->packet.len;
    return item;
}

static void queue_clear(struct queue *q)
{
    while (q->first != NULL)
        free(queue_pop(q));
}

/* An item with room for `len` bytes, whose last word is zero as far as they do not reach. */
static struct item *item_new(uint32_t kind, uint64_t id, uint32_t len)
{
    const size_t words = words_for(len);
    struct item *item = malloc(sizeof *item + words * sizeof(uint64_t));
    invariant(item != NULL);
    if (words > 0)
        item->words[words - 1] = 0;
    item->packet = (struct packet){.id = id, .kind = kind, .len = len, .words = {item->words, words}};
    return item;
}

static void tell(struct snapshot_front *f, enum snapshot_item_kind kind, uint64_t id, const void *bytes, uint32_t len)
{
    struct item *item = item_new(kind, id, len);
    if (len > 0)
        memcpy(item->words, bytes, len);
    queue_push(&f->results, item);
}

static void tell_stored(struct snapshot_front *f, const struct snapshot_stored *s)
{
    const uint64_t words[] = {s->size, s->checksum};
    tell(f, SNAPSHOT_STORED, s->slot, words, sizeof words);
}

/* ---- Notices ---- */

static void note(void *context, const char *text)
{
    struct snapshot_front *f = context;
    struct notice *n = memory_new(1, sizeof *n), **end = &f->found;
    snprintf(n->text, sizeof n->text, "%s", text);
    while (*end != NULL)
        end = &(*end)->next;
    *end = n;
}

static void note_problem(struct snapshot_front *f, const struct problem *problem, const char *consequence)
{
    char text[sizeof f->found->text];
    snprintf(text, sizeof text, "%s%s", problem->text, consequence);
    note(f, text);
}

static void notices_free(struct notice *n)
{
    while (n != NULL) {
        struct notice *next = n->next;
        free(n);
        n = next;
    }
}

/* True: there are some. */
static bool publish_notices(struct snapshot_front *f)
{
    struct notice **end = &f->notices;
    const bool any = f->found != NULL;
    while (*end != NULL)
        end = &(*end)->next;
    while (f->found != NULL) {
        struct notice *n = f->found;
        f->found = n->next;
        n->next = NULL;
        if (f->notice_count == NOTICES_MAX) {
            free(n);
            continue;
        }
        *end = n;
        end = &n->next;
        f->notice_count++;
    }
    return any;
}

bool snapshot_front_notice(struct snapshot_front *f, char *text, size_t size)
{
    struct notice *n = f->notices;
    if (n == NULL)
        return false;
    snprintf(text, size, "%s", n->text);
    f->notices = n->next;
    f->notice_count--;
    free(n);
    return true;
}

/* ---- Opening and closing ---- */

static uint32_t or_standard(uint32_t value, uint32_t standard) { return value != 0 ? value : standard; }

enum snapshot_use snapshot_use(const struct config *config, uint32_t node)
{
    const bool stores =
        config->node_config.durability != DURABILITY_MEMORY && node_set_has(config->node_config.learners, node);
    return !stores ? SNAPSHOTS_NONE : config->load_snapshots ? SNAPSHOTS_LOADED : SNAPSHOTS_STORED;
}

bool snapshot_front_open(struct snapshot_front **out, const struct snapshot_front_options *options, struct problem *problem)
{
    struct snapshot_front *f = memory_new(1, sizeof *f);
    f->options = *options;
    f->options.told_bytes = or_standard(options->told_bytes, TOLD_BYTES);
    f->options.ahead_bytes = or_standard(options->ahead_bytes, AHEAD_BYTES);
    f->options.step_bytes = or_standard(options->step_bytes, STEP_BYTES);
    f->reader.file = -1;
    f->job = JOB_START;
    const struct snapshot_store_options store = {.disk = options->disk,
                                                 .data_folder = options->data_folder,
                                                 .cluster = options->cluster,
                                                 .keep = options->keep,
                                                 .on_notice = note,
                                                 .context = f};
    if (options->use != SNAPSHOTS_NONE && !snapshot_store_open(&f->store, &store, problem)) {
        snapshot_front_close(f);
        return false;
    }
    publish_notices(f);
    *out = f;
    return true;
}

void snapshot_front_close(struct snapshot_front *f)
{
    snapshot_reader_close(&f->reader);
    snapshot_store_close(f->store);
    queue_clear(&f->asks);
    queue_clear(&f->tells);
    queue_clear(&f->given);
    queue_clear(&f->results);
    notices_free(f->notices);
    notices_free(f->found);
    free(f->ask);
    free(f->packets);
    free(f);
}

/* ---- Asking and telling ---- */

/* Whether an ask is one, as far as that can be said without knowing what is being written. */
static bool is_ask(const struct packet *p)
{
    if (p->words.len != words_for(p->len))
        return false;
    switch (p->kind) {
    case SNAPSHOT_BEGIN:
    case SNAPSHOT_COMMIT:
    case SNAPSHOT_ABANDON:
    case SNAPSHOT_DISCARD:
    case SNAPSHOT_LOAD:
        return p->len == 0;
    case SNAPSHOT_PIECE:
        return p->id >= SNAPSHOT_LEARNER && p->id < SNAPSHOT_PIECE_KINDS && p->len <= SNAPSHOT_PIECE_MAX;
    case SNAPSHOT_RECEIVE:
    case SNAPSHOT_READ:
        return p->len == 2 * sizeof(uint64_t);
    case SNAPSHOT_BYTES:
        return p->len <= SNAPSHOT_BYTES_MAX;
    default:
        return false;
    }
}

/* An ask is missing here. */
static void ask_nothing(struct snapshot_front *f)
{
    const struct item *last = f->asks.last;
    if (last == NULL || last->packet.kind != SNAPSHOT_ITEM_KINDS)
        queue_push(&f->asks, item_new(SNAPSHOT_ITEM_KINDS, 0, 0));
}

void snapshot_front_ask(struct snapshot_front *f, const struct packet *asks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct packet *p = &asks[i];
        if (!is_ask(p) || f->asks.bytes + p->len > ASKED_BYTES_MAX) {
            ask_nothing(f);
            continue;
        }
        struct item *item = item_new(p->kind, p->id, p->len);
        if (p->len > 0)
            memcpy(item->words, p->words.ptr, p->words.len * sizeof(uint64_t));
        queue_push(&f->asks, item);
    }
}

bool snapshot_front_has_told(const struct snapshot_front *f) { return f->tells.first != NULL; }

struct packet_list snapshot_front_told(struct snapshot_front *f)
{
    size_t count = 0;
    queue_clear(&f->given);
    while (f->tells.first != NULL && (count == 0 || f->given.bytes < f->options.told_bytes)) {
        struct item *item = queue_pop(&f->tells);
        queue_push(&f->given, item);
        f->packets = memory_reserve(f->packets, &f->packet_capacity, count + 1, sizeof *f->packets);
        f->packets[count++] = item->packet;
    }
    return (struct packet_list){f->packets, count};
}

void snapshot_front_reborn(struct snapshot_front *f)
{
    f->reborn = true;
    queue_clear(&f->asks);
    queue_clear(&f->tells);
}

bool snapshot_front_unread(const struct snapshot_front *f) { return f->store != NULL && snapshot_store_unread(f->store); }

/* ---- Steps ---- */

bool snapshot_front_next(struct snapshot_front *f)
{
    invariant(f->ask == NULL && f->results.first == NULL);
    if (f->reborn) {
        f->job = JOB_START;
        f->reborn = f->listed = false;
    }
    if (f->job != JOB_NONE)
        return f->job != JOB_GIVE || f->tells.bytes < f->options.ahead_bytes;
    if (f->asks.first == NULL)
        return false;
    f->ask = queue_pop(&f->asks);
    return true;
}

bool snapshot_front_done(struct snapshot_front *f)
{
    const bool noticed = publish_notices(f);
    bool told = false;
    free(f->ask);
    f->ask = NULL;
    if (f->reborn)
        queue_clear(&f->results);
    while (f->results.first != NULL) {
        queue_push(&f->tells, queue_pop(&f->results));
        told = true;
    }
    return told || noticed;
}

/* ---- Loading ---- */

/* Reads about `step_bytes`. The last result; SNAPSHOT_READ_PIECE: there is more. With `tells`, they are told. */
static enum snapshot_read read_on(struct snapshot_front *f, bool tells, struct problem *problem)
{
    const uint64_t end = f->reader.place.offset + f->options.step_bytes;
    enum snapshot_read read = SNAPSHOT_READ_PIECE;
    while (read == SNAPSHOT_READ_PIECE && f->reader.place.offset < end) {
        struct snapshot_piece piece;
        const uint64_t *body;
        read = snapshot_reader_next(&f->reader, &piece, &body, problem);
        if (read == SNAPSHOT_READ_PIECE && tells)
            tell(f, SNAPSHOT_LOADED_PIECE, piece.kind, body, piece.len);
    }
    return read;
}

/* A snapshot is not sound, or cannot be read: it counts no longer. */
static void lose(struct snapshot_front *f, enum snapshot_read read, const struct problem *problem)
{
    snapshot_reader_close(&f->reader);
    if (read == SNAPSHOT_READ_DAMAGED) {
        note_problem(f, problem, "; this snapshot is set aside");
        snapshot_store_set_aside(f->store, f->slot);
    } else {
        note_problem(f, problem, "; this snapshot does not count");
        snapshot_store_leave_out(f->store, f->slot);
    }
}

static void tell_list(struct snapshot_front *f)
{
    if (f->store == NULL || f->listed)
        return;
    size_t count;
    const struct snapshot_stored *list = snapshot_store_list(f->store, &count);
    for (size_t i = count; i > 0; i--)
        tell_stored(f, &list[i - 1]);
    const uint64_t received = snapshot_store_received(f->store);
    if (received != 0)
        tell(f, SNAPSHOT_RECEIVED, received, NULL, 0);
    f->listed = true;
}

/* The job begins anew, or ends, because a snapshot was lost. */
static void after_loss(struct snapshot_front *f, bool told_some)
{
    if (!f->starting || told_some)
        tell(f, SNAPSHOT_FAILED, f->slot, NULL, 0);
    f->job = f->starting ? JOB_START : JOB_NONE;
}

static void begin_check(struct snapshot_front *f, enum job job, uint64_t slot)
{
    struct problem problem;
    f->slot = slot;
    f->job = job;
    enum snapshot_read read = snapshot_store_read(f->store, slot, &f->reader, &problem);
    if (read != SNAPSHOT_READ_PIECE) {
        lose(f, read, &problem);
        after_loss(f, false);
    }
}

static void start(struct snapshot_front *f)
{
    size_t count = 0;
    const struct snapshot_stored *list = f->store != NULL ? snapshot_store_list(f->store, &count) : NULL;
    if (f->store != NULL)
        snapshot_store_give_up(f->store);
    snapshot_reader_close(&f->reader);
    f->starting = true;
    if (count > 0 && f->options.use == SNAPSHOTS_LOADED) {
        begin_check(f, JOB_CHECK_NEWEST, list[0].slot);
        return;
    }
    tell_list(f);
    tell(f, SNAPSHOT_LOADED, 0, NULL, 0);
    f->job = JOB_NONE;
    f->starting = false;
}

/* Goes on with the check of the snapshot that is to be loaded. */
static void check(struct snapshot_front *f)
{
    struct problem problem;
    enum snapshot_read read = read_on(f, false, &problem);
    if (read == SNAPSHOT_READ_PIECE)
        return;
    if (read == SNAPSHOT_READ_ALL) {
        snapshot_reader_close(&f->reader);
        read = snapshot_store_read(f->store, f->slot, &f->reader, &problem);
    }
    if (read != SNAPSHOT_READ_PIECE) {
        lose(f, read, &problem);
        after_loss(f, false);
        return;
    }
    if (f->starting)
        tell_list(f);
    f->job = JOB_GIVE;
}

static void give(struct snapshot_front *f)
{
    struct problem problem;
    enum snapshot_read read = read_on(f, true, &problem);
    if (read == SNAPSHOT_READ_PIECE)
        return;
    if (read == SNAPSHOT_READ_ALL) {
        snapshot_reader_close(&f->reader);
        tell(f, SNAPSHOT_LOADED, f->slot, NULL, 0);
        f->job = JOB_NONE;
        f->starting = false;
    } else {
        lose(f, read, &problem);
        after_loss(f, true);
    }
}

static void load(struct snapshot_front *f, uint64_t slot)
{
    f->starting = false;
    if (f->store != NULL && snapshot_store_find(f->store, slot) != NULL)
        begin_check(f, JOB_CHECK_ASKED, slot);
    else
        tell(f, SNAPSHOT_FAILED, slot, NULL, 0);
}

/* ---- Writing ---- */

/* What is being written or received is given up, or was. */
static void failed(struct snapshot_front *f, uint64_t slot, const struct problem *problem)
{
    if (problem != NULL)
        note_problem(f, problem, "; this snapshot is given up");
    tell(f, SNAPSHOT_FAILED, slot, NULL, 0);
}

static void begin(struct snapshot_front *f, uint64_t slot)
{
    struct problem problem;
    f->wanted = (struct snapshot_stored){.slot = slot};
    f->written = 0;
    if (f->store == NULL)
        failed(f, slot, NULL);
    else if (!snapshot_store_begin(f->store, slot, &problem))
        failed(f, slot, &problem);
}

/* Pieces of a snapshot that was given up may still be on their way. */
static void piece(struct snapshot_front *f, const struct packet *p)
{
    struct problem problem;
    if (f->store == NULL || !snapshot_store_writes(f->store))
        return;
    if (!snapshot_store_add(f->store, (enum snapshot_piece_kind)p->id, p->words.ptr, p->len, &problem)) {
        failed(f, f->wanted.slot, &problem);
        return;
    }
    f->written += p->len;
    tell(f, SNAPSHOT_WRITTEN, f->written, NULL, 0);
}

static void stored(struct snapshot_front *f, bool ok, const struct snapshot_stored *what, const struct problem *problem)
{
    if (ok)
        tell_stored(f, what);
    else
        failed(f, f->wanted.slot, problem);
}

static void commit(struct snapshot_front *f, uint64_t slot)
{
    struct problem problem;
    struct snapshot_stored what;
    if (f->store == NULL || !snapshot_store_writes(f->store) || f->wanted.slot != slot)
        return;
    bool ok = snapshot_store_commit(f->store, &what, &problem);
    stored(f, ok, &what, &problem);
}

static void abandon(struct snapshot_front *f, uint64_t slot)
{
    if (f->store != NULL && f->wanted.slot == slot)
        snapshot_store_give_up(f->store);
}

static void discard(struct snapshot_front *f)
{
    if (f->store != NULL)
        snapshot_store_discard(f->store);
}

/* ---- Receiving ---- */

/* All bytes have come: they are read again, and checked. */
static void check_received(struct snapshot_front *f, enum job job)
{
    struct problem problem;
    enum snapshot_read read = snapshot_store_check(f->store, &f->reader, &problem);
    f->job = job;
    if (read == SNAPSHOT_READ_PIECE)
        return;
    f->job = JOB_NONE;
    if (job == JOB_CHECK_PART) { /* it is begun anew */
        f->at = 0;
        tell(f, SNAPSHOT_WANTED, 0, NULL, 0);
    } else {
        snapshot_store_reject(f->store);
        failed(f, f->wanted.slot, &problem);
    }
}

static void receive(struct snapshot_front *f, const struct packet *p)
{
    struct problem problem;
    const struct snapshot_stored *there = f->store != NULL ? snapshot_store_find(f->store, p->id) : NULL;
    f->wanted = (struct snapshot_stored){.slot = p->id, .size = p->words.ptr[0], .checksum = p->words.ptr[1]};
    f->written = 0;
    if (there != NULL && there->size == f->wanted.size && there->checksum == f->wanted.checksum) {
        tell_stored(f, there);
    } else if (f->store == NULL || f->wanted.size < SNAPSHOT_HEADER_SIZE + SNAPSHOT_END_SIZE) {
        failed(f, p->id, NULL);
    } else if (!snapshot_store_receive(f->store, &f->wanted, &f->at, &problem)) {
        failed(f, p->id, &problem);
    } else if (f->at == 0) {
        tell(f, SNAPSHOT_WANTED, 0, NULL, 0);
    } else {
        check_received(f, JOB_CHECK_PART);
    }
}

/* Whether what was read to its end is what was wanted. */
static bool is_wanted(const struct snapshot_front *f)
{
    return f->reader.place.offset == f->wanted.size && f->reader.place.checksum == f->wanted.checksum;
}

static void finish(struct snapshot_front *f)
{
    struct problem problem;
    struct snapshot_stored what;
    snapshot_reader_close(&f->reader);
    bool ok = snapshot_store_finish(f->store, &what, &problem);
    stored(f, ok, &what, &problem);
    f->job = JOB_NONE;
}

/* Goes on with the check of what has come. True: it is over, and this is not what was wanted. */
static bool falls_short(struct snapshot_front *f, enum snapshot_read *read, struct problem *problem)
{
    *read = read_on(f, false, problem);
    if (*read == SNAPSHOT_READ_PIECE)
        return false;
    if (*read == SNAPSHOT_READ_ALL && is_wanted(f)) {
        finish(f);
        return false;
    }
    f->job = JOB_NONE;
    return true;
}

/* What an earlier life received is good as far as its pieces are sound. */
static void check_part(struct snapshot_front *f)
{
    struct problem problem;
    enum snapshot_read read;
    if (!falls_short(f, &read, &problem))
        return;
    f->at = read == SNAPSHOT_READ_ALL ? 0 : f->reader.place.offset;
    snapshot_reader_close(&f->reader);
    tell(f, SNAPSHOT_WANTED, f->at, NULL, 0);
}

static void check_all(struct snapshot_front *f)
{
    struct problem problem;
    enum snapshot_read read;
    if (!falls_short(f, &read, &problem))
        return;
    if (read == SNAPSHOT_READ_ALL)
        problem_set(&problem, EXIT_DATA, "%s: its checksum is not the one that was announced", f->reader.path);
    snapshot_reader_close(&f->reader);
    snapshot_store_reject(f->store);
    failed(f, f->wanted.slot, &problem);
}

static void take_bytes(struct snapshot_front *f, const struct packet *p)
{
    struct problem problem;
    if (f->store == NULL || !snapshot_store_receives(f->store))
        return;
    if (p->id != f->at || p->len > f->wanted.size - f->at) {
        tell(f, SNAPSHOT_WANTED, f->at, NULL, 0);
        return;
    }
    if (!snapshot_store_take(f->store, f->at, p->words.ptr, p->len, &problem)) {
        failed(f, f->wanted.slot, &problem);
        return;
    }
    f->at += p->len;
    tell(f, SNAPSHOT_WRITTEN, f->at, NULL, 0);
    if (f->at == f->wanted.size)
        check_received(f, JOB_CHECK_RECEIVED);
}

/* ---- For peers ---- */

static void read_bytes(struct snapshot_front *f, const struct packet *p)
{
    struct problem problem;
    const struct snapshot_stored *s = f->store != NULL ? snapshot_store_lend(f->store, p->id) : NULL;
    const uint64_t offset = p->words.ptr[0], wanted = p->words.ptr[1];
    if (s == NULL) {
        tell(f, SNAPSHOT_GONE, p->id, NULL, 0);
        return;
    }
    uint64_t len = offset < s->size ? s->size - offset : 0;
    len = len < wanted ? len : wanted;
    struct item *item = item_new(SNAPSHOT_BYTES_READ, offset, len < SNAPSHOT_BYTES_MAX ? (uint32_t)len : SNAPSHOT_BYTES_MAX);
    int64_t n = 0;
    if (item->packet.len > 0)
        n = snapshot_store_bytes(f->store, p->id, offset, item->words, item->packet.len, &problem);
    if (n == (int64_t)item->packet.len) {
        queue_push(&f->results, item);
        return;
    }
    free(item);
    if (n < 0)
        note_problem(f, &problem, "");
    tell(f, SNAPSHOT_GONE, p->id, NULL, 0);
}

/* ---- One step ---- */

/* An ask is missing: what is being written would lack it. */
static void give_up(struct snapshot_front *f)
{
    if (f->store == NULL || (!snapshot_store_writes(f->store) && !snapshot_store_receives(f->store)))
        return;
    snapshot_store_give_up(f->store);
    note(f, "snapshots: what the node asks is not understood, or too much at once; a snapshot is given up");
    tell(f, SNAPSHOT_FAILED, f->wanted.slot, NULL, 0);
}

static void answer(struct snapshot_front *f, const struct packet *p)
{
    switch (p->kind) {
    case SNAPSHOT_BEGIN:
        begin(f, p->id);
        break;
    case SNAPSHOT_PIECE:
        piece(f, p);
        break;
    case SNAPSHOT_COMMIT:
        commit(f, p->id);
        break;
    case SNAPSHOT_ABANDON:
        abandon(f, p->id);
        break;
    case SNAPSHOT_DISCARD:
        discard(f);
        break;
    case SNAPSHOT_RECEIVE:
        receive(f, p);
        break;
    case SNAPSHOT_BYTES:
        take_bytes(f, p);
        break;
    case SNAPSHOT_READ:
        read_bytes(f, p);
        break;
    case SNAPSHOT_LOAD:
        load(f, p->id);
        break;
    default:
        give_up(f);
        break;
    }
}

void snapshot_front_work(struct snapshot_front *f)
{
    if (f->ask != NULL) {
        answer(f, &f->ask->packet);
        return;
    }
    switch (f->job) {
    case JOB_START:
        start(f);
        break;
    case JOB_CHECK_NEWEST:
    case JOB_CHECK_ASKED:
        check(f);
        break;
    case JOB_GIVE:
        give(f);
        break;
    case JOB_CHECK_PART:
        check_part(f);
        break;
    case JOB_CHECK_RECEIVED:
        check_all(f);
        break;
    default: /* JOB_NONE: snapshot_front_next gives an ask then */
        break;
    }
}
